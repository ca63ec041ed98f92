"""The day and the hour of a digest, and its sentences."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.config.lens_config import DigestDay
from fastapi_lens.notifications.alerts import Phase
from fastapi_lens.notifications.digest import LATE_SECONDS, SENT_AT, is_due, last_due
from fastapi_lens.notifications.notice import EndpointNote, Listed, Totals, Week
from fastapi_lens.notifications.sentences import (
    MAX_LINES,
    ago,
    alert_line,
    alert_lines,
    alerts_title,
    digest_lines,
    digest_title,
    heading,
    percent,
)

pytestmark = pytest.mark.unit

NOW = 1_775_243_992.0
DAYS = [day for day in get_args(DigestDay) if day != "off"]


def test_it_is_due_at_eight_on_its_day() -> None:
    monday = datetime(2026, 11, 30, 8, tzinfo=UTC)
    for hours, expected in ((0, monday), (-0.1, monday - timedelta(days=7)), (160, monday)):
        now = (monday + timedelta(hours=hours)).timestamp()
        assert last_due("monday", now) == int(expected.timestamp())
    assert last_due("off", NOW) is None


@given(st.sampled_from(DAYS), st.floats(0, 4e9))
def test_the_latest_is_never_in_the_future_and_never_older_than_a_week(
    day: str, now: float
) -> None:
    due = last_due(day, now)
    assert due is not None
    assert 0 <= now - due < 7 * 86_400
    moment = datetime.fromtimestamp(due, UTC)
    assert (f"{moment:%A}".lower(), due % 86_400) == (day, SENT_AT)


@pytest.mark.parametrize(
    ("sent_for", "late", "expected"),
    [(None, 0, False), (0, 0, True), (0, LATE_SECONDS + 1, False), (int(NOW), 0, False)],
)
def test_it_is_sent_once_and_not_two_days_late(
    sent_for: int | None,
    late: int,
    expected: bool,  # noqa: FBT001
) -> None:
    assert is_due(int(NOW), sent_for=sent_for, now=int(NOW) + late) is expected


def test_without_a_day_none_is_due() -> None:
    assert not is_due(None, sent_for=0, now=NOW)


def note(reason: Listed, path: str = "/a", **facts: Any) -> EndpointNote:
    values = {"phase": None, "key": "00aa", "method": "GET", "path": path, **facts}
    return EndpointNote.model_validate({"reason": reason, **values})


def test_each_alert_is_a_sentence() -> None:
    began: dict[str, Any] = {"phase": Phase.BEGAN}
    ended: dict[str, Any] = {"phase": Phase.ENDED}
    load: dict[str, Any] = {"calls": 60, "errors_5xx": 6, "error_share": 0.1, "p95_ms": 812.4}
    last: dict[str, Any] = {"last_called_at": NOW - 3 * 86_400}
    notes = [
        note(Listed.SLOW, **ended, **{**load, "p95_ms": 300.0}),
        note(Listed.SLOW, **ended),
        note(Listed.ERRORS, **began),
        note(Listed.DEPRECATED, **ended, **last),
        note(Listed.DEAD, **began, **last),
    ]
    assert [alert_line(one, limit_ms=500, now=NOW) for one in notes] == [
        "GET /a is no longer slow: p95 300 ms of 60 calls in the last hour, limit 500 ms",
        "GET /a is no longer slow: p95 0 ms of 0 calls in the last hour, limit 500 ms",
        "GET /a fails: 5xx 0 % of 0 calls in the last hour",
        "GET /a is no longer called, or no longer deprecated: last call 3 days ago",
        "GET /a is dead: last call 3 days ago",
    ]


def test_of_many_alerts_the_first_are_lines() -> None:
    notes = [note(Listed.DEAD, f"/{number}", phase=Phase.BEGAN) for number in range(20)]
    lines = alert_lines(notes, limit_ms=500, now=NOW)
    assert len(lines) == MAX_LINES + 1
    assert lines[-1] == "and 5 more"
    assert alerts_title(notes) == "20 new alerts"
    assert alerts_title([note(Listed.DEAD, phase=Phase.ENDED), *notes[:1]]) == "1 new alert, 1 over"
    assert alerts_title([note(Listed.DEAD, phase=Phase.ENDED)]) == "1 over"


def test_a_digest_names_a_few_endpoints_and_counts_the_others() -> None:
    week = Week(
        begin=NOW - 7 * 86_400,
        end=NOW,
        now=Totals(calls=1_200, errors_5xx=0, error_share=0.0),
        before=None,
    )
    notes = [note(Listed.SAFE_TO_REMOVE, f"/{number}") for number in range(5)]
    notes += [note(Listed.ERRORS), note(Listed.SLOW), note(Listed.DEPRECATED)]
    counts = {Listed.SAFE_TO_REMOVE: 9, Listed.ERRORS: 1, Listed.SLOW: 1, Listed.DEPRECATED: 1}
    assert digest_lines(week, notes, counts) == [
        "Calls: 1,200",
        "5xx: 0 % (0)",
        "Failing most: GET /a 0 %",
        "Slowest: GET /a p95 0 ms",
        "Deprecated, but called: GET /a 0 calls",
        "Safe to remove now: GET /0, GET /1, GET /2 and 6 more",
    ]
    quiet = Totals(calls=0, errors_5xx=0, error_share=0.0)
    assert digest_lines(week.model_copy(update={"before": quiet}), [], {}) == [
        "Calls: 1,200",
        "5xx: 0 % (0), the week before 0 % (0)",
    ]
    assert digest_title(week) == "week to 3 Apr 2026"


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.0004, "< 0.1 %"), (0.001, "0.1 %"), (0.125, "12.5 %"), (1.0, "100 %")],
)
def test_shares(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (None, "never"),
        (-5.0, "less than a minute ago"),
        (60.0, "1 minute ago"),
        (7_300.0, "2 hours ago"),
        (86_400.0, "1 day ago"),
    ],
)
def test_ages(age: float | None, words: str) -> None:
    assert ago(None if age is None else NOW - age, NOW) == words


def test_a_title_names_the_app_and_its_environment() -> None:
    assert heading("shop", None, "x") == "shop: x"
    assert heading("shop", "production", "x") == "shop (production): x"
