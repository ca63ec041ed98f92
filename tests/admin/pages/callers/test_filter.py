"""Lists that are filtered by a caller, and callers in the request log and of an exception."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_lens.storage.schema.identities import caller_id
from fastapi_lens.storage.schema.models import CallerKind
from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import BILLING, PROBE, page_of
from tests.support.pages import field, figures, link, links, page_text, part, table

MakeSite = Callable[..., Site]
BY_BILLING = f"caller={BILLING.id:016x}"


def name_of(scope: Any) -> str | None:
    """The caller that a header names."""
    name = dict(scope["headers"]).get(b"x-name")
    return None if name is None else str(name.decode())


@pytest.fixture
def logged(make_site: MakeSite) -> Site:
    """A site whose requests are all logged, some with a caller."""
    app = FastAPI()
    app.add_api_route("/a", lambda: 1)

    @app.get("/broken")
    def broken() -> None:
        raise LookupError("broken")

    site = make_site(app, consumer=name_of, log_sample_rate=1.0, log_slowest=0)
    site.client.get("/a", headers={"x-name": "web"})
    site.client.get("/a", headers={"x-name": "billing-service"})
    site.client.get("/a")
    for name, calls in (("billing-service", 2), ("web", 1)):
        for _ in range(calls):
            with pytest.raises(LookupError):
                site.client.get("/broken", headers={"x-name": name})
    assert site.lens.flusher.flush()
    return site


def key(name: str) -> str:
    return f"{caller_id('site', CallerKind.HOOK, name):016x}"


def test_the_list_of_endpoints_shows_those_of_one_caller(called: Site) -> None:
    text = called.get(f"/lens/endpoints?{BY_BILLING}&days=all").text
    assert sorted(table(text, "Endpoints with").names) == ["GET /users/{user_id}", "POST /users"]
    chip = link(text, "called by billing-service : show all callers")
    assert chip.href == "/lens/endpoints?days=all"
    assert link(text, "All 2").current
    assert "2 endpoints of 3" in page_text(text)
    assert field(text, "caller").value == f"{BILLING.id:016x}"
    assert all(BY_BILLING in one.href for one in links(text) if one.name in ("CSV", "JSON", "30d"))
    assert link(text, "Clear filters").href == "/lens/endpoints?days=all"
    fragment = called.fragment(f"/lens/endpoints?days=all&{BY_BILLING}")
    assert fragment.headers["hx-push-url"] == f"/lens/endpoints?{BY_BILLING}&days=all"


def test_a_caller_can_be_combined_with_other_filters(called: Site) -> None:
    text = called.get(f"/lens/endpoints?{BY_BILLING}&method=POST").text
    assert table(text, "Endpoints with").names == ["POST /users"]
    text = called.get(f"/lens/endpoints?caller={PROBE.id:016x}&method=POST").text
    assert "No endpoint matches" in text


def test_an_unknown_caller_is_named_by_its_key_and_has_no_endpoints(called: Site) -> None:
    text = called.get("/lens/endpoints?caller=00000000000000ab").text
    assert "No endpoint matches" in text
    assert "called by unknown caller 00000000000000ab" in page_text(text)
    assert "called by" not in called.get("/lens/endpoints?caller=nonsense").text
    assert "called by" not in called.get("/lens/endpoints?caller=0000000000000000").text


def test_the_files_of_endpoints_respect_the_caller(called: Site) -> None:
    answer = called.get(f"/lens/endpoints.csv?{BY_BILLING}")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert sorted(row["path"] for row in rows) == ["/users", "/users/{user_id}"]
    found = json.loads(called.get(f"/lens/endpoints.json?{BY_BILLING}").text)
    assert len(found["endpoints"]) == 2
    assert found["view"] == f"?{BY_BILLING}&days=7"


def test_the_request_log_names_callers_and_is_filtered_by_one(logged: Site) -> None:
    text = logged.get("/lens/requests").text
    found = table(text, "Logged requests")
    assert sorted(found.column("Caller")) == [
        *("billing-service", "billing-service", "billing-service"),
        *("testclient", "web", "web"),
    ]
    text = logged.get(f"/lens/requests?caller={key('web')}&q=a").text
    assert table(text, "Logged requests").column("Caller") == ["web"]
    assert link(text, "called by web : show all callers").href == "/lens/requests?q=a&days=7"
    assert link(text, "CSV").href == f"/lens/requests.csv?q=a&caller={key('web')}&days=7"
    rows = csv.DictReader(io.StringIO(logged.get(link(text, "CSV").href).text, newline=""))
    assert [row["caller"] for row in rows] == ["web"]
    everything = json.loads(logged.get("/lens/requests.json").text)["requests"]
    assert [one["caller"] for one in everything].count("testclient") == 1
    newer = logged.fragment(f"/lens/requests/new?caller={key('web')}&before=0000000000000001")
    assert "2 new" in newer.text


def test_a_log_without_callers_has_no_column_of_them(make_site: MakeSite) -> None:
    site = make_site(log_sample_rate=1.0, log_slowest=0)
    site.client.get("/health")
    assert site.lens.flusher.flush()
    assert "Caller" not in table(site.get("/lens/requests").text, "Logged requests").columns


def test_the_page_of_a_request_names_its_caller(logged: Site) -> None:
    rows = table(logged.get("/lens/requests?q=/a").text, "Logged requests").rows
    pages = [logged.get(row.links[0].href).text for row in rows]
    assert sorted(figures(one)["Caller"] for one in pages) == [
        *("billing-service", "testclient", "web"),
    ]


def test_the_page_of_an_exception_names_who_met_it(logged: Site) -> None:
    (row,) = table(logged.get("/lens/exceptions").text, "Exceptions by type").rows
    text = logged.get(row.links[0].href).text
    assert figures(text)["Callers"] == "billing-service 2 web 1 of the logged requests"
    # In the facts, and in each of the requests around it.
    assert {one.href for one in links(text) if one.name == "web"} == {f"/lens/callers/{key('web')}"}


def test_an_exception_that_nobody_with_a_name_met_has_no_callers(make_site: MakeSite) -> None:
    app = FastAPI()

    @app.get("/broken")
    def broken() -> None:
        raise LookupError("broken")

    site = make_site(app)
    with pytest.raises(LookupError):
        site.client.get("/broken")
    assert site.lens.flusher.flush()
    (row,) = table(site.get("/lens/exceptions").text, "Exceptions by type").rows
    assert "Callers" not in figures(site.get(row.links[0].href).text)


def test_the_page_of_an_endpoint_names_the_callers_of_its_requests(logged: Site) -> None:
    endpoint = next(one for one in links(logged.get("/lens/").text) if one.name.endswith("/a"))
    text = logged.get(endpoint.href).text
    assert sorted(table(text, "Logged requests").column("Caller")) == [
        *("billing-service", "testclient", "web"),
    ]
    assert part(text, "callers") is not None


def test_a_forgotten_caller_is_no_longer_named_in_the_log(logged: Site) -> None:
    own = {"Origin": "http://testserver"}
    logged.client.post(f"/lens/callers/{key('web')}/forget", headers=own)
    text = logged.get("/lens/requests").text
    assert table(text, "Logged requests").column("Caller").count("–") == 2
    assert page_of(BILLING) in [one.href for one in links(text)]
