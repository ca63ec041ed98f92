"""Alerts begin and end once, whatever holds when, and whatever is found in between."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.notifications.alerts import (
    DAY,
    Alert,
    Finding,
    Phase,
    Rule,
    Standing,
    Subject,
    follow,
)

pytestmark = pytest.mark.unit

START = 1_775_243_992
SUBJECT = Subject(Rule.ERRORS, "00aa")
Told = list[tuple[int, Phase]]


def replay(
    held: Sequence[tuple[int, bool | None]], *, quiet_first: bool = False
) -> tuple[Told, dict[Subject, Standing]]:
    """The alerts of one endpoint for a sequence of times and findings."""
    standings: dict[Subject, Standing] = {}
    told: Told = []
    for number, (now, holds) in enumerate(held):
        quiet = [Rule.ERRORS] if quiet_first and not number else []
        standings, alerts = follow(
            standings, [Finding(SUBJECT, holds)], rules=[Rule.ERRORS], quiet=quiet, now=now
        )
        told += [(now, alert.phase) for alert in alerts]
    return told, standings


def test_an_alert_is_told_when_it_begins_and_when_it_ends_and_not_in_between() -> None:
    found = [False, True, True, None, True, False, False]
    told, standings = replay([(START + 60 * minute, one) for minute, one in enumerate(found)])
    assert told == [(START + 60, Phase.BEGAN), (START + 300, Phase.ENDED)]
    assert standings == {SUBJECT: Standing(told_at=START + 60)}


def test_one_that_begins_again_on_the_same_day_waits_until_the_day_is_over() -> None:
    held = [(0, True), (60, False), (120, True), (180, False), (240, True), (DAY + 60, True)]
    told, _ = replay([(START + seconds, one) for seconds, one in held])
    assert told == [
        (START, Phase.BEGAN),
        (START + 60, Phase.ENDED),
        (START + DAY + 60, Phase.BEGAN),
    ]


def test_one_that_has_ended_is_forgotten_after_a_day() -> None:
    _, standings = replay([(START, True), (START + 60, False), (START + DAY, False)])
    assert standings == {}


def test_what_holds_at_the_first_look_is_no_news_but_its_end_is() -> None:
    told, _ = replay([(START, True), (START + 60, True), (START + 120, False)], quiet_first=True)
    assert told == [(START + 120, Phase.ENDED)]


def test_what_no_longer_holds_by_another_limit_ends_silently() -> None:
    _, standings = replay([(START, True)])
    after, alerts = follow(
        standings,
        [Finding(SUBJECT, holds=False)],
        rules=[Rule.ERRORS],
        quiet=[Rule.ERRORS],
        now=START + 60,
    )
    assert (after[SUBJECT].since, alerts) == (None, [])


def test_an_endpoint_that_is_gone_ends_its_alert_silently_and_is_not_told_twice_a_day() -> None:
    _, standings = replay([(START, True)])
    standings, alerts = follow(standings, [], rules=[Rule.ERRORS], now=START + 60)
    assert alerts == []
    back = [Finding(SUBJECT, holds=True)]
    _, alerts = follow(standings, back, rules=[Rule.ERRORS], now=START + 120)
    assert alerts == []


def test_rules_that_were_not_looked_at_stay_as_they_are() -> None:
    _, standings = replay([(START, True)])
    after, alerts = follow(standings, [], rules=[Rule.DEAD], now=START + 60)
    assert (after, alerts) == (standings, [])


def test_begins_come_before_ends_and_are_ordered_by_rule() -> None:
    subjects = [Subject(rule, "00aa") for rule in (Rule.DEAD, Rule.SLOW, Rule.ERRORS)]
    standings = {subjects[0]: Standing(START, is_told=True, told_at=START)}
    findings = [Finding(one, holds=one.rule is not Rule.DEAD) for one in subjects]
    _, alerts = follow(standings, findings, rules=list(Rule), now=START + 60)
    assert alerts == [
        Alert(subjects[2], Phase.BEGAN, START + 60),
        Alert(subjects[1], Phase.BEGAN, START + 60),
        Alert(subjects[0], Phase.ENDED, START),
    ]


@pytest.mark.parametrize("wrong", [START + 365 * DAY, START - 365 * DAY])
def test_a_clock_that_was_wrong_for_a_moment_silences_nothing_afterwards(wrong: int) -> None:
    told, _ = replay([(wrong, True), (wrong + 60, False), (START, True)])
    assert told[-1] == (START, Phase.BEGAN)


findings = st.lists(
    st.tuples(st.integers(60, DAY), st.sampled_from([True, False, None])), max_size=40
)


@given(steps=findings, quiet_first=st.booleans())
def test_of_any_findings_begins_and_ends_alternate_and_begins_are_a_day_apart(
    *, steps: list[tuple[int, bool | None]], quiet_first: bool
) -> None:
    now, held = START, list[tuple[int, bool | None]]()
    for seconds, holds in steps:
        now += seconds
        held.append((now, holds))
    told, standings = replay(held, quiet_first=quiet_first)
    phases = [phase for _, phase in told]
    first = Phase.ENDED if quiet_first and phases[:1] == [Phase.ENDED] else Phase.BEGAN
    other = {Phase.BEGAN: Phase.ENDED, Phase.ENDED: Phase.BEGAN}
    assert phases == [first if number % 2 == 0 else other[first] for number in range(len(phases))]
    begins = [moment for moment, phase in told if phase is Phase.BEGAN]
    assert all(later - earlier >= DAY for earlier, later in pairwise(begins))
    # Told only while it holds, and ended only by a finding that says so.
    at = dict(held)
    assert all(at[moment] is (phase is Phase.BEGAN) for moment, phase in told)
    last = next((holds for _, holds in reversed(held) if holds is not None), False)
    assert (SUBJECT in standings and standings[SUBJECT].since is not None) == last
