"""No text that comes from outside takes longer than its length allows: nothing goes back and tries
again. What would take years otherwise is over at once, or the suite's own limit of time ends it.
"""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastapi_lens
from fastapi_lens.admin.access.authenticator import safe_next
from fastapi_lens.admin.display.filter_and_sort import filter_and_sort
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.config.path_globs import matches
from fastapi_lens.recording.log.redaction import query_text
from fastapi_lens.reporting.documents.csv_table import harmless
from fastapi_lens.text.user_agents import family
from tests.admin.make import endpoint
from tests.support.counting import CountedPath, CountedSegment

PACKAGE = Path(fastapi_lens.__file__).parent


def steps(pattern: str, path: str) -> int:
    """Comparisons of segments that a glob takes on a path that it does not cover."""
    before = CountedSegment.compared
    assert not matches(CountedPath(pattern), CountedPath(path))
    return CountedSegment.compared - before


def test_a_globs_time_grows_with_the_product_of_both_lengths_at_most() -> None:
    # Each ** could stand for any number of segments: 2 to the power of their number tries.
    found = [
        steps("/**/a" * stars + "/b", "/a" * segments)
        for stars, segments in ((10, 40), (20, 80), (40, 160))
    ]
    bounds = [6 * 2 * stars * segments for stars, segments in ((10, 40), (20, 80), (40, 160))]
    assert all(0 < count <= bound for count, bound in zip(found, bounds, strict=True)), found


@pytest.mark.parametrize(
    "pattern", ["/**" * 100 + "/x", "/**/a" * 100 + "/x", "/*" * 200 + "/x", "/**/*" * 99 + "/**/x"]
)
def test_a_glob_that_would_take_years_is_over_at_once(pattern: str) -> None:
    assert not matches(pattern, "/a" * 200)


LONG = [
    *("a" * 60_000, " " * 60_000, "%" * 60_000, "&" * 60_000, "=" * 60_000, ";" * 60_000),
    *('"' * 60_000, "/" * 60_000, "\t=" * 30_000, ';"' * 30_000, "9" * 60_000, "é" * 30_000),
    *("../" * 20_000, "(" * 60_000, "a=b&" * 15_000, "Mozilla/" * 7_000, "-" * 60_000),
]


@pytest.mark.parametrize("text", LONG, ids=lambda text: f"{len(text)} x {text[:2]!r}")
def test_a_very_long_text_is_read_at_once(text: str) -> None:
    for kind in (EndpointsQuery, EndpointQuery, RequestsQuery, ExceptionsQuery):
        for name in ("q", "tag", "status", "method", "days", "sort", "from", "min_ms", "endpoint"):
            kind.parse(f"?{name}={text}&to={text[:9]}")
    filter_and_sort([endpoint(text[:5_000])], EndpointsQuery(q=text))
    safe_next(f"/lens/{text}"[:2_048], "/lens")
    harmless(text)
    query_text(text.encode("latin-1", "replace"), values=False)
    family(text.encode())


@given(st.text(max_size=40))
def test_a_search_is_no_pattern(text: str) -> None:
    found = filter_and_sort([endpoint(f"/{text}x")], EndpointsQuery(q=text))
    assert len(found.matching) == 1 or not text.isprintable() or text != text.casefold()


OF_ROUTES = frozenset({"endpoint_matcher.py"})
"""Modules whose patterns are made of the templates of the application's own routes, for a command
that is run by hand."""


def test_no_pattern_is_made_of_what_comes_from_outside() -> None:
    """Every other regular expression of the package stands in it as it is."""
    found = [
        f"{file.name}: {ast.unparse(node)}"
        for file in PACKAGE.rglob("*.py")
        if file.name not in OF_ROUTES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) in ("re", "fnmatch")
        and not _is_constant(node.args[0])
    ]
    assert found == []


def _is_constant(pattern: ast.expr) -> bool:
    """True for a string, or one built from constants of its module."""
    if isinstance(pattern, ast.JoinedStr):
        return all(map(_is_constant, pattern.values))
    if isinstance(pattern, ast.FormattedValue):
        return isinstance(pattern.value, ast.Name) and pattern.value.id.isupper()
    return isinstance(pattern, ast.Constant)
