"""Verdicts on endpoints from their rows: what is unknown never makes one look safer."""

import json
from dataclasses import replace
from typing import Any

import pytest

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.reporting.cache import TTLCache
from fastapi_lens.reporting.evidence.evidence import WEEKS, Judged, WeekState
from fastapi_lens.reporting.evidence.gone import Gone
from fastapi_lens.settings.ignore_rules import Rule, Rules
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import release_id
from fastapi_lens.storage.schema.tables import INBOX
from fastapi_lens.verdict.cadence import Cadence, Pattern
from fastapi_lens.verdict.history import Keep, KeepSource, Kind
from fastapi_lens.verdict.level import Level
from tests.reporting.past import APP, DAY_US, NOW, TODAY, Past, ago, every
from tests.support.statements import listening

KEPT = Keep("disaster recovery", TODAY + 10, KeepSource.ADMIN)


@pytest.fixture
def past(memory: Database) -> Past:
    return Past(memory)


def test_a_daily_use_that_stopped_is_judged_by_its_days(past: Past) -> None:
    past.call(past.endpoint("/daily"), *every(1, 300, last=40))
    found = past.judged("/daily")
    assert found.verdict.level is Level.PROBABLY_UNUSED
    assert (found.verdict.pattern, found.verdict.silence_days) == (Pattern.DAILY, 40)
    assert found.history.days == tuple(every(1, 300, last=40))
    assert found.last_used_at == (TODAY - 40) * 86_400
    assert found.present_since == (TODAY - 700) * 86_400


def test_after_a_silent_year_it_is_safe_to_remove(past: Past) -> None:
    past.call(past.endpoint("/daily"), *every(1, 150, last=410))
    found = past.judged("/daily")
    assert found.verdict.level is Level.SAFE_TO_REMOVE
    assert not found.history.days
    # Of days that are no longer kept, weeks tell.
    assert len(found.history.weeks) == 23


def test_an_endpoint_that_was_used_this_week_is_not_read_among_all(past: Past) -> None:
    past.call(past.endpoint("/daily"), *every(1, 300, last=7))
    past.call(past.endpoint("/weekly"), *every(7, 30, last=8))
    weekly, daily = sorted(past.evidence().endpoints, key=lambda one: one.is_read, reverse=True)
    assert (daily.is_read, daily.safe_day, daily.history.days) == (False, None, ())
    assert (weekly.is_read, weekly.safe_day) == (True, weekly.verdict.safe_from)
    assert daily.verdict.level is weekly.verdict.level is Level.IN_USE
    alone = past.judged("/daily")
    assert alone.is_read
    assert alone.verdict.pattern is Pattern.DAILY


def test_refused_calls_are_no_use_and_a_doubt(past: Past) -> None:
    endpoint = past.endpoint("/daily")
    past.call(endpoint, *every(1, 300, last=100))
    past.call(endpoint, *ago(95, 90, 89, 50, 1), status=404)
    past.call(endpoint, *ago(50), status=401)
    found = past.judged("/daily")
    assert found.verdict.silence_days == 100
    assert found.history.noise.refused_days == 3
    assert found.history.noise.is_doubt


@pytest.mark.parametrize("status", [101, 200, 304, 402, 409, 412, 429, 499, 500])
def test_all_other_answers_are_uses(past: Past, status: int) -> None:
    past.call(past.endpoint("/rare"), *ago(20), status=status)
    assert past.judged("/rare").verdict.silence_days == 20


def test_an_endpoint_of_an_older_release_was_last_used_when_its_rows_tell(past: Past) -> None:
    endpoint = past.endpoint("/old")
    past.call(endpoint, *ago(300, 200, 100))
    past.call(endpoint, *ago(50), status=404)
    past.change(endpoint, last_used_at=0)
    assert past.judged("/old").history.last_used == TODAY - 100


def test_without_rows_its_last_call_is_taken_for_a_use(past: Past) -> None:
    endpoint = past.endpoint("/old")
    past.call(endpoint, *ago(300, 200, 100))
    past.call(endpoint, *ago(50), status=404)
    past.change(endpoint, last_used_at=0)
    short = past.judged("/old", ttl_days=30)
    assert short.history.last_used == TODAY - 50
    assert short.last_used_at == (TODAY - 50) * 86_400


