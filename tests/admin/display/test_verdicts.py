"""Verdicts in words: dates, runs of days, exclusions, evidence."""

from datetime import date

import pytest

from fastapi_lens.admin.display.verdicts import (
    headline_of,
    lines_of,
    near_day,
    observed_words,
    releases_words,
    removed_line,
    run_words,
    runs_words,
    weeks_strip,
    weeks_words,
    words_of,
)
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged, Week, WeekState
from fastapi_lens.reporting.evidence.gone import Gone
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.verdict.days import day_of
from fastapi_lens.verdict.history import History, Keep
from tests.support.judged import judge

pytestmark = pytest.mark.unit

TODAY = day_of(date(2026, 11, 30))


def history(*days: int, since: int = 900, **facts: object) -> History:
    """A history with uses on days, counted back from today."""
    begin = TODAY - since
    used = tuple(sorted(TODAY - day for day in days))
    return History(TODAY, begin, begin, used, **facts)  # type: ignore[arg-type]


def test_a_day_has_its_year_only_if_that_is_another_one() -> None:
    assert near_day(TODAY + 21, TODAY) == "21 Dec"
    assert near_day(TODAY + 99, TODAY) == "9 Mar 2027"


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (date(2026, 5, 4), date(2026, 5, 4), "4 May 2026"),
        (date(2026, 5, 4), date(2026, 5, 12), "4 – 12 May 2026"),
        (date(2026, 4, 30), date(2026, 5, 2), "30 Apr – 2 May 2026"),
        (date(2025, 12, 31), date(2026, 1, 1), "31 Dec 2025 – 1 Jan 2026"),
    ],
)
def test_a_run_of_days_names_each_month_and_year_once(first: date, last: date, words: str) -> None:
    assert run_words(day_of(first), day_of(last)) == words


def test_the_latest_three_holes_are_named_and_the_others_counted() -> None:
    runs = [(TODAY - 10 * n, TODAY - 10 * n) for n in range(5, 0, -1)]
    assert runs_words(runs) == "20 Nov 2026, 10 Nov 2026, 31 Oct 2026 and 2 earlier times"
    assert runs_words(runs[:4]).endswith(" and 1 earlier time")
    assert runs_words([]) == ""


def test_a_verdict_is_two_or_three_words_and_its_title_names_the_next_date() -> None:
    waiting = judge(history(*range(20, 300)))
    assert words_of(waiting).startswith("Wait until ")
    assert headline_of(waiting).endswith(" 2027, without a further use")
    unused = judge(history(*range(100, 300)))
    assert words_of(unused) == "Probably unused"
    assert "; safe to remove from " in headline_of(unused)
    assert headline_of(judge(history(1, 2, 3))) == "In use"


def test_each_sentence_has_a_mark_that_a_word_explains() -> None:
    kept = judge(history(*range(100, 300), keeps=(Keep("audit", TODAY + 9),)))
    assert [line.meaning for line in lines_of(kept.verdict)][:2] == ["Decided", "Seen"]
    quarterly = lines_of(judge(history(50, 141, 232, 323, 414)).verdict)
    assert ("Expected", "…") in [(line.meaning, line.mark) for line in quarterly]
    never = lines_of(judge(history()).verdict)
    assert (never[0].mark, never[0].css) == ("✓", "seen")
    assert never[0].text.startswith("Never used since ")
    assert never[-1].mark == "?"


def test_weeks_are_said_in_words() -> None:
    absent, hole, used = Week(WeekState.ABSENT), Week(WeekState.UNOBSERVED), Week(WeekState.USED, 3)
    weeks = (absent, absent, hole, used, Week(WeekState.SILENT))
    assert weeks_words(weeks) == ("Used in 1 of 3 weeks, 1 not observed, not in the routes in 2")
    assert weeks_words(weeks[3:]) == "Used in 1 of 2 weeks"
    strip = weeks_strip(weeks)
    assert 'class="ground" d="M8 16H20"' in strip
    assert 'class="hole" d="M10 16V0"' in strip
    assert 'class="use" d="M14 16v-16"' in strip
    assert "path" not in weeks_strip((absent, absent))


def test_releases_are_one_sentence() -> None:
    both = judge(history(1), introduced="1.0", last_called="2.0")
    assert releases_words(both) == "In the code since release 1.0; last called in 2.0."
    assert releases_words(judge(history(1), last_called="2.0")) == "Last called in 2.0."
    assert releases_words(judge(history(1))) == ""


def test_the_calls_of_a_removed_endpoint_are_one_sentence() -> None:
    assert removed_line(None).text == removed_line(Gone()).text == "Nobody has called it since."
    line = removed_line(Gone(calls=12, days=1, last_day=TODAY, noise_calls=1))
    assert line.text == (
        "Still called, and answered 404: 12 calls on 1 day, the last on 30 Nov 2026; "
        "1 call by bots, scanners and health checks."
    )
    assert "bots" in removed_line(Gone(noise_calls=2)).text


def evidence(observation: Observation, *endpoints: Judged) -> AppEvidence:
    return AppEvidence(observation=observation, releases=(), endpoints=endpoints)


def test_the_observed_time_is_said_with_its_holes() -> None:
    observation = Observation(TODAY - 811, TODAY, ((TODAY - 200, TODAY - 192),), 9)
    words = observed_words(evidence(observation, judge(history())))
    assert (words.summary, words.since) == ("803 of 812 days", "10 Sep 2024")
    assert words.holes == "14 – 22 May 2026"
    assert words.not_before == ""


def test_it_is_said_from_when_on_anything_can_be_unused() -> None:
    young = judge(history(since=10))
    words = observed_words(evidence(Observation(TODAY - 10, TODAY), young))
    assert words.not_before == (
        "Nothing is probably unused before 28 Feb 2027, or safe to remove before 25 Dec 2027."
    )
    old = judge(history(since=150))
    words = observed_words(evidence(Observation(TODAY - 150, TODAY), old))
    assert words.not_before.startswith("Nothing is safe to remove before ")
    unread = judge(history(1, since=10), is_read=False)
    assert observed_words(evidence(Observation(TODAY - 10, TODAY), unread)).not_before == ""


def test_without_any_observed_minute_nothing_is_said() -> None:
    words = observed_words(evidence(Observation(None, TODAY)))
    assert (words.summary, words.holes, words.not_before) == ("", "", "")
