"""The pages of the request log."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, Response, WebSocket
from fastapi.testclient import TestClient

from fastapi_lens.admin.display.request_log import kept_words
from fastapi_lens.reporting.log.request_log import LogFilter
from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.schema.tables import ENDPOINT
from fastapi_lens.storage.writing.drain import drain_all
from tests.admin.conftest import Site, an_app
from tests.support.addresses import ClientAt
from tests.support.pages import (
    Link,
    Table,
    addresses,
    field,
    figures,
    link,
    links,
    page_text,
    table,
    tables,
)

MakeSite = Callable[..., Site]
HOSTILE = "<script>alert(1)</script>"


class Logged:
    """A site whose every request is in the log, and a client whose errors stay in it."""

    def __init__(self, make_site: MakeSite, **settings: Any) -> None:
        app = an_app()

        @app.get("/crash/{name}")
        def crash(name: str) -> None:
            raise LookupError(f"no {name}")

        @app.get("/status/{number}")
        def status(number: int) -> Any:
            return Response(status_code=number)

        self.site = make_site(app, **{"log_sample_rate": 1.0, "log_slowest": 0, **settings})
        self.client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)

    def ask(self, *paths: str, **headers: str) -> None:
        for path in paths:
            self.client.get(path, headers=headers)
        assert self.site.lens.flusher.flush(ending=True)

    def page(self, path: str = "") -> str:
        answer = self.site.get(f"/lens/requests{path}")
        assert answer.status_code == 200
        text: str = answer.text
        return text


@pytest.fixture
def logged(make_site: MakeSite) -> Logged:
    return Logged(make_site)


def listed(text: str) -> Table:
    return table(text, "Logged requests")


def paths(text: str) -> list[str]:
    """The paths of the requests, without their queries, from the top."""
    requests = [one for name, one in tables(text).items() if name.startswith("Logged requests")]
    return [row.name.split()[1].partition("?")[0] for one in requests for row in one.rows]


def exceptions(text: str) -> Table:
    return table(text, "Exceptions by type")


def keys(text: str) -> list[str]:
    """The keys of the requests, from the top."""
    return [row.links[0].href.removeprefix("/lens/requests/") for row in listed(text).rows]


def test_the_list_has_the_newest_first_with_all_that_is_kept(logged: Logged) -> None:
    logged.ask("/users/1?page=2&secret=hunter2", **{"User-Agent": "curl/8.1"})
    logged.ask("/crash/x")
    text = logged.page()

    assert listed(text).names == ["GET /crash/x", "GET /users/1?page&secret"]
    assert "hunter2" not in text
    crash, user = listed(text).rows
    assert (crash["Status"], crash["Exception"]) == ("500", "LookupError")
    assert (crash["Kept because"], user["Client"]) == ("Error", "curl")
    assert Link("Requests", "/lens/requests", current=True) in links(text)
    assert "up to 60 server errors per minute and 100% of all requests" in text


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?status=5xx", ["/status/503", "/crash/x"]),
        ("?status=404", ["/status/404"]),
        ("?q=USERS", ["/users/1"]),
        ("?q=lookuperror", ["/crash/x"]),
        ("?reason=error", ["/status/503", "/crash/x"]),
        ("?method=POST", []),
        ("?min_ms=60000", []),
        ("?status=nonsense", ["/status/503", "/status/404", "/crash/x", "/users/1"]),
    ],
)
def test_filters_narrow_the_list(logged: Logged, query: str, found: list[str]) -> None:
    logged.ask("/users/1", "/crash/x", "/status/404", "/status/503")
    assert paths(logged.page(query)) == found


def test_what_the_address_filters_by_is_chosen_in_the_form(logged: Logged) -> None:
    text = logged.page("?status=404&method=TRACE&min_ms=250&reason=slow&q=a")
    for name, value, label in (
        ("status", "404", "404"),
        ("method", "TRACE", "TRACE"),
        ("min_ms", "250", "≥ 250 ms"),
        ("reason", "slow", "Slowest"),
    ):
        chosen = field(text, name)
        assert (chosen.value, chosen.choice) == (value, label)
    assert field(text, "q").value == "a"
    assert "No request matches" in text
    clear = {one.href for one in links(text) if one.name == "Clear filters"}
    assert clear == {"/lens/requests?days=7"}


def test_pages_lead_to_what_is_older_and_back_to_the_newest(logged: Logged) -> None:
    logged.ask(*(f"/users/{number}" for number in range(60)))
    first = logged.page("?method=GET")
    second = logged.page(link(first, "Older").href.removeprefix("/lens/requests"))

    assert len(paths(first)) == 50
    assert paths(first) + paths(second) == [f"/users/{number}" for number in range(59, -1, -1)]
    assert link(second, "Newest").href == "/lens/requests?method=GET&days=7"
    assert "Older" not in [one.name for one in links(second)]
    assert "lens-live" not in second
    assert "Nothing older" in logged.page("?before=0000000000000001")


def test_what_is_new_is_counted_and_never_inserted(logged: Logged) -> None:
    logged.ask("/users/1")
    waits = [one for one in addresses(logged.page("?q=user")) if "/requests/new" in one]
    (address,) = waits

    nothing = logged.site.fragment(address)
    assert " new" not in page_text(nothing.text)
    again = logged.site.fragment(address, **{"If-None-Match": nothing.headers["ETag"]})
    assert (again.status_code, again.text) == (304, "")

    logged.ask("/users/2", "/users/3", "/health")
    some = logged.site.fragment(address, **{"If-None-Match": nothing.headers["ETag"]})
    assert link(some.text, "2 new").href == "/lens/requests?q=user&days=7"
    assert some.headers["HX-Push-Url"] == "false"
    assert logged.site.get(address).headers["location"] == "/lens/requests?q=user&days=7"


def test_very_many_new_ones_are_not_counted_to_the_end(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(logged.site.lens.reader.log), "newer", lambda *_, **__: 1_000)
    new = logged.site.fragment("/lens/requests/new").text
    assert link(new, "1,000+ new").href == "/lens/requests?days=7"


def test_a_request_has_a_page_with_its_exception_and_the_hosts_lines(logged: Logged) -> None:
    logged.ask("/crash/x?a=1")
    (key,) = keys(logged.page())
    page = logged.page(f"/{key}")
    text, facts = page_text(page), figures(page)

    assert (facts["Endpoint"], facts["Address"]) == ("GET /crash/{name}", "not kept")
    for told in (
        "GET /crash/x?a",
        "LookupError: no x",
        'raise LookupError(f"no {name}")',
        'File "tests/admin/pages/requests/test_page.py", line ',
    ):
        assert told in text
    assert logged.site.get("/lens/requests/0000000000000001").status_code == 404
    assert logged.site.get("/lens/requests/nonsense").status_code == 404


def test_a_request_says_that_messages_of_exceptions_are_switched_off(make_site: MakeSite) -> None:
    logged = Logged(make_site, log_exception_messages=False)
    logged.ask("/crash/x")
    (key,) = keys(logged.page())
    page = logged.page(f"/{key}")
    assert "Messages are switched off." in page_text(page)
    assert link(page, "switched off").href == "/lens/settings#recording"
    assert "no x" not in page_text(page)
    assert "no x" not in logged.site.get("/lens/exceptions.csv").text


def test_a_request_of_an_endpoint_that_is_forgotten_still_has_a_page(logged: Logged) -> None:
    logged.ask("/users/1")
    (key,) = keys(logged.page())
    with logged.site.lens.database.write() as connection:
        connection.execute(ENDPOINT.delete())
    assert figures(logged.page(f"/{key}"))["Endpoint"] == "–"
    endpoint = logged.site.lens.reader.log.requests(LogFilter())[0].endpoint_key
    assert f"endpoint {endpoint}" in logged.page(f"?endpoint={endpoint}")


def test_exceptions_are_listed_by_kind_and_each_has_a_page(logged: Logged) -> None:
    logged.ask("/crash/x", "/crash/y")
    listed = logged.site.get("/lens/exceptions").text
    (kind,) = exceptions(listed).rows
    assert (kind["Times"], kind["Message"]) == ("2", "no y")
    assert "1 exception type, 1 new in the last 7 days" in page_text(listed)

    page = logged.site.get(kind.links[0].href).text
    facts = figures(page)
    assert facts["Times"] == "2 in the last 7 days; 2 in all"
    assert facts["Endpoint"] == "GET /crash/{name}"
    for told in ("LookupError", "no y", "in Logged"):
        assert told in page_text(page)
    assert logged.site.get("/lens/exceptions/0000000000000001").status_code == 404
    assert "No exception matches" in logged.site.get("/lens/exceptions?q=nothing-like-it").text
    found = exceptions(logged.site.get("/lens/exceptions?q=NO+Y").text)
    assert found.names == [kind.name]


def test_an_endpoint_shows_its_latest_requests_and_its_exceptions(logged: Logged) -> None:
    logged.ask(*["/users/1"] * 12, "/crash/x")
    listed = {e.path: e.key for e in _endpoints(logged.site)}

    users = logged.site.get(f"/lens/endpoints/{listed['/users/{user_id}']}").text
    assert len(paths(users)) == 10
    of_users = f"/lens/requests?endpoint={listed['/users/{user_id}']}&days=7"
    assert link(users, "Show all requests").href == of_users
    crash = logged.site.get(f"/lens/endpoints/{listed['/crash/{name}']}").text
    assert exceptions(crash).rows[0].name.startswith("LookupError")
    of_crash = f"/lens/exceptions?endpoint={listed['/crash/{name}']}&days=7"
    assert link(crash, "Show all exceptions").href == of_crash
    health = logged.site.get(f"/lens/endpoints/{listed['/health']}").text
    assert "No logged requests. Each worker keeps" in health


def test_one_endpoint_alone_is_shown_and_left_again_in_both_lists(logged: Logged) -> None:
    logged.ask("/users/1", "/crash/x")
    key = {e.path: e.key for e in _endpoints(logged.site)}["/crash/{name}"]
    text = logged.page(f"?endpoint={key}&status=5xx")

    assert paths(text) == ["/crash/x"]
    only = link(text, "Only GET /crash/{name} : show all endpoints")
    assert only.href == "/lens/requests?status=5xx&days=7"
    assert field(text, "endpoint").value == key
    assert link(text, "Exceptions of this endpoint").href == (
        f"/lens/exceptions?endpoint={key}&days=7"
    )


def test_without_anything_in_it_the_log_says_what_it_will_keep(logged: Logged) -> None:
    assert "No requests logged yet" in logged.page()
    assert "No exceptions recorded in the last 7 days" in logged.site.get("/lens/exceptions").text


def test_a_log_that_is_off_says_so(make_site: MakeSite) -> None:
    off = Logged(make_site, log_sample_rate=0, log_errors_per_minute=0)
    assert "The request log is off" in off.page()
    assert "nothing new is kept" in off.page()
    assert kept_words(off.site.lens.settings.config) == ""
    listed = {e.path: e.key for e in _endpoints(off.site)}
    health = page_text(off.site.get(f"/lens/endpoints/{listed['/health']}").text)
    assert "No logged requests." in health
    assert "Each worker keeps" not in health


def test_a_single_way_to_keep_requests_is_told_without_an_and(make_site: MakeSite) -> None:
    site = make_site(log_sample_rate=0, log_errors_per_minute=0, log_slowest=3)
    assert kept_words(site.lens.settings.config) == "the slowest 3 per minute"


def test_addresses_have_a_column_when_they_are_kept(make_site: MakeSite) -> None:
    logged = Logged(make_site, log_clients="masked")
    logged.client = TestClient(ClientAt(logged.site.client.app, "203.0.113.9"))
    logged.ask("/users/1")
    text = logged.page()
    assert listed(text).column("Address") == ["203.0.113.0/24"]
    (key,) = keys(text)
    assert figures(logged.page(f"/{key}"))["Address"] == "203.0.113.0/24"


def test_the_files_have_what_the_list_has_on_all_its_pages(logged: Logged) -> None:
    logged.ask(*(f"/users/{number}" for number in range(60)), "/crash/x", "/status/404")
    text = logged.site.get("/lens/requests.csv?q=%2Fusers").text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    document = logged.site.get("/lens/requests.json?status=5xx&before=0000000000000001").json()

    assert len(rows) == 60
    assert (rows[0]["path"], rows[0]["endpoint_path"]) == ("/users/59", "/users/{user_id}")
    assert document["view"] == "?status=5xx&days=all"
    assert [(one["path"], one["exception"]) for one in document["requests"]] == [
        ("/crash/x", "LookupError")
    ]
    name = logged.site.get("/lens/requests.csv").headers["content-disposition"]
    assert re.fullmatch(r'attachment; filename="requests-[\d-]+\.csv"', name)


def test_text_of_clients_and_of_the_host_never_runs(make_site: MakeSite) -> None:
    app = FastAPI()

    @app.get("/any/{rest:path}")
    def crash(rest: str) -> None:
        raise ValueError(rest)

    site = make_site(app, log_sample_rate=1.0, log_query_values=True)
    client = TestClient(app, raise_server_exceptions=False)
    client.get(f"/any/{HOSTILE}?{HOSTILE}=1", headers={"User-Agent": f"{HOSTILE}/1"})
    assert site.lens.flusher.flush()
    call = site.lens.reader.log.requests(LogFilter())[0]
    endpoint = f"/lens/endpoints/{call.endpoint_key}"

    for path in (
        "/lens/requests",
        f"/lens/requests/{call.key}",
        "/lens/exceptions",
        f"/lens/exceptions/{call.exception_key}",
        endpoint,
        f"/lens/requests?q={HOSTILE}",
    ):
        answer = site.get(path)
        assert answer.status_code == 200
        assert HOSTILE not in answer.text


def test_what_htmx_pushes_is_the_address_of_the_view(logged: Logged) -> None:
    def pushed(path: str, *, source: str = "form#lens-filters", shown: str = "") -> Any:
        headers = logged.site.fragment(path, source=source, **{"HX-Current-URL": shown}).headers
        return {name: value for name, value in headers.items() if name.endswith("-url")}

    chosen = "/lens/requests?status=5xx&method=&q="
    assert pushed(chosen) == {"hx-push-url": "/lens/requests?status=5xx&days=7"}
    typed = {"source": "input#lens-q", "shown": "http://x/lens/requests?q=a"}
    assert pushed("/lens/requests?q=ab", **typed) == {
        "hx-replace-url": "/lens/requests?q=ab&days=7"
    }
    same = "http://x/lens/requests?q=a&days=7"
    assert pushed("/lens/requests?q=a", shown=same) == {"hx-push-url": "false"}
    assert pushed("/lens/exceptions?q=a") == {"hx-push-url": "/lens/exceptions?q=a&days=7"}


def _endpoints(site: Site) -> list[Any]:
    return site.lens.reader.endpoints(window=Window(), now=site.lens.clock())


def test_exceptions_are_not_sent_again_while_nothing_changes(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged.ask("/crash/x")
    # Otherwise the worker may add what it has written between the two questions.
    drain_all(logged.site.lens.database)
    # The present one: a worker that beat long before would count as gone until its next beat.
    now = logged.site.lens.clock()
    monkeypatch.setattr(logged.site.lens, "clock", lambda: now)
    tag = logged.site.fragment("/lens/exceptions").headers["etag"]
    again = logged.site.fragment("/lens/exceptions", **{"If-None-Match": tag})
    assert (again.status_code, again.text) == (304, "")
    logged.ask("/crash/y")
    more = logged.site.fragment("/lens/exceptions", **{"If-None-Match": tag})
    assert (more.status_code, exceptions(more.text).column("Times")) == (200, ["2"])


def test_a_websocket_has_the_time_that_it_was_open(make_site: MakeSite) -> None:
    app = an_app()

    @app.websocket("/chat")
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    site = make_site(app, log_sample_rate=1.0)
    with site.client.websocket_connect("/chat"):
        pass
    assert site.lens.flusher.flush(ending=True)
    listed = site.get("/lens/requests").text
    (row,) = table(listed, "Logged requests").rows
    assert row["Duration"] == "open for <1 s"
    assert "open for <1 s" in page_text(site.get(row.links[0].href).text)
