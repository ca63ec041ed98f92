"""No cell of an exported file is a formula, however a spreadsheet divides its lines."""

import csv
import io
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.cli.report import Format, as_text, read_report
from fastapi_lens.reporting.documents.csv_table import csv_line, harmless
from tests.admin.conftest import Site
from tests.attack.corpus import FORMULAS

STARTS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
ALPHABET = st.sampled_from(STARTS + "\t\r\n;,\"'| ax1/\xa0\u3000\u2003\u202f")


class FormulaError(Exception):
    """Its message is a formula."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose endpoints, requests and exceptions are all formulas."""
    app = FastAPI()

    def crash() -> None:
        raise FormulaError(FORMULAS[0])

    folder = tmp_path_factory.mktemp("formulas")
    app.add_api_route("/crash", crash, name=FORMULAS[0], tags=[FORMULAS[1]])
    found = Site(app, db_path=str(folder / "lens.db"), log_sample_rate=1.0, log_query_values=True)
    for formula in FORMULAS:
        found.lens.recorder.count(method="GET", path=formula, status=200, duration_ns=1)
    app.add_api_route("/{rest:path}", lambda rest: rest, methods=["GET"])
    with pytest.raises(FormulaError):
        found.client.get("/crash")
    for formula in FORMULAS:
        found.client.get("/" + quote(formula, safe=";"), params={formula: "=1"},
                         headers={"User-Agent": "=1+1/2"})  # fmt: skip
    assert found.lens.flusher.flush()
    yield found
    found.lens.stop()


def formulas(text: str) -> list[str]:
    """Cells that some spreadsheet takes for a formula: commas, semicolons or tabs divide them."""
    found: list[str] = []
    for delimiter in (",", ";", "\t"):
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            found += row
    # What takes a quotation mark for a letter, or leaves it out.
    for cell in re.split(r"[;\t\r\n]", text):
        found += (cell, cell.replace('"', ""))
    return [cell for cell in found if cell.strip()[:1] in tuple(STARTS)]


@pytest.mark.parametrize(
    ("file", "formula"),
    [("endpoints.csv", "1+1"), ("requests.csv", "1+1"), ("cleanup.csv", "HYPERLINK")],
)
def test_no_cell_of_a_file_of_the_admin_is_a_formula(site: Site, file: str, formula: str) -> None:
    text = site.get(f"/lens/{file}").text
    assert formula in text
    assert formulas(text) == []


def test_no_cell_of_the_command_lines_file_is_a_formula(site: Site) -> None:
    lens = site.lens
    report = read_report(
        lens.database, lens.config, app=lens.app_name, days=None, status=None, now=lens.clock()
    )
    text = as_text(report, Format.CSV)
    assert "1+1" in text
    assert formulas(text) == []


@given(st.lists(st.text(ALPHABET, max_size=12), max_size=4))
def test_no_text_makes_a_formula_of_its_cell(texts: list[str]) -> None:
    assert formulas(csv_line(["x", *texts])) == []


@pytest.mark.parametrize("text", ["/users", "/a;b=1", "GET", "", "a-b", "x=1", "a;'b"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


def test_numbers_stay_numbers() -> None:
    assert csv_line([-1.5, None, 3, "-1"]) == "-1.5,,3,'-1\r\n"


@pytest.mark.parametrize("line", ["x,=1", 'x,";=1"', 'x,";""=1"', 'x,"\t=1"', "x, =1", "x;+1"])
def test_the_check_sees_a_formula(line: str) -> None:
    assert formulas(line)
