"""The list of endpoints as a file."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_lens.reporting.documents.csv_table import COLUMNS, csv_rows, harmless
from fastapi_lens.reporting.documents.report import EndpointStats
from tests.admin.conftest import Site

MakeSite = Callable[..., Site]


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_both_files_hold_what_the_report_says(site: Site) -> None:
    site.count("GET", "/users/{user_id}", 3)
    site.count("GET", "/health", status=503)
    reported = site.get("/lens/report").json()["endpoints"]
    as_csv, as_json = (
        site.get("/lens/endpoints.csv?days=all"),
        site.get("/lens/endpoints.json?days=all"),
    )
    exported = as_json.json()["endpoints"]
    for row in (*reported, *exported):
        row.pop("days_since_last_call")
    assert [{name: row[name] for name in reported[0]} for row in exported] == reported
    assert [row["path"] for row in table(as_csv.text)] == [row["path"] for row in reported]
    assert table(as_csv.text)[0]["total_calls"] == "3"
    assert table(as_csv.text)[-1]["last_called_at"] == ""
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert as_json.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_file_has_a_name_and_stays_out_of_caches(site: Site, kind: str) -> None:
    headers = site.get(f"/lens/endpoints.{kind}").headers
    assert headers["content-disposition"].startswith('attachment; filename="endpoints-20')
    assert headers["content-disposition"].endswith(f'.{kind}"')
    assert headers["cache-control"] == "private, no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_view_s_filters_order_and_window_hold_and_its_page_does_not(
    make_site: MakeSite,
) -> None:
    app = FastAPI()
    for number in range(450):
        app.add_api_route(f"/things/{number:03}", lambda: None, methods=["GET"])
    site = make_site(app)
    site.count("GET", "/things/007", 5)
    site.count("GET", "/things/107", 9)
    rows = table(site.get("/lens/endpoints.csv?q=7&sort=-calls&page=2").text)
    assert [row["path"] for row in rows[:3]] == ["/things/107", "/things/007", "/things/017"]
    assert len(rows) == sum("7" in f"{number:03}" for number in range(450))
    assert len(table(site.get("/lens/endpoints.csv?status=never_called").text)) == 448
    found = site.get("/lens/endpoints.json?q=7&sort=path&page=2&x=y").json()
    assert found["view"] == "?q=7&days=7&sort=path&page=2"
    assert found["endpoints"][0]["path"] == "/things/007"


def test_a_list_without_rows_is_a_file_without_rows(site: Site) -> None:
    assert table(site.get("/lens/endpoints.csv?q=nothing-like-it").text) == []
    assert site.get("/lens/endpoints.json?q=nothing-like-it").json()["endpoints"] == []


def test_the_page_links_to_the_files_of_its_view(site: Site) -> None:
    text = site.get("/lens/endpoints?q=user&sort=path").text
    for kind in ("csv", "json"):
        assert f'href="/lens/endpoints.{kind}?q=user&amp;days=7&amp;sort=path" download' in text


def test_a_file_needs_the_key_like_everything_else(make_site: MakeSite) -> None:
    site = make_site(report_key="secret")
    answer = site.get("/lens/endpoints.csv?q=x")
    assert answer.status_code == 303
    assert "/lens/login" in answer.headers["location"]


def test_a_database_that_cannot_be_read_is_no_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise OSError

    monkeypatch.setattr(site.lens.reader, "endpoints", fail)
    for kind in ("csv", "json"):
        answer = site.get(f"/lens/endpoints.{kind}")
        assert answer.status_code == 500
        assert "content-disposition" not in answer.headers


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"),
     ("\t=1", "\\t=1"), ("\r=1", "\\r=1"), ("\u202e=1", "\\u202e=1"), ("/\u200bx", "/\\u200bx")],
)  # fmt: skip
def test_no_cell_is_taken_for_a_formula_or_for_another_text(text: str, cell: str) -> None:
    known = {"status": "dead", "method": "GET", "path": text, "verdict": None, "safe_from": None}
    values = dict.fromkeys(COLUMNS, 0) | known
    rows = csv_rows([EndpointStats.model_validate(values)])
    (row,) = table("".join(rows))
    assert row["path"] == cell
    assert harmless("/users") == "/users"
