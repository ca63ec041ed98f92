"""Notifications of whole applications reach a real receiver, each once."""

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import sqlalchemy as sa

from fastapi_lens.admin.audit import SAVE, Author
from fastapi_lens.errors import StorageError
from fastapi_lens.notifications import evaluation
from fastapi_lens.notifications import notifier as notifier_module
from fastapi_lens.notifications.delivery import RETRY_SECONDS
from fastapi_lens.notifications.digest import SENT_AT, WEEK
from fastapi_lens.notifications.notifier import LEASE_SECONDS
from fastapi_lens.notifications.state import Outcome
from fastapi_lens.storage.records import notifications as records
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.retention.purge import Choice, purge_for
from fastapi_lens.storage.schema.models import lens_metadata
from tests.admin.conftest import Site
from tests.notifications.conftest import Clock, notifier_of
from tests.notifications.receiver import Receiver, answer
from tests.support.past import Past

MakeSite = Callable[..., Site]
FILE = Path(__file__).parents[2] / "docs" / "notification.schema.json"
SCHEMA = jsonschema.Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))
USER = "/users/{user_id}"
SECRETS = ("s3cr3t-token", "s3cr3t-too")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that look without a pause."""
    monkeypatch.setattr(notifier_module, "TURN_SECONDS", 0.02)
    monkeypatch.setattr(evaluation, "LOAD_SECONDS", 0)


def fail(site: Site, clock: Clock | None = None, *, calls: int = 60) -> None:
    """Calls of the last minutes that all failed."""
    now = time.time() if clock is None else clock()
    site.count_at(now - 120, "GET", USER, calls, status=500)


def threads() -> list[threading.Thread]:
    """The threads of notifiers."""
    return [one for one in threading.enumerate() if one.name == "fastapi-lens-notifications"]


def recover(site: Site, clock: Clock) -> None:
    """So many calls that succeed that the failed ones are few."""
    site.count_at(clock() - 60, "GET", USER, 10_000)


def test_an_endpoint_that_fails_is_told_once_to_the_receiver(
    notifying: MakeSite, receiver: Receiver
) -> None:
    site = notifying(environment="production", public_url="https://api.example.com/lens/")
    fail(site)
    site.lens.notifier.turn()
    site.lens.notifier.turn()
    (body,) = receiver.bodies
    assert body["fastapi_lens_event"] == 1
    assert (body["kind"], body["app"], body["environment"]) == ("alert", "site", "production")
    assert body["title"] == "site (production): 1 new alert"
    assert body["lines"] == ["GET /users/{user_id} fails: 5xx 100 % of 60 calls in the last hour"]
    (endpoint,) = body["endpoints"]
    assert (endpoint["reason"], endpoint["phase"]) == ("errors", "began")
    assert (endpoint["calls"], endpoint["errors_5xx"], endpoint["error_share"]) == (60, 60, 1.0)
    assert endpoint["url"] == f"https://api.example.com/lens/endpoints/{endpoint['key']}"
    assert body["url"] == "https://api.example.com/lens/"
    SCHEMA.validate(body)


def test_its_recovery_is_told_once_too(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying()
    notifier = notifier_of(site, clock)
    fail(site, clock)
    notifier.turn()
    recover(site, clock)
    for _ in range(3):
        clock.advance(60)
        notifier.turn()
    began, ended = receiver.bodies
    assert began["title"] == "site: 1 new alert"
    assert ended["title"] == "site: 1 over"
    assert ended["lines"] == [
        "GET /users/{user_id} has recovered: 5xx 0.6 % of 10,060 calls in the last hour"
    ]
    assert ended["endpoints"][0]["since"] == began["endpoints"][0]["since"]
    assert began["id"] != ended["id"]


def test_a_look_that_finds_nothing_new_writes_nothing(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying()
    notifier = notifier_of(site, clock)
    fail(site, clock)
    notifier.turn()
    before = records.read_notifications(site.lens.database, "site")
    clock.advance(61)
    notifier.turn()
    assert len(receiver.bodies) == 1
    assert records.read_notifications(site.lens.database, "site") == before


def test_a_slow_endpoint_is_told(notifying: MakeSite, receiver: Receiver, clock: Clock) -> None:
    site = notifying()
    site.count_at(clock() - 120, "GET", "/health", 60, duration_ns=900_000_000)
    notifier_of(site, clock).turn()
    (line,) = receiver.bodies[0]["lines"]
    assert line.startswith("GET /health is slow: p95 ")
    assert line.endswith(" ms of 60 calls in the last hour, limit 500 ms")


def test_of_two_workers_exactly_one_tells_and_the_other_takes_over(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    first, second = notifying(), notifying()
    one = notifier_of(first, clock)
    other = notifier_of(second, clock, worker="worker-2")
    fail(first, clock)
    for _ in range(3):
        one.turn()
        other.turn()
        clock.advance(60)
    assert len(receiver.bodies) == 1
    # The first one has died.
    recover(second, clock)
    other.turn()
    assert len(receiver.bodies) == 1
    clock.advance(LEASE_SECONDS + 1)
    other.turn()
    assert [body["title"] for body in receiver.bodies] == ["site: 1 new alert", "site: 1 over"]


def test_a_delivery_that_failed_is_tried_again_with_the_same_id(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying(alert_slow=False)
    notifier = notifier_of(site, clock)
    receiver.behaviours = [answer(500)]
    fail(site, clock)
    notifier.turn()
    outcome = notifier.outcome()
    assert (outcome.sent_at, outcome.problem) == (None, "the receiver answered with status 500")
    notifier.turn()
    assert len(receiver.bodies) == 1
    clock.advance(RETRY_SECONDS[0] + 1)
    notifier.turn()
    first, second = receiver.bodies
    assert first == second
    outcome = notifier.outcome()
    assert (outcome.failed_at, outcome.problem, outcome.sent_kind) == (None, "", "alert")
    assert outcome.sent_at == pytest.approx(clock(), abs=5)


def test_after_half_an_hour_it_is_given_up_with_one_warning_and_the_next_one_is_sent(
    notifying: MakeSite, receiver: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    site = notifying()
    notifier = notifier_of(site, clock)
    attempts = len(RETRY_SECONDS) + 1
    receiver.behaviours = [answer(503)] * attempts
    fail(site, clock)
    notifier.turn()
    for pause in (*RETRY_SECONDS, 3_600, 3_600):
        clock.advance(pause + 1)
        notifier.turn()
    assert [body["title"] for body in receiver.bodies] == ["site: 1 new alert"] * attempts
    warnings = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    (warning,) = [one for one in warnings if "notification" in one]
    assert warning == (
        "fastapi_lens gives up a notification (alert) after 6 attempts: "
        "the receiver answered with status 503"
    )
    clock.advance(60)
    recover(site, clock)
    notifier.turn()
    assert receiver.bodies[-1]["title"] == "site: 1 over"


@pytest.mark.usefixtures("quick")
def test_a_receiver_that_hangs_delays_no_request_no_flush_and_not_the_end(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    receiver.behaviours = [receiver.hang]
    site = notifying()
    fail(site)
    receiver.wait_for(1)
    begun = time.monotonic()
    assert site.get("/health").status_code == 200
    assert site.lens.flusher.flush()
    assert site.get("/lens/settings").status_code == 200
    site.lens.stop()
    # It hangs for ten seconds.
    assert time.monotonic() - begun < 7
    # It may have arrived: the next worker sends it again, with the same id.
    clock.advance(LEASE_SECONDS + 1)
    notifier_of(site, clock, worker="worker-2").turn()
    first, second = receiver.bodies
    assert first == second


@pytest.mark.usefixtures("quick")
def test_a_worker_that_ends_while_it_sends_writes_nothing_any_more(
    notifying: MakeSite, receiver: Receiver
) -> None:
    receiver.behaviours = [receiver.hang]
    site = notifying()
    fail(site)
    receiver.wait_for(1)
    (thread,) = threads()
    site.lens.notifier.stop()
    receiver.over.set()
    thread.join(5)
    assert not thread.is_alive()
    assert site.lens.notifier.outcome() == Outcome()


@pytest.mark.usefixtures("quick")
def test_while_the_database_is_down_the_thread_goes_on_and_tells_later(
    notifying: MakeSite,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures: list[Exception] = [StorageError("no answer"), StorageError("no"), ValueError("odd")]
    read = records.read_notifications

    def read_or_fail(*arguments: Any) -> str:
        if failures:
            raise failures.pop(0)
        return read(*arguments)

    monkeypatch.setattr(notifier_module, "read_notifications", read_or_fail)
    site = notifying()
    fail(site)
    receiver.wait_for(1)
    failed = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert failed.count("fastapi_lens failed to look for notifications") == 1


def test_a_state_that_somebody_else_has_changed_meanwhile_is_not_overwritten(
    notifying: MakeSite, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = notifying()
    fail(site, clock)
    write = records.write_notifications

    def write_second(database: Any, app: str, text: str, *, replaces: str) -> bool:
        assert write(database, app, '{"changes": 99}', replaces=replaces)
        return write(database, app, text, replaces=replaces)

    notifier = notifier_of(site, clock)
    monkeypatch.setattr(notifier_module, "write_notifications", write_second)
    notifier.turn()
    assert receiver.bodies == []
    monkeypatch.setattr(notifier_module, "write_notifications", write)
    clock.advance(60)
    notifier.turn()
    assert len(receiver.bodies) == 1


def test_a_delivery_of_a_state_that_is_gone_changes_nothing(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying()
    fail(site, clock)
    lens = site.lens

    def purge_and_answer(connection: Any) -> None:
        choice = Choice(lens.app_name, (), whole_app=True, keeps_endpoints=True)
        assert purge_for(lens.database, choice, now=clock(), seconds=10)
        answer(200)(connection)

    receiver.behaviours = [purge_and_answer]
    notifier = notifier_of(site, clock)
    notifier.turn()
    assert len(receiver.bodies) == 1
    assert notifier.outcome() == Outcome()


@pytest.mark.parametrize("jump", [timedelta(days=300), timedelta(days=-300)])
def test_a_clock_that_jumps_tells_nothing_until_it_is_right_again(
    notifying: MakeSite, receiver: Receiver, clock: Clock, jump: timedelta
) -> None:
    site = notifying()
    site.count("GET", "/health", 60)
    notifier = notifier_of(site, clock)
    notifier.turn()
    clock.advance(jump.total_seconds())
    notifier.turn()
    assert receiver.bodies == []
    clock.ahead = 60
    fail(site, clock)
    notifier.turn()
    assert [body["title"] for body in receiver.bodies] == ["site: 1 new alert"]


def test_newly_dead_endpoints_are_told_and_those_that_were_dead_before_are_not(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    # To 13:00, because the past is called at noon, and the number of days would depend on the hour.
    clock.advance(86_400 - clock() % 86_400 + 13 * 3_600)
    site = notifying()
    past = Past(site.lens.database, "site", now=clock())
    past.observe(60)
    for method, path, day in (("GET", "/health", 29), ("GET", USER, 45)):
        past.be_there(method, path, since=60)
        past.use(method, path, [day])
    notifier = notifier_of(site, clock)
    notifier.turn()
    clock.advance(1.9 * 86_400)
    Past(site.lens.database, "site", now=clock()).observe(60)
    notifier.turn()
    notifier.turn()
    (body,) = receiver.bodies
    assert body["lines"] == ["GET /health is dead: last call 30 days ago"]
    assert body["endpoints"][0]["calls"] is None
    site.count_at(clock() - 60, "GET", "/health")
    clock.advance(3_700)
    notifier.turn()
    assert receiver.bodies[1]["lines"] == ["GET /health is no longer dead"]


def test_a_break_in_recording_makes_no_endpoint_dead(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying()
    past = Past(site.lens.database, "site", now=clock())
    past.observe(60, holes=[(27, 1)])
    past.be_there("GET", "/health", since=60)
    past.use("GET", "/health", [29])
    notifier = notifier_of(site, clock)
    notifier.turn()
    clock.advance(1.9 * 86_400)
    notifier.turn()
    assert receiver.bodies == []


def test_a_deprecated_endpoint_that_is_called_again_is_told(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying()
    notifier = notifier_of(site, clock)
    notifier.turn()
    site.count_at(clock(), "POST", "/users")
    clock.advance(3_700)
    notifier.turn()
    (body,) = receiver.bodies
    assert body["lines"] == ["POST /users is deprecated and was called 1 hour ago"]


def test_switched_off_rules_find_nothing(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying(digest_day="monday")
    off: dict[str, Any] = {"alert_error_share": None, "alert_slow": False, "alert_dead": False}
    off |= {"alert_deprecated": False, "digest_day": "off"}
    change(site, clock, off)
    notifier = notifier_of(site, clock)
    notifier.turn()
    fail(site, clock)
    site.count_at(clock() - 120, "POST", "/users", 60, duration_ns=900_000_000)
    clock.advance(3_700)
    notifier.turn()
    assert receiver.bodies == []


def test_the_digest_comes_once_a_week_and_not_for_a_week_before_the_first_look(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    tomorrow = datetime.fromtimestamp(clock(), UTC) + timedelta(days=1)
    site = notifying(digest_day=f"{tomorrow:%A}".lower(), alert_deprecated=False)
    past = Past(site.lens.database, "site", now=clock())
    past.observe(60)
    past.be_there("GET", "/health", since=60)
    past.use("GET", "/health", [35])
    site.count_at(clock() - 2 * 86_400, "GET", USER, 100, duration_ns=700_000_000)
    site.count_at(clock() - 2 * 86_400, "GET", USER, 25, status=500)
    site.count_at(clock() - 9 * 86_400, "GET", USER, 100)
    site.count_at(clock() - 86_400, "POST", "/users", 7)
    notifier = notifier_of(site, clock)
    notifier.turn()
    due = tomorrow.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() + SENT_AT
    clock.advance(due - clock() - 120)
    notifier.turn()
    assert receiver.bodies == []
    Past(site.lens.database, "site", now=clock() + 240).observe(60)
    clock.advance(240)
    notifier.turn()
    notifier.turn()
    (body,) = receiver.bodies
    assert (body["kind"], body["title"]) == ("digest", f"site: week to {due_day(due)}")
    assert body["lines"] == [
        "Calls: 132 (+32 % on the week before)",
        "5xx: 18.9 % (25), the week before 0 % (0)",
        "Failing most: GET /users/{user_id} 20 %",
        body["lines"][3],
        "Newly dead: GET /health",
        "Deprecated, but called: POST /users 7 calls",
    ]
    # Another day, and the former one again.
    for day in (f"{tomorrow - timedelta(days=2):%A}".lower(), f"{tomorrow:%A}".lower()):
        change(site, clock, {"digest_day": day})
        notifier.turn()
    assert len(receiver.bodies) == 1
    assert body["lines"][3].startswith("Slowest: GET /users/{user_id} p95 ")
    assert body["week"]["now"] == {"calls": 132, "errors_5xx": 25, "error_share": 0.189394}
    assert body["week"]["end"] - body["week"]["begin"] == WEEK
    SCHEMA.validate(body)


def change(site: Site, clock: Clock, values: dict[str, Any]) -> None:
    """Change the section of notifications, as its form does."""
    lens, section = site.lens, "notifications"
    version = lens.settings.versions.get(section, 0)
    entry = Author("alice", "", clock()).did(SAVE)
    assert write_section(lens.database, "site", section, Stored(values, version), entry)
    lens.refresh_settings()


def due_day(due: float) -> str:
    day = datetime.fromtimestamp(due, UTC)
    return f"{day.day} {day:%b %Y}"


def test_the_address_of_the_webhook_is_nowhere(
    notifying: MakeSite, receiver: Receiver, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "fastapi_lens")
    site = notifying()
    receiver.behaviours = [answer(500), answer(200)]
    fail(site, clock)
    notifier = notifier_of(site, clock)
    notifier.turn()
    assert notifier.send_test(by="alice") == ""
    pages = [
        "/lens/settings",
        "/lens/settings/audit",
        "/lens/",
        "/lens/report",
        "/lens/endpoints.json",
    ]
    texts = [site.get(page).text for page in pages]
    with site.lens.database.read() as connection:
        for table in lens_metadata.sorted_tables:
            texts += [repr(row) for row in connection.execute(sa.select(table))]
    texts += [caplog.text, repr(site.lens.config), repr(site.lens.settings), repr(notifier)]
    texts += [json.dumps(receiver.bodies)]
    for text in texts:
        assert not any(secret in text for secret in SECRETS)
        assert f"127.0.0.1:{receiver.port}" not in text


def test_without_a_webhook_nothing_runs_and_nothing_is_sent(
    notifying: MakeSite, receiver: Receiver, clock: Clock
) -> None:
    site = notifying(webhook_url=None)
    assert threads() == []
    fail(site, clock)
    notifier = notifier_of(site, clock)
    notifier.turn()
    assert notifier.send_test(by="alice") == "no webhook is set"
    assert receiver.heads == []


def test_one_test_message_at_a_time(notifying: MakeSite, receiver: Receiver, clock: Clock) -> None:
    notifier = notifier_of(notifying(), clock)

    def ask_again(connection: Any) -> None:
        problems.append(notifier.send_test(by="bob"))
        answer(200)(connection)

    problems: list[str] = []
    receiver.behaviours = [ask_again]
    assert notifier.send_test(by="alice") == ""
    assert problems == ["another test message is being sent"]
    (body,) = receiver.bodies
    assert (body["kind"], body["title"]) == ("test", "site: test message")
    assert body["lines"] == ["Sent by alice from the settings of the lens."]


@pytest.mark.usefixtures("quick")
def test_a_lens_that_starts_again_notifies_again(notifying: MakeSite, receiver: Receiver) -> None:
    site = notifying()
    site.lens.stop()
    site.lens.stop()
    site.get("/health")
    site.lens.notifier.start()
    fail(site)
    receiver.wait_for(1)
