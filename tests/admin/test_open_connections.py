"""Pages and exports of endpoints whose connections are open, or were when a worker was killed."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket

from benchmarks.support.rows import worker
from benchmarks.support.writing import Writer
from fastapi_lens.admin.display.formats import connections, timestamp
from fastapi_lens.storage.coordination.heartbeat import beat
from fastapi_lens.storage.coordination.worker import Heartbeat
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.writing.batches import Batch, Use
from fastapi_lens.storage.writing.open_calls import as_text
from tests.admin.conftest import Site
from tests.admin.make import DAY, NOW
from tests.admin.pages.endpoint.test_page import key_of
from tests.support.pages import figures, page_text, table


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    app = FastAPI()

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()

    @app.get("/events")
    def events() -> None:
        pass

    made = make_site(app)
    made.lens.clock = made.lens.recorder.clock = lambda: NOW
    return made


def hold(site: Site, number: int, *, days: float, ended: bool = False) -> None:
    """So many connections that are open in another worker, the oldest for so many days."""
    now_us, since_us = round(NOW * 1e6), round((NOW - days * DAY) * 1e6)
    who = worker("another", app="site")
    identity = endpoint_id("site", "WEBSOCKET", "/talk")
    uses = [Use(identity, number, since_us, now_us)] if number else []
    database, writer = site.lens.database, Writer(site.lens.database, who)
    writer.register([], applied=0, now_us=now_us)
    writer.write(Batch(1, uses=tuple(uses), open_calls=as_text(uses)))
    beat(database, who, Heartbeat(now_us=now_us, complete_to_us=now_us, ended=ended))


def moment(epoch: float) -> str:
    return timestamp(epoch)[:16] + "Z"


def talk_page(site: Site, query: str = "") -> str:
    page: str = site.get(f"/lens/endpoints/{key_of(site, 'talk')}{query}").text
    return page


def test_the_page_says_how_many_are_open_and_since_when(site: Site) -> None:
    hold(site, 3, days=11)
    page = talk_page(site)
    text, facts = page_text(page), figures(page)
    said = "3 connections open, the oldest for 11 days"
    assert f"Active: {said}; cold after 7 days without a call" in text
    assert f"No completed calls in the last 7 days {said}. A call is counted when it ends." in text
    assert (facts["First call"], facts["Last call"]) == ("11 d ago", "just now")
    assert facts["All-time calls"] == "0"
    assert "Show all time" not in text
    assert "Last call:" not in text


def test_calls_before_the_one_that_is_open_can_be_looked_at(site: Site) -> None:
    site.count("WEBSOCKET", "/talk", status=101)
    hold(site, 1, days=11)
    text = page_text(talk_page(site, f"?from={moment(NOW - DAY)}&to={moment(NOW - DAY / 2)}"))
    assert "1 connection open for 11 days. A call is counted when it ends. Show all time" in text
    assert "No completed calls in" in text
    assert "No completed calls" not in page_text(talk_page(site))


def test_the_list_has_a_hint_of_what_is_open(site: Site) -> None:
    hold(site, 1_234, days=11)
    page = site.get().text
    row = table(page, "Endpoints")["WEBSOCKET /talk"]
    assert "1,234 connections open, the oldest for 11 days" in row.titles
    assert (row["Status"], row["Calls"]) == ("Active 1,234 open", "0")
    assert "No calls recorded yet" not in page


def test_after_a_kill_the_page_says_that_the_call_was_not_counted(site: Site) -> None:
    hold(site, 2, days=11, ended=True)
    text = page_text(talk_page(site))
    assert "Active: last called just now; cold after 7 days without a call" in text
    assert "Last used just now. That call was not counted" in text
    assert "Show all time" not in text
    # Every number of it is that of no call.
    assert figures(talk_page(site, "?days=all"))["All-time calls"] == "0"
    row = table(site.get().text, "Endpoints")["WEBSOCKET /talk"]
    assert (row["Status"], row["Calls"]) == ("Active", "0")


def test_programs_are_told_the_same(site: Site) -> None:
    hold(site, 3, days=11)
    endpoints: dict[str, Any] = {
        one["path"]: one for one in site.get("/lens/report").json()["endpoints"]
    }
    talk = endpoints["/talk"]
    assert (talk["status"], talk["total_calls"], talk["open_connections"]) == ("active", 0, 3)
    assert talk["oldest_open_since"] == talk["first_called_at"]
    assert endpoints["/events"]["open_connections"] == 0
    assert endpoints["/events"]["oldest_open_since"] is None
    exported = csv.DictReader(io.StringIO(site.get("/lens/endpoints.csv").text))
    assert {row["path"]: row["open_connections"] for row in exported} == {
        "/talk": "3",
        "/events": "0",
    }
    assert site.get("/lens/report/top?days=all").json()["endpoints"] == []
    dead = site.get("/lens/report/dead").json()["endpoints"]
    assert [one["path"] for one in dead] == ["/events"]
    unused = site.get("/lens/report?status=never_called").json()["endpoints"]
    assert [one["path"] for one in unused] == ["/events"]


@pytest.mark.parametrize(
    ("count", "seconds", "words"),
    [
        (1, 0.4, "1 connection open for 0 seconds"),
        (1, 11, "1 connection open for 11 seconds"),
        (2, 90, "2 connections open, the oldest for 1 minute"),
        (1_234, 11.9 * DAY, "1,234 connections open, the oldest for 11 days"),
        (2, -3, "2 connections open, the oldest for 0 seconds"),
    ],
)
def test_a_number_of_connections_in_words(count: int, seconds: float, words: str) -> None:
    assert connections(count, seconds) == words