def test_an_endpoint_all_of_whose_calls_were_refused_was_never_used(past: Past) -> None:
    endpoint = past.endpoint("/refused")
    past.call(endpoint, *ago(300, 200), status=403, calls=2)
    found = past.judged("/refused")
    assert (found.history.last_used, found.last_used_at) == (None, None)
    assert found.verdict.pattern is Pattern.NEVER
    # One call more than its rows tell may have been a use.
    past.change(endpoint, total_calls=5)
    assert past.judged("/refused").history.last_used == TODAY - 200


def test_refused_calls_before_all_rows_are_no_use_if_this_release_has_counted_them(
    past: Past,
) -> None:
    endpoint = past.endpoint("/refused")
    past.call(endpoint, *ago(600, 200), status=401)
    past.change(endpoint, first_called_release_id=release_id("orders", "1.0"))
    assert past.judged("/refused").history.last_used is None


def test_a_week_of_an_older_release_may_have_been_used_on_its_last_day(past: Past) -> None:
    endpoint = past.endpoint("/old")
    past.call(endpoint, TODAY - 500)
    past.change(endpoint, last_used_at=0)
    assert past.judged("/old").history.last_used == (TODAY - 500) // 7 * 7 + 6


def test_the_week_of_the_first_day_that_is_kept_tells_of_the_days_before(past: Past) -> None:
    endpoint = past.endpoint("/old")
    first = TODAY - 400
    assert first % 7
    past.call(endpoint, first - 1)
    past.change(endpoint, last_used_at=0)
    week = first // 7 * 7
    found = past.judged("/old").history
    assert (found.weeks, found.last_used) == ((week,), week + 6)
    past.call(endpoint, week + 6)
    assert past.judged("/old").history.weeks == ()


