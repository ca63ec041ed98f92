"""The report of callers: who calls which endpoint."""

import csv
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from tests.admin.conftest import Site

DAY = 86_400


@pytest.fixture
def shop(make_site: Callable[..., Site]) -> Site:
    """A site whose callers name themselves in a header."""
    app = FastAPI()

    @app.get("/orders")
    def orders() -> None:
        """Anybody may call it."""

    @app.get("/exports")
    def exports() -> None:
        """Anybody may call it."""

    return make_site(app, callers="key", caller_header="x-caller")


def call(shop: Site, path: str, caller: str) -> None:
    assert shop.client.get(path, headers={"x-caller": caller}).status_code == 200
    assert shop.lens.flusher.flush()


def callers(shop: Site, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.get(f"/lens/report/callers{query}").json()["callers"]
    return found


def key_of(shop: Site, path: str) -> str:
    endpoints = shop.get("/lens/report/evidence").json()["endpoints"]
    return next(one["key"] for one in endpoints if one["path"] == path)


def test_each_pair_of_an_endpoint_and_a_caller_is_in_the_report(shop: Site) -> None:
    for path, caller in (("/orders", "one"), ("/orders", "two"), ("/exports", "one")):
        call(shop, path, caller)
    found = shop.get("/lens/report/callers").json()
    assert found["sentence"] is None
    assert (found["since"]["complete"], found["more"]) == (True, 0)
    assert sorted(one["path"] for one in found["callers"]) == ["/exports", "/orders", "/orders"]
    one = next(one for one in found["callers"] if one["path"] == "/exports")
    assert (one["calls"], one["days"], one["kind"], one["noise"]) == (1, 1, "key", False)
    assert one["name"].startswith("key …")


def test_a_report_of_one_endpoint_has_its_callers_alone(shop: Site) -> None:
    call(shop, "/orders", "one")
    call(shop, "/exports", "two")
    key = key_of(shop, "/exports")
    assert [one["endpoint"] for one in callers(shop, f"?endpoint={key}")] == [key]


def test_an_unknown_endpoint_is_not_found_and_a_wrong_key_is_refused(shop: Site) -> None:
    unknown = shop.get(f"/lens/report/callers?endpoint={7:016x}")
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"detail": "there is no endpoint 0000000000000007"},
    )
    wrong = shop.get("/lens/report/callers?endpoint=orders")
    assert wrong.status_code == 422
    assert wrong.json()["detail"].startswith("endpoint must be the key of one")


def test_an_ignored_endpoint_has_no_callers_in_the_report(make_site: Callable[..., Site]) -> None:
    site = make_site(callers="agent", exclude_paths=["/users"])
    site.client.get("/users")
    site.client.get("/health")
    assert site.lens.flusher.flush()
    assert [one["path"] for one in callers(site)] == ["/health"]


def test_where_callers_are_off_the_report_is_empty_and_says_why(site: Site) -> None:
    site.count("GET", "/health")
    found = site.get("/lens/report/callers").json()
    assert (found["callers"], found["since"]) == ([], None)
    assert found["sentence"].startswith("Callers are not recorded.")


def test_it_needs_a_key_where_one_is_set(make_site: Callable[..., Site]) -> None:
    site = make_site(report_key="a-key-of-the-tests")
    assert site.get("/lens/report/callers").status_code == 403
    with_key = site.get("/lens/report/callers", **{"X-Lens-Key": "a-key-of-the-tests"})
    assert with_key.status_code == 200


def test_the_same_is_there_as_csv(shop: Site) -> None:
    call(shop, "/orders", "one")
    call(shop, "/exports", "two")
    answer = shop.get("/lens/uses.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(answer.text.splitlines()))
    assert [row["path"] for row in rows] == [one["path"] for one in callers(shop)]
    key = key_of(shop, "/exports")
    only = shop.get(f"/lens/uses.csv?endpoint={key}").text.splitlines()
    assert len(only) == 2
    assert shop.get(f"/lens/uses.csv?endpoint={7:016x}").status_code == 404


def test_the_evidence_and_the_report_name_the_same_callers(shop: Site) -> None:
    call(shop, "/orders", "one")
    evidence = shop.get("/lens/report/evidence").json()
    assert evidence["callers"]["complete"]
    named = {one["path"]: one["callers"] for one in evidence["endpoints"]}
    assert [one["name"] for one in named["/orders"]] == [callers(shop)[0]["name"]]
    assert named["/exports"] == []
