"""All that is said of a column is there: the content of its cells, and the classes of its CSS."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastapi_lens.admin.tables import callers, cleanup, endpoints, exceptions, groups, requests
from fastapi_lens.admin.tables.column import Column, Head, cells_of, fitted, heads
from fastapi_lens.reporting.parts import PartKind
from fastapi_lens.settings.status import Status

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "templates" / "fastapi_lens"
STATIC = ROOT / "static" / "fastapi_lens"
CSS = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("lens.css", "cleanup.css"))
TABLES: tuple[tuple[str, Sequence[Column[Any]]], ...] = (
    ("endpoints/_cells.html", endpoints.view_columns(endpoints.CHOICES, None, "calls")),
    ("_requests_cells.html", requests.columns(with_callers=True, with_clients=True)),
    ("_exceptions_cells.html", exceptions.COLUMNS),
    ("callers/_cells.html", callers.CALLER_COLUMNS),
    ("callers/_uses_cells.html", callers.USE_COLUMNS),
    ("endpoint/_callers_cells.html", callers.ENDPOINT_COLUMNS),
)
EXPLAINED = (
    *TABLES,
    ("cleanup", cleanup.COLUMNS),
    ("removed", cleanup.REMOVED_COLUMNS),
    ("groups", groups.columns_of(PartKind.TAG)),
)


@pytest.mark.parametrize(("template", "columns"), TABLES)
def test_every_column_has_a_macro_for_its_cells(
    template: str, columns: Sequence[Column[Any]]
) -> None:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    macros = set(re.findall(r"\{% macro (\w+)\(row\) %\}", text))
    assert macros == {column.name for column in columns}


@pytest.mark.parametrize(("template", "columns"), TABLES)
def test_the_classes_of_every_column_are_in_the_css(
    template: str, columns: Sequence[Column[Any]]
) -> None:
    known = set(re.findall(r"\.([\w-]+)", CSS))
    for column in columns:
        classes = (column.cell_classes, column.header_classes, column.width_classes)
        assert set(" ".join(classes).split()) <= known, f"{column.name} of {template}"


@pytest.mark.parametrize(("template", "columns"), TABLES)
def test_a_table_has_one_column_that_names_its_rows_and_no_name_twice(
    template: str, columns: Sequence[Column[Any]]
) -> None:
    names = [column.name for column in columns]
    assert len(set(names)) == len(names), template
    assert [column.is_row_header for column in columns].count(True) == 1


@pytest.mark.parametrize(("template", "columns"), EXPLAINED)
def test_every_column_is_explained_in_a_sentence(
    template: str, columns: Sequence[Column[Any]]
) -> None:
    for column in columns:
        assert column.title.endswith((".", "?")), f"{column.name} of {template}"


def test_a_column_says_how_wide_it_is_and_from_which_window_on_it_is_shown() -> None:
    column: Column[Any] = Column(
        name="a", header="A", width="22p", from_width=800, css="left", header_css="apart"
    )
    assert column.width_classes == "w-22p from-800"
    assert column.cell_classes == "left from-800"
    assert column.header_classes == "left apart from-800"
    bare: Column[Any] = Column(name="a", header="A")
    assert (bare.width_classes, bare.cell_classes, bare.header_classes) == ("", "", "")
    assert heads([bare]) == [Head(bare)]


def test_a_missing_macro_is_an_error_before_the_first_row() -> None:
    column: Column[Any] = Column(name="gone", header="Gone")
    with pytest.raises(AttributeError, match="gone"):
        cells_of([Head(column)], object())


def on_a_phone(status: Status | None, sort: str, chosen: Sequence[str] = ()) -> list[str]:
    shown = endpoints.view_columns(chosen, status, sort)
    return [column.name for column in shown if column.from_width is None]


@pytest.mark.parametrize(
    ("status", "sort", "names"),
    [
        (None, "calls", ["path", "calls", "p95"]),
        (None, "path", ["path", "calls", "p95"]),
        (Status.ACTIVE, "calls", ["path", "calls", "p95"]),
        (None, "errors_5xx", ["path", "errors_5xx"]),
        (None, "errors_4xx", ["path", "errors_4xx"]),
        (None, "p99", ["path", "calls", "p99"]),
        (None, "calls_change", ["path", "calls", "calls_change"]),
        (Status.COLD, "calls", ["path", "total", "last"]),
        (Status.DEAD, "calls", ["path", "total", "last"]),
        (Status.NEVER_CALLED, "calls", ["path", "total", "last"]),
        (Status.DEAD, "total", ["path", "total", "last"]),
    ],
)
def test_a_phone_shows_the_columns_that_the_view_is_about(
    status: Status | None, sort: str, names: list[str]
) -> None:
    assert on_a_phone(status, sort) == names


def test_of_many_chosen_columns_a_window_shows_those_that_it_has_room_for() -> None:
    assert on_a_phone(None, "calls", endpoints.CHOICES) == ["path", "calls", "p95"]
    assert on_a_phone(None, "calls", ["handler", "first"]) == ["path", "handler"]
    every = endpoints.view_columns(endpoints.CHOICES, None, "calls")
    assert {column.from_width for column in every} >= {None, 640, 800, 1040, 1240, 1400}
    assert max(column.from_width or 0 for column in every) == 1800


def test_columns_that_nobody_ranks_follow_from_left_to_right() -> None:
    columns: list[Column[Any]] = [
        Column(name="row", header="Row", is_row_header=True),
        *(Column(name=name, header=name, width=150) for name in "abc"),
    ]
    shown = fitted(columns, ["c"])
    assert [one.from_width for one in shown] == [None, 640, 800, None]
