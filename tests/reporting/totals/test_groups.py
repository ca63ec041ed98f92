from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.parts import PartKind, has_part, is_below, shared_prefixes
from fastapi_lens.reporting.totals.groups import Group, groups_of
from fastapi_lens.settings.status import Status
from tests.admin.make import NOW, endpoint, usage

pytestmark = pytest.mark.unit


def of(path: str, *tags: str, source: str = "") -> Endpoint:
    return replace(endpoint(path, tags=tags), source=source)


segments = st.lists(st.sampled_from(["a", "b", "api", "v1", "{id}", ""]), max_size=5)
paths = segments.map(lambda some: "/" + "/".join(some)) | st.just("{rest:path}")
endpoints = st.lists(
    st.builds(
        lambda path, tags, source: of(path, *tags, source=source),
        paths,
        st.lists(st.sampled_from(["a", "b", "c"]), max_size=3),
        st.sampled_from(["", "shop/a.py:1", "shop/a.py:90", "b.py"]),
    ),
    max_size=12,
    unique_by=lambda one: one.path,
)


@given(endpoints, st.sampled_from(PartKind))
@example([of("/")], PartKind.PREFIX)
@example([of("/a"), of("/a/b"), of("/a/c")], PartKind.PREFIX)
def test_the_list_of_a_group_has_its_endpoints_and_each_is_in_one(
    every: list[Endpoint], kind: PartKind
) -> None:
    groups = groups_of(every, kind)
    for group in groups:
        assert group.endpoints
        listed = EndpointsQuery().of_part(kind, group.name)
        # The page links no name that an address cannot hold: a prefix that ends with a slash.
        if getattr(listed, kind) == group.name:
            assert [one for one in every if listed.holds(one)] == list(group.endpoints)
    assert {one.id for one in every} == {one.id for group in groups for one in group.endpoints}


def test_a_path_counts_in_each_prefix_that_it_shares() -> None:
    every = [of("/api/v1/users"), of("/api/v1/users/{id}"), of("/api/v1/orders"), of("/health")]
    found = {group.name: len(group.endpoints) for group in groups_of(every, PartKind.PREFIX)}
    # Of "/api" and "/api/v1", which have the same endpoints, only the longer one.
    assert found == {"/api/v1": 3, "/api/v1/users": 2, "/health": 1}


def test_a_path_that_shares_no_prefix_has_one_of_its_own_below_the_common_one() -> None:
    every = [of("/api/users"), of("/api/{tenant}/x"), of("/api/orders/{id}")]
    names = [group.name for group in groups_of(every, PartKind.PREFIX)]
    assert names == ["/api/orders", "/api/users", "/api/{tenant}"]
    both = groups_of([of("/a"), of("/a/b")], PartKind.PREFIX)
    assert [(group.name, len(group.endpoints)) for group in both] == [("/a", 2), ("/a/b", 1)]


def test_an_endpoint_counts_in_each_of_its_tags_once() -> None:
    every = [of("/a", "x", "y", "x", ""), of("/b", "y"), of("/c")]
    found = [(group.name, len(group.endpoints)) for group in groups_of(every, PartKind.TAG)]
    assert found == [("x", 1), ("y", 2), ("", 1)]
    assert [group.name for group in groups_of(every, PartKind.TAG, tag="y")] == ["y"]
    assert [group.name for group in groups_of(every, PartKind.FILE, tag="y")] == [""]


def test_the_totals_of_a_group_leave_out_how_long_websockets_were_open() -> None:
    slow = replace(of("/ws"), kind="websocket", usage=usage(4, ms=90_000))
    group = Group("x", [replace(of("/a"), usage=usage(6, errors_5xx=2, ms=10)), slow])
    assert (group.usage.calls, group.usage.errors_5xx, group.timed.calls) == (10, 2, 6)
    assert group.timed.percentiles_ms[1] == pytest.approx(10, rel=0.014)


def test_a_group_knows_its_statuses_and_its_last_call() -> None:
    never = endpoint("/n", status=Status.NEVER_CALLED)
    group = Group("x", [endpoint("/a"), endpoint("/d", status=Status.DEAD), never])
    assert group.statuses == {
        Status.ACTIVE: 1,
        Status.COLD: 0,
        Status.DEAD: 1,
        Status.NEVER_CALLED: 1,
    }
    assert (group.unused, group.last_called_at) == (2, NOW - 60)
    assert Group("x", [never]).last_called_at is None


def test_a_prefix_ends_with_a_segment() -> None:
    assert is_below("/users/{id}", "/users")
    assert is_below("/users", "/users")
    assert not is_below("/users-old", "/users")
    assert (is_below("/", "/"), is_below("/a", "/"), is_below("/a", "")) == (True, False, True)


def test_no_endpoints_share_no_prefix() -> None:
    assert shared_prefixes([]) == []
    assert groups_of([], PartKind.PREFIX) == []


def test_each_endpoint_has_a_path_but_not_each_has_a_tag_or_a_known_file() -> None:
    bare, whole = of("/a"), of("/a", "x", source="a.py:1")
    assert [has_part(replace(bare, source=""), kind) for kind in PartKind] == [False, True, False]
    assert [has_part(whole, kind) for kind in PartKind] == [True, True, True]
