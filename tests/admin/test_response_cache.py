import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import MutableHeaders

from fastapi_lens.reporting.cache import TTLCache
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.writing.drain import drain_all
from tests.admin.conftest import Site, an_app
from tests.support.pages import csrf_token, fields, table
from tests.support.statements import listening

MakeSite = Callable[..., Site]


def standing(site: Site, at: float | None = None) -> Site:
    """A site whose time stands still, so that everything is asked in one moment.

    That moment is now: time that steps back far is a wrong clock, which has rules of its own.
    """
    moment = site.lens.clock() if at is None else at
    site.lens.clock = site.lens.recorder.clock = lambda: moment
    return site


def calls(site: Site) -> int:
    found = site.get("/lens/report").json()["summary"]["total_requests"]
    assert isinstance(found, int)
    return found


def test_what_is_written_is_in_the_next_answer(site: Site) -> None:
    standing(site)
    for expected in (0, 1, 2):
        assert calls(site) == expected
        page = site.get("/lens/endpoints?q=health").text
        assert table(page, "Endpoints")["GET /health"]["Calls"] == str(expected)
        site.count("GET", "/health")


def test_within_two_seconds_the_same_report_is_made_once_while_nothing_is_written(
    site: Site,
) -> None:
    now, passed = float(int(site.lens.clock())), 0.0
    site.lens.reader.results = TTLCache(timer=lambda: passed)

    def made(path: str = "/lens/report", *, later: float) -> float:
        nonlocal passed
        passed = later
        standing(site, now + later)
        return float(site.get(path).json()["generated_at"])

    assert [made(later=later) for later in (0.0, 0.5, 1.9)] == [now] * 3
    assert made("/lens/report?days=7", later=1.9) == now + 1.9
    assert made(later=2.0) == now + 2.0


def test_other_thresholds_apply_at_once(site: Site) -> None:
    site.count("GET", "/health")
    later = time.time() + 2 * 86_400
    site.lens.clock = lambda: later
    assert site.get("/lens/report").json()["summary"]["active"] == 1
    colder = site.lens.config.with_values({"cold_threshold_days": 1})
    site.lens.settings = replace(site.lens.settings, config=colder)
    assert site.get("/lens/report").json()["summary"]["cold"] == 1


def test_what_a_browser_has_chosen_is_its_own(site: Site) -> None:
    standing(site)
    dark, auto = (
        site.client.get("/lens/", headers={"cookie": f"lens_theme={theme}"}).text
        for theme in ("dark", "auto")
    )
    assert dark != auto


def test_no_session_sees_the_page_of_another(make_site: MakeSite) -> None:
    site = standing(make_site(report_key="correct horse"))

    def token() -> str:
        site.client.cookies.clear()
        form = {"key": "correct horse", "next": ""}
        same = {"Origin": "http://testserver"}
        assert site.client.post("/lens/login", data=form, headers=same).status_code == 303
        return csrf_token(site.get().text)

    assert token() != token()
    site.client.cookies.clear()
    assert site.get().status_code == 303
    assert fields(site.get(**{"X-Lens-Key": "correct horse"}).text, "csrf_token") == []


def test_an_address_names_the_page_that_exists_each_time(site: Site) -> None:
    standing(site)
    for _ in range(2):
        assert (
            site.fragment("/lens/endpoints?page=9&sort=p99").headers["hx-push-url"]
            == "/lens/endpoints?days=7&sort=p99"
        )


