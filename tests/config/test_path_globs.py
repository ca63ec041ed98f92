from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.config.path_globs import matches, matches_any
from tests.support.counting import CountedPath, CountedSegment

pytestmark = pytest.mark.unit

SEGMENTS = st.sampled_from(["", "a", "b", "ab", "{id}"])
PATHS = st.lists(SEGMENTS, max_size=6).map("/".join)
PATTERNS = st.lists(SEGMENTS | st.sampled_from(["*", "**"]), max_size=6).map("/".join)


def naive(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """The definition of the globs, word by word."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(naive(pattern[1:], path[taken:]) for taken in range(len(path) + 1))
    return bool(path) and pattern[0] in ("*", path[0]) and naive(pattern[1:], path[1:])


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/health", "/health", True),
        ("/health", "/healthcare", False),
        ("/health", "/health/", False),
        ("/health/", "/health", False),
        ("/health", "/v1/health", False),
        ("/v1/*/ping", "/v1/users/ping", True),
        ("/v1/*/ping", "/v1/ping", False),
        ("/v1/*/ping", "/v1/a/b/ping", False),
        ("/v1/us*", "/v1/users", False),
        ("/internal/**", "/internal", True),
        ("/internal/**", "/internal/a/b", True),
        ("/internal/**", "/internals", False),
        ("**/ping", "/ping", True),
        ("**/ping", "/a/b/ping", True),
        ("**/ping", "/a/b/ping/c", False),
        ("**", "/", True),
        ("/users/{id}", "/users/{id}", True),
        ("/users/*", "/users/{id}", True),
    ],
)
def test_a_glob_covers_whole_segments(pattern: str, path: str, *, covered: bool) -> None:
    assert matches(pattern, path) is covered


@given(PATTERNS, PATHS)
def test_a_glob_covers_what_its_definition_says(pattern: str, path: str) -> None:
    assert matches(pattern, path) is naive(pattern.split("/"), path.split("/"))


def test_many_stars_take_no_exponential_time() -> None:
    before = CountedSegment.compared
    pattern, path = "/".join(["**", "a"] * 30 + ["b"]), "/".join(["a"] * 200)
    assert not matches(CountedPath(pattern), CountedPath(path))
    compared = CountedSegment.compared - before
    assert 0 < compared < 5 * len(pattern.split("/")) * len(path.split("/"))


def test_one_of_several_globs_is_enough() -> None:
    assert matches_any(["/a", "/b/**"], "/b/c")
    assert not matches_any(["/a", "/b/**"], "/c")
    assert not matches_any([], "/c")
