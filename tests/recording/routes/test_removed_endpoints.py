"""The removed endpoint of a path, compared with what Starlette's routes match."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import compile_path

from fastapi_lens.recording.routes.removed_endpoints import MOST_SEGMENTS, RemovedEndpoints
from fastapi_lens.storage.records.removed_endpoints import RemovedEndpoint

pytestmark = pytest.mark.unit

# Few letters, so that texts and values are often equal.
TEXTS = st.text("ab.-", max_size=3)
VALUES = st.text("ab.-", min_size=1, max_size=3)


def removed(*paths: str, method: str = "GET", kind: str = "http") -> RemovedEndpoints:
    """Endpoints whose ids are the positions of their paths."""
    return RemovedEndpoints(
        RemovedEndpoint(number, method, path, kind) for number, path in enumerate(paths)
    )


@st.composite
def segments(draw: st.DrawFn) -> list[str]:
    """A segment: texts, with a parameter between each two."""
    return draw(st.lists(TEXTS, min_size=1, max_size=3))


@st.composite
def templates(draw: st.DrawFn) -> str:
    number = iter(range(100))
    parts: list[str] = []
    for texts in draw(st.lists(segments(), min_size=1, max_size=4)):
        first, *others = texts
        parts.append(first + "".join(f"{{p{next(number)}}}{text}" for text in others))
    return "/" + "/".join(parts)


@given(template=templates(), values=st.lists(VALUES, min_size=12, max_size=12))
def test_a_path_that_is_built_from_a_template_belongs_to_it(
    template: str, values: list[str]
) -> None:
    left = iter(values)
    path = re.sub(r"\{\w+\}", lambda _: next(left), template)
    assert removed(template).find("GET", path) == 0


@given(
    known=st.lists(templates(), min_size=1, max_size=6),
    paths=st.lists(
        st.lists(st.text("ab.-", max_size=4), min_size=1, max_size=4).map(
            lambda parts: "/" + "/".join(parts)
        ),
        min_size=1,
        max_size=20,
    ),
)
def test_a_path_belongs_to_a_template_exactly_if_starlette_would_match_or_redirect_it(
    known: list[str], paths: list[str]
) -> None:
    endpoints = removed(*known)
    patterns = [compile_path(template)[0] for template in known]
    for path in paths:
        found = endpoints.find("GET", path)
        fitting = {number for number, one in enumerate(patterns) if one.match(path)}
        other = path[:-1] if path.endswith("/") else f"{path}/"
        if not fitting and path != "/":
            fitting = {number for number, one in enumerate(patterns) if one.match(other)}
        assert found in fitting if fitting else found is None


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/users/me", "/users/me"),
        ("/users/v2", "/users/v{version}"),
        ("/users/v2.json", "/users/v{version}.json"),
        ("/users/7", "/users/{user_id}"),
        ("/users/7/keys", "/users/{rest_path}"),
        ("/users/", "/users/{rest_path}"),
        ("/teams/7", "/{kind}/{number}"),
    ],
)
def test_the_most_specific_template_counts(path: str, template: str) -> None:
    known = [
        *("/{kind}/{number}", "/users/{rest_path}", "/users/{user_id}", "/users/v{version}"),
        *("/users/v{version}.json", "/users/me"),
    ]
    for order in (known, known[::-1]):
        found = removed(*order).find("GET", path)
        assert found is not None
        assert order[found] == template


def test_of_templates_that_differ_in_names_only_the_first_one_counts() -> None:
    assert removed("/users/{user_id}", "/users/{id}").find("GET", "/users/7") == 0


def test_a_less_specific_template_counts_if_the_other_one_leads_nowhere() -> None:
    assert removed("/users/me/keys", "/users/{user_id}").find("GET", "/users/me") == 1
    assert removed("/v{number}/a", "/{name}/b").find("GET", "/v1/b") == 1


@pytest.mark.parametrize(
    ("method", "expected"),
    [("GET", 1), ("POST", 2), ("HEAD", 2), ("WEBSOCKET", 3)],
)
def test_the_requested_method_comes_before_any(method: str, expected: int) -> None:
    endpoints = RemovedEndpoints(
        RemovedEndpoint(number, one, "/legacy/{path}", "mount")
        for number, one in ((1, "GET"), (2, "ANY"), (3, "WEBSOCKET"))
    )
    assert endpoints.find(method, "/legacy/a/b") == expected


def test_an_endpoint_of_another_method_does_not_count() -> None:
    assert removed("/users/{user_id}").find("DELETE", "/users/7") is None


@pytest.mark.parametrize("path", ["/static/", "/static/a", "/static/a/b.css", "/static"])
def test_the_last_parameter_of_a_mount_takes_all_that_follows(path: str) -> None:
    assert removed("/static/{path}", kind="mount").find("GET", path) == 0
    assert removed("/{path}", kind="mount").find("GET", path) == 0


def test_a_mount_in_the_middle_of_nothing_takes_no_other_path() -> None:
    mount = removed("/t/{tenant}/static/{path}", kind="mount")
    assert mount.find("GET", "/t/acme/static/a.css") == 0
    assert mount.find("GET", "/t/acme/statics/a.css") is None


def test_a_websocket_is_not_redirected_to_the_other_slash() -> None:
    endpoints = removed("/live", method="WEBSOCKET", kind="websocket")
    assert endpoints.find("WEBSOCKET", "/live") == 0
    assert endpoints.find("WEBSOCKET", "/live/") is None


@pytest.mark.parametrize("path", ["", "/", "*", "//", "orders"])
def test_a_path_that_is_none_belongs_to_nothing(path: str) -> None:
    assert removed("/orders", "<unmapped>", "").find("OPTIONS", path) is None


def test_a_template_of_very_many_segments_is_left_out() -> None:
    longest = "/a" * (MOST_SEGMENTS - 1)
    endpoints = removed(longest, longest + "/a")
    assert endpoints.find("GET", longest) == 0
    assert endpoints.find("GET", longest + "/a") is None
    assert endpoints.find("GET", "/a" * 1_000) is None


HOSTILE = [
    ("/" + "-" * 1_999, ["/" + "-".join(f"{{p{number}}}" for number in range(20)) + "x"]),
    ("/" * 2_000, ["/{a}/{b}/{c}", "/{path}"]),
    (
        "/aa" * 600,
        ["/" + "/".join(f"a{{p{at}}}" for at in range(depth)) for depth in range(1, 60)],
    ),
]


@pytest.mark.parametrize(("path", "known"), HOSTILE)
def test_no_path_takes_long(path: str, known: list[str]) -> None:
    endpoints = removed(*known)
    begun = time.thread_time()
    endpoints.find("GET", path)
    assert time.thread_time() - begun < 0.05