class Stamp:
    """A middleware that changes the headers of what is sent, as many do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("X-Stamp", "1")
            await send(message)

        await self.app(scope, receive, stamped)


def test_a_shared_answer_does_not_keep_what_the_host_adds_to_it(make_site: MakeSite) -> None:
    app = an_app()
    app.add_middleware(Stamp)
    site = standing(make_site(app))
    for path in ("/lens/", "/lens/report"):
        for _ in range(3):
            assert site.get(path).headers.get_list("x-stamp") == ["1"]


def test_a_missing_endpoint_is_missing_each_time(site: Site) -> None:
    standing(site)
    for _ in range(2):
        answer = site.get("/lens/endpoints/0000000000000001")
        assert answer.status_code == 404
        assert "etag" not in answer.headers


def test_a_report_is_compressed_for_who_takes_that(site: Site) -> None:
    for accepted, encoding in (
        ("gzip", "gzip"),
        ("br;q=1.0, GZIP;q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("br, gzip; q=0.0", None),
        ("", None),
    ):
        answer = site.get("/lens/report", **{"Accept-Encoding": accepted})
        assert answer.headers.get("content-encoding") == encoding
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.json()["summary"]["total_endpoints"] == 3


def test_what_another_worker_writes_is_in_the_next_report(site: Site) -> None:
    now = site.lens.clock()
    standing(site, now)
    assert [calls(site), calls(site)] == [0, 0]
    other = Lens(site.lens.config, clock=lambda: now)
    other.discover(site.client.app)
    try:
        assert other.flusher.flush()
        for expected in (1, 2):
            other.recorder.count(method="GET", path="/health", status=200, duration_ns=1_000)
            assert other.flusher.flush()
            # As the one that has the lease does within a second.
            drain_all(site.lens.database)
            assert [calls(site), calls(site)] == [expected] * 2
    finally:
        other.stop()


def test_a_database_that_was_replaced_is_noticed_at_once(site: Site, make_site: MakeSite) -> None:
    standing(site)
    site.count("GET", "/health")
    assert calls(site) == 1
    other = make_site(db_path=str(Path(site.lens.config.db_path).with_name("backup.db")))
    site.lens.database.rest()
    other.lens.database.rest()
    Path(other.lens.config.db_path).replace(site.lens.config.db_path)
    assert calls(site) == 0


def test_readers_who_ask_for_a_page_at_once_make_it_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing(site)
    made, read = list[int](), site.lens.reader.endpoints

    def slowly(**question: Any) -> Any:
        made.append(1)
        time.sleep(0.05)
        return read(**question)

    monkeypatch.setattr(site.lens.reader, "endpoints", slowly)
    with ThreadPoolExecutor(8) as readers:
        answers = list(readers.map(lambda _: site.get(), range(8)))
    assert {one.status_code for one in answers} == {200}
    assert made == [1]


@pytest.mark.parametrize(
    ("path", "most"),
    [
        # Two of these are for the period before, which all time does not have.
        ("/lens/endpoints", 7),
        ("/lens/endpoints?days=all", 5),
        ("/lens/endpoints?sort=-p95", 7),
        ("/lens/endpoints?sort=-p95_change", 7),
        ("/lens/endpoints?cols=calls.errors_5xx", 4),
        # Six of these are for the charts, two for the period before, one for the exceptions.
        ("/lens/", 16),
        ("/lens/?days=all", 16),
        # Nine of these are for the verdict, which is kept for a minute, three for callers, two for
        # exceptions, and one for releases.
        ("/lens/endpoints/{key}", 19),
        ("/lens/endpoints/{key}?days=all", 19),
        ("/lens/requests", 5),
        # One of these tells an empty period from an empty log.
        ("/lens/requests?endpoint={key}", 6),
        ("/lens/exceptions", 5),
        ("/lens/exceptions?endpoint={key}", 5),
        ("/lens/settings/audit", 5),
        ("/lens/settings/danger", 5),
        # Nine of these are for the verdicts, which are the same until a call comes.
        ("/lens/report", 13),
        ("/lens/report/top", 13),
    ],
)
def test_a_page_asks_the_database_a_few_questions_at_most(site: Site, path: str, most: int) -> None:
    site.count("GET", "/health")
    key = f"{endpoint_id('site', 'GET', '/health'):016x}"
    site.get()  # The size of the database is known for a minute from now on.
    question: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        # Not those of a flush, which comes at each full minute.
        if statement.startswith("SELECT") and threading.current_thread().name != "fastapi-lens":
            question.append(statement)

    with listening(site.lens.database, "before_cursor_execute", note):
        assert site.get(path.format(key=key)).status_code == 200
    assert 1 <= len(question) <= most, "\n\n".join(question)