def test_weeks_of_refused_calls_are_no_use(past: Past) -> None:
    endpoint = past.endpoint("/old")
    past.call(endpoint, TODAY - 600, status=404)
    past.call(endpoint, TODAY - 500)
    assert past.judged("/old").history.weeks == ((TODAY - 500) // 7 * 7,)


def test_an_endpoint_that_was_never_called_needs_observation(past: Past) -> None:
    past.endpoint("/new", since=TODAY - 20)
    past.endpoint("/old", since=TODAY - 401)
    assert past.judged("/new").verdict.level is Level.NOT_ENOUGH_OBSERVATION
    assert past.judged("/old").verdict.level is Level.SAFE_TO_REMOVE


def test_what_was_not_watched_is_not_silence(past: Past) -> None:
    past.call(past.endpoint("/daily"), *every(1, 150, last=410))
    past.miss(TODAY - 300, TODAY - 290)
    found = past.judged("/daily")
    assert found.verdict.level is Level.PROBABLY_UNUSED
    assert found.verdict.hole_days == 11
    observation = past.evidence().observation
    assert (observation.holes, observation.hole_days) == (((TODAY - 300, TODAY - 290),), 11)


def test_a_database_without_observation_shows_nothing_as_unused(memory: Database) -> None:
    past = Past(memory, watched=0)
    past.call(past.endpoint("/daily"), *every(1, 150, last=410))
    past.endpoint("/never")
    assert past.evidence().observation.since_day is None
    for path in ("/daily", "/never"):
        assert past.judged(path).verdict.level is Level.NOT_ENOUGH_OBSERVATION


def test_the_day_of_the_first_observed_minute_is_a_hole(memory: Database) -> None:
    past = Past(memory, watched=50)
    past.endpoint("/never")
    assert past.judged("/never").history.observed_since == TODAY - 49


def test_days_whose_counts_still_wait_are_a_hole(past: Past) -> None:
    past.call(past.endpoint("/daily"), *every(1, 150, last=410))
    row = {"worker_id": "w", "seq": 1, "app": APP, "body": b"", "calls": 1}
    with past.database.write() as connection:
        connection.execute(INBOX.insert(), {**row, "since": round((NOW - 2 * 86_400) * 1e6)})
    found = past.judged("/daily")
    assert (found.verdict.hole_days, found.history.holes) == (3, ((TODAY - 2, TODAY),))


def test_nothing_is_unused_while_older_counts_wait(past: Past) -> None:
    past.call(past.endpoint("/daily"), *every(1, 150, last=410))
    past.endpoint("/never")
    assert {one.verdict.level for one in past.evidence().endpoints} == {Level.SAFE_TO_REMOVE}
    row = {"worker_id": "w", "seq": 1, "app": APP, "body": b"", "calls": 1}
    with past.database.write() as connection:
        connection.execute(INBOX.insert(), {**row, "since": round((NOW - 600) * 1e6)})
    for one in past.evidence().endpoints:
        assert one.verdict.level is Level.NOT_ENOUGH_OBSERVATION, one.endpoint.path


def test_counts_that_wait_for_a_moment_are_none(past: Past) -> None:
    row = {"worker_id": "w", "seq": 1, "app": APP, "body": b"", "calls": 1}
    with past.database.write() as connection:
        connection.execute(INBOX.insert(), {**row, "since": round((NOW - 299) * 1e6)})
    assert past.evidence().observation.holes == ()


def test_an_open_connection_is_a_use_today(past: Past) -> None:
    endpoint = past.endpoint("/feed", method="WEBSOCKET", kind="websocket")
    past.call(endpoint, *ago(60))
    assert past.judged("/feed", "WEBSOCKET").verdict.level is not Level.IN_USE
    opened = json.dumps({str(endpoint): [2, (TODAY - 60) * DAY_US]})
    past.worker(started=TODAY - 60, open_calls=opened)
    found = past.judged("/feed", "WEBSOCKET")
    assert found.verdict.level is Level.IN_USE
    assert (found.history.last_used, found.history.kind) == (TODAY, Kind.WEBSOCKET)
    assert found.endpoint.open_connections == 2


def test_calls_of_a_clock_that_is_ahead_were_made_today(past: Past) -> None:
    endpoint = past.endpoint("/daily")
    past.call(endpoint, TODAY + 1)
    past.change(endpoint, last_used_at=0)
    assert past.judged("/daily").history.days == (TODAY,)


def test_a_renamed_parameter_keeps_its_history(past: Past) -> None:
    old = past.endpoint("/orders/{id}", last_seen_at=1, removed_at=(TODAY - 20) * DAY_US)
    past.call(old, *every(30, 13, last=25))
    past.endpoint("/orders/{order_id}", since=TODAY - 20)
    past.worker(started=TODAY - 20)
    found = past.judged("/orders/{order_id}")
    assert found.verdict.level is Level.IN_USE
    assert found.verdict.pattern is Pattern.MONTHLY
    assert found.history.present_since == TODAY - 700
    assert (found.shape, found.ids) == ("/orders/{}", (old,))
    assert [one.endpoint.path for one in past.evidence().endpoints] == ["/orders/{order_id}"]


def test_a_rename_after_a_removal_begins_anew_with_the_old_uses(past: Past) -> None:
    old = past.endpoint("/orders/{id}", last_seen_at=1, removed_at=(TODAY - 300) * DAY_US)
    past.call(old, *every(30, 3, last=301))
    past.endpoint("/orders/{order_id}", since=TODAY - 200)
    past.worker(started=TODAY - 200)
    found = past.judged("/orders/{order_id}")
    assert found.history.present_since == TODAY - 200
    assert found.history.last_used == TODAY - 301


def test_what_nobody_has_noted_as_removed_yet_was_there_until_now(past: Past) -> None:
    past.endpoint("/orders/{id}", last_seen_at=1)
    past.endpoint("/orders/{order_id}", since=TODAY)
    past.worker(started=TODAY)
    found = past.judged("/orders/{order_id}")
    assert found.history.present_since == TODAY - 700
    assert len(past.evidence().endpoints) == 1


def test_what_is_reported_only_with_a_call_was_there_when_it_was_last_seen(past: Past) -> None:
    """Its removal is never noted."""
    old = past.endpoint("/x/{a}", name="", last_seen_at=(TODAY - 500) * DAY_US)
    past.call(old, TODAY - 500)
    past.endpoint("/x/{b}", since=TODAY)
    past.worker(started=TODAY)
    assert past.judged("/x/{b}").history.present_since == TODAY


def test_a_deleted_history_of_any_name_begins_anew(past: Past) -> None:
    past.endpoint("/orders/{id}", evidence_since=(TODAY - 10) * DAY_US, removed_at=1)
    past.endpoint("/orders/{order_id}")
    past.endpoint("/items", evidence_since=(TODAY - 11) * DAY_US)
    past.endpoint("/users", present_since=(TODAY - 12) * DAY_US)
    days = {one.endpoint.path: one.history.present_since for one in past.evidence().endpoints}
    assert days == {
        "/orders/{order_id}": TODAY - 10,
        "/items": TODAY - 11,
        "/users": TODAY - 12,
    }


def test_a_shape_that_an_older_release_left_out_is_made(past: Past) -> None:
    old = past.endpoint("/orders/{id}", shape_id=0)
    past.call(old, *ago(3))
    past.endpoint("/orders/{order_id}")
    found = past.judged("/orders/{order_id}")
    assert (found.verdict.level, found.ids) == (Level.IN_USE, (old,))


def test_what_no_worker_has_in_its_routes_is_left_out(past: Past) -> None:
    past.endpoint("/gone", last_seen_at=(TODAY - 3) * DAY_US)
    past.endpoint("/noted", removed_at=(TODAY - 1) * DAY_US)
    past.endpoint("/here")
    # Of this one nothing is known before it is called.
    past.endpoint("/classy", method="PUT", name="", last_seen_at=(TODAY - 3) * DAY_US)
    past.worker(started=TODAY - 2)
    paths = [one.endpoint.path for one in past.evidence().endpoints]
    assert paths == ["/classy", "/here"]


def test_a_removed_endpoint_that_is_still_called_is_shown(past: Past) -> None:
    of: dict[str, Any] = {
        "removed_at": (TODAY - 9) * DAY_US,
        "last_release_id": release_id(APP, "1.0"),
    }
    past.gone(past.endpoint("/gone", **of), TODAY - 2, 5)
    past.gone(past.endpoint("/orders/{id}", **of), TODAY - 2, 5)
    past.endpoint("/orders/{order_id}")
    past.endpoint("/forgotten", **of)
    (found,) = past.evidence().removed
    assert found.endpoint.path == "/gone"
    assert found.removed_at == (TODAY - 9) * 86_400
    assert found.gone == Gone(calls=5, days=1, last_day=TODAY - 2)
    assert found.last_release == "1.0"
    assert past.judged("/gone").gone == found.gone


def test_pseudo_endpoints_and_what_is_not_recorded_have_no_verdict(past: Past) -> None:
    identity = past.endpoint("<unmapped>", method="_OTHER")
    excluded = past.endpoint("/internal/ping")
    ignored = past.endpoint("/ignored")
    rules = Rules((Rule(id="r", pattern="/ignored"),))
    settings = Settings(config=LensConfig(exclude_paths=["/internal/ping"]), rules=rules)
    assert past.evidence(settings=settings).endpoints == ()
    reader = past.reader(settings=settings)
    for one in (identity, excluded, ignored, 17):
        assert reader.judged(f"{one:016x}", now=NOW) is None


def test_an_endpoint_is_kept_by_an_admin_under_any_of_its_names(past: Past) -> None:
    old = past.endpoint("/orders/{id}", removed_at=TODAY * DAY_US)
    past.endpoint("/orders/{order_id}")
    past.endpoint("/others")
    keeps = {old: KEPT}
    assert past.judged("/orders/{order_id}", keeps=keeps).verdict.level is Level.KEPT
    assert past.judged("/others", keeps=keeps).verdict.level is not Level.KEPT


def test_overrides_in_code_are_those_of_the_routes(past: Past) -> None:
    kept = json.dumps({"keep": "audits", "until": "2099-01-01", "cadence": "weekly"})
    past.endpoint("/orders/{id}", removed_at=TODAY * DAY_US, overrides=kept)
    past.endpoint("/orders/{order_id}", overrides='{"cadence": "yearly"}')
    past.endpoint("/kept", overrides=kept)
    renamed, own = past.judged("/orders/{order_id}"), past.judged("/kept")
    assert (renamed.history.keeps, renamed.history.cadence) == ((), Cadence.YEARLY)
    assert own.verdict.level is Level.KEPT
    assert own.history.keeps[0].source is KeepSource.CODE


def test_the_rarest_cadence_counts_of_several_routes_of_one_shape(past: Past) -> None:
    past.endpoint("/orders/{id}", overrides='{"cadence": "yearly"}')
    past.endpoint("/orders/{order_id}", overrides='{"cadence": "weekly"}')
    assert past.judged("/orders/{order_id}").history.cadence is Cadence.YEARLY


@pytest.mark.parametrize(
    "text", ["", "[", "7", '{"keep": 1}', "[" * 5_000, '{"until": null, "x": 1}']
)
def test_invalid_overrides_of_an_import_are_ignored(past: Past, text: str) -> None:
    past.endpoint("/orders", overrides=text)
    found = past.judged("/orders")
    assert (found.history.keeps, found.history.cadence) == ((), None)


def test_releases_are_named(past: Past) -> None:
    for days, name in ((3, ""), (2, "2.0"), (1, "3.0")):
        past.observe(TODAY - days, TODAY - days, release=name)
    second, third = release_id(APP, "2.0"), release_id(APP, "3.0")
    past.endpoint(
        "/orders", first_release_id=second, last_called_release_id=second, last_release_id=third
    )
    found = past.judged("/orders")
    assert (found.introduced, found.first_called, found.last_called) == ("2.0", "", "2.0")
    assert found.last_release == "3.0"
    assert past.evidence().releases == ("3.0", "2.0", "1.0")


def test_weeks_are_used_silent_unobserved_or_absent(past: Past) -> None:
    endpoint = past.endpoint("/orders/{id}", since=TODAY - 300, removed_at=TODAY * DAY_US)
    other = past.endpoint("/orders/{order_id}", since=TODAY - 20)
    past.call(endpoint, *ago(27, 26, 22), calls=2)
    past.call(endpoint, *ago(21), status=404)
    past.call(other, TODAY + 1, TODAY)
    past.miss(TODAY - 13, TODAY - 10)
    past.miss(TODAY - 20, TODAY - 18)
    weeks = past.judged("/orders/{order_id}").weeks
    assert len(weeks) == WEEKS
    assert [week.state for week in weeks[-5:]] == [
        WeekState.SILENT,
        WeekState.USED,
        WeekState.SILENT,
        WeekState.UNOBSERVED,
        WeekState.USED,
    ]
    assert [week.calls for week in weeks[-5:]] == [0, 6, 0, 0, 2]
    first = WEEKS - 300 // 7 - 1
    assert {week.state for week in weeks[:first]} == {WeekState.ABSENT}
    assert weeks[first].state is WeekState.SILENT


def test_weeks_whose_days_are_no_longer_kept_are_not_silent(past: Past) -> None:
    past.endpoint("/orders")
    weeks = past.judged("/orders", ttl_days=10).weeks
    assert [week.state for week in weeks[-3:]] == [
        WeekState.UNOBSERVED,
        WeekState.SILENT,
        WeekState.SILENT,
    ]


def test_evidence_is_the_same_until_something_changes(past: Past) -> None:
    past.endpoint("/orders")
    reader = past.reader()
    found = reader.evidence(NOW)
    assert reader.evidence(NOW + 60) is found
    assert reader.evidence(NOW + 86_400) is not found


def test_days_of_silent_endpoints_are_read_again_only_after_a_change(past: Past) -> None:
    silent, other = past.endpoint("/silent"), past.endpoint("/other")
    past.call(silent, *every(1, 100, last=40))
    reader = past.reader()
    first = reader.evidence(NOW).by_id()[silent]
    read: list[int] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if "FROM lens_status" in statement:
            read.extend(one for one in (silent, other) if one in values)

    def again() -> Judged:
        reader.results = TTLCache()
        return reader.evidence(NOW).by_id()[silent]

    with listening(past.database, "before_cursor_execute", note):
        past.call(other, *ago(20))
        assert (again().history, again().verdict) == (first.history, first.verdict)
        assert set(read) == {other}
        past.call(silent, *ago(12), status=404)
        assert again().history.noise.refused_days == 1
        past.call(silent, *ago(10))
        assert again().history.days[-1] == TODAY - 10


def test_recent_evidence_is_made_again_when_a_silent_endpoint_is_called(past: Past) -> None:
    daily = past.endpoint("/daily")
    past.call(daily, *every(1, 150, last=410))
    reader = past.reader()
    listed = [one.endpoint for one in reader.evidence(NOW).endpoints]
    (before,) = reader.recent_evidence(NOW, listed).endpoints
    past.call(daily, TODAY)
    with past.database.write() as connection:
        note_change(past.database, connection)
    called = [replace(one, last_called_at=NOW) for one in listed]
    (after,) = reader.recent_evidence(NOW, called).endpoints
    assert (before.verdict.level, after.verdict.level) == (Level.SAFE_TO_REMOVE, Level.IN_USE)
