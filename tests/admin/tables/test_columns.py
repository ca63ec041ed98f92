"""All that is said of a column is there: the content of its cells, and the classes of its CSS."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastapi_lens.admin.tables import callers, cleanup, endpoints, exceptions, groups, requests
from fastapi_lens.admin.tables.column import Column, Head, cells_of, heads
from fastapi_lens.reporting.parts import PartKind

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "templates" / "fastapi_lens"
STATIC = ROOT / "static" / "fastapi_lens"
CSS = "".join((STATIC / name).read_text(encoding="utf-8") for name in ("lens.css", "cleanup.css"))
TABLES: tuple[tuple[str, Sequence[Column[Any]]], ...] = (
    ("endpoints/_cells.html", endpoints.COLUMNS),
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
