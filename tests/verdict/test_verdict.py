"""Verdicts by the examples of the design. Days count from the last use."""

from dataclasses import replace
from typing import Any

import pytest

from fastapi_lens.verdict.cadence import Cadence, Pattern
from fastapi_lens.verdict.callers import Ledger
from fastapi_lens.verdict.history import History, Keep, KeepSource, Kind, Noise
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.reasons import Code
from fastapi_lens.verdict.verdict import verdict_of
from tests.verdict.helpers import (
    BORN,
    LAST,
    at,
    daily,
    delays,
    every,
    numbers,
    runs,
    used,
    web,
)

pytestmark = pytest.mark.unit

LEDGER = Ledger(BORN, (web(),))


def level(history: History) -> Level:
    return verdict_of(history).level


def test_a_daily_use_that_stops_is_probably_unused_after_32_days_and_safe_after_a_year() -> None:
    assert delays(daily()) == (32, 401)
    assert level(daily(7)) is Level.IN_USE
    assert level(daily(8)) is Level.WAIT
    assert level(daily(31)) is Level.WAIT
    assert level(daily(32)) is Level.PROBABLY_UNUSED
    assert level(daily(400)) is Level.PROBABLY_UNUSED
    assert level(daily(401)) is Level.SAFE_TO_REMOVE


def test_with_a_years_ledger_a_silent_quarter_is_enough() -> None:
    assert delays(daily(ledger=LEDGER)) == (35, 101)
    assert level(daily(101, ledger=LEDGER)) is Level.SAFE_TO_REMOVE


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"ledger": Ledger(LAST - 399, (web(),))}, id="it is too young"),
        pytest.param({"ledger": Ledger(BORN, (web(),), is_complete=False)}, id="it has others"),
        pytest.param({"present_since": LAST - 399}, id="the endpoint is too young"),
        pytest.param({"observed_since": LAST - 399}, id="too little was observed"),
        pytest.param({"holes": ((BORN, LAST - 399),)}, id="it has a hole"),
    ],
)
def test_a_ledger_of_less_than_a_year_excludes_no_rare_caller(change: dict[str, object]) -> None:
    found = verdict_of(daily(150, **{"ledger": LEDGER, **change}))  # type: ignore[arg-type]

    assert found.safe_from == LAST + 401
    assert numbers(found, Code.HIDDEN_RARE_CALLER) == {"from_day": LAST + 401}


def test_a_quarterly_use_waits_for_one_and_a_half_periods() -> None:
    assert delays(used(*every(92, 9))) == (169, 401)
    assert level(used(*every(92, 9), silent=100)) is Level.IN_USE
    assert level(used(*every(92, 9), silent=110)) is Level.WAIT


def test_a_quarterly_use_that_may_leave_out_one_quarter_is_not_safe_before_two() -> None:
    ledger = Ledger(BORN, (web(days=9, longest_gap=92, first_day=LAST - 736),))

    assert delays(used(*every(92, 9), ledger=ledger)) == (169, 197)


def test_what_was_never_used_is_probably_unused_after_a_quarter_and_safe_after_a_year() -> None:
    history = used(present_since=BORN, silent=99)
    found = verdict_of(history)

    assert found.level is Level.NOT_ENOUGH_OBSERVATION
    assert (found.probably_from - BORN, found.safe_from) == (100, BORN + 400)
    assert found.pattern is Pattern.NEVER
    assert level(replace(history, today=BORN + 100)) is Level.PROBABLY_UNUSED
    assert level(replace(history, today=BORN + 400)) is Level.SAFE_TO_REMOVE


def test_days_before_anything_was_observed_are_no_silence() -> None:
    history = used(silent=500, observed_since=BORN + 450)

    assert level(history) is Level.NOT_ENOUGH_OBSERVATION
    assert verdict_of(history).hole_days == 450


@pytest.mark.parametrize("others", [{"silent": 50}, {"silent": 450, "cadence": Cadence.YEARLY}])
def test_a_silence_that_is_too_short_anyway_is_not_said_to_lack_observation(
    others: dict[str, Any],
) -> None:
    found = verdict_of(used(holes=((BORN + 20, BORN + 22),), **others))

    assert found.level is Level.NOT_ENOUGH_OBSERVATION
    assert found.hole_days == 3
    assert numbers(found, Code.NOT_OBSERVED) is None


def test_silence_begins_anew_when_an_endpoint_returns() -> None:
    found = verdict_of(daily(300, present_since=LAST + 290, ledger=LEDGER))

    assert found.silence_days == 11
    assert (found.probably_from, found.safe_from) == (LAST + 324, LAST + 690)


def test_a_use_whose_days_are_no_longer_kept_is_not_never_called() -> None:
    found = verdict_of(used(last_used=LAST, today=LAST + 150))

    assert found.level is Level.WAIT
    assert (found.probably_from, found.safe_from) == (LAST + 201, LAST + 401)
    assert numbers(found, Code.LONGER_THAN_EVER) == {"silence": 150, "longest_gap": 0}


def test_the_last_use_of_a_week_is_taken_at_its_end_unless_its_day_is_known() -> None:
    weeks = tuple(range(LAST - 70, LAST, 7))

    assert verdict_of(used(weeks=weeks, today=LAST + 20)).silence_days == 21
    assert verdict_of(used(weeks=weeks, last_used=LAST - 5, today=LAST + 20)).silence_days == 25


def test_a_used_day_after_the_last_use_that_was_noted_ends_the_silence() -> None:
    days = (LAST, LAST - 5)

    assert verdict_of(used(*days, last_used=LAST - 5, today=LAST + 20)).silence_days == 20


def test_a_hole_in_the_silence_of_a_daily_use_is_waited_for() -> None:
    history = daily(holes=runs((20, 35)))

    assert level(at(history, 32)) is Level.NOT_ENOUGH_OBSERVATION
    assert numbers(verdict_of(at(history, 40)), Code.NOT_OBSERVED) == {
        "days": 16,
        "first_day": LAST + 20,
        "last_day": LAST + 35,
    }


def test_a_hole_is_no_reason_where_the_silence_would_be_too_short_without_it() -> None:
    never = used(today=BORN + 3, holes=((BORN, BORN),))

    assert verdict_of(never).level is Level.NOT_ENOUGH_OBSERVATION
    assert numbers(verdict_of(never), Code.NOT_OBSERVED) is None
    assert numbers(verdict_of(replace(never, today=BORN + 100)), Code.NOT_OBSERVED) is not None


def test_days_before_the_observation_began_are_never_tolerated() -> None:
    begun = LAST + 3
    history = daily(observed_since=begun)

    assert level(at(history, begun - LAST + 399)) is not Level.SAFE_TO_REMOVE
    assert level(replace(used(observed_since=BORN + 2), today=BORN + 401)) is not (
        Level.SAFE_TO_REMOVE
    )


def test_nothing_is_unused_while_calls_wait_to_be_added() -> None:
    for history in (daily(), used(observed_since=0)):
        waiting = replace(history, today=LAST + 500, holes=runs((500, 500)), has_waiting=True)

        assert level(waiting) is Level.NOT_ENOUGH_OBSERVATION
        assert level(replace(waiting, has_waiting=False)) is Level.SAFE_TO_REMOVE


def test_up_to_four_hole_days_of_the_silent_year_are_tolerated_and_named() -> None:
    history = daily(401, holes=runs((60, 61), (200, 201)))
    found = verdict_of(history)

    assert found.level is Level.SAFE_TO_REMOVE
    assert numbers(found, Code.DAYS_NOT_SEEN) == {
        "days": 4,
        "holes": runs((60, 61), (200, 201)),
    }
    assert delays(daily(401, holes=runs((60, 61), (200, 202))))[1] == 202 + 365 + 35 + 1


def test_holes_after_the_tolerated_year_are_seen_as_ever() -> None:
    gaps = (LAST - 640, LAST - 580, LAST - 330, LAST - 250, LAST - 240, LAST)
    history = used(*gaps, silent=1_100)
    tolerated = replace(history, holes=runs((50, 50), (401, 800)))

    assert delays(replace(history, holes=runs((401, 800)))) == delays(tolerated)


def test_a_hole_after_the_tolerated_year_counts_only_if_nothing_was_seen_a_year_before() -> None:
    history = used(LAST - 40, LAST, silent=600, holes=runs((50, 50), (500, 500)))

    assert delays(history) == (431, 831)
    assert delays(daily(600, holes=runs((100, 104), (420, 420))))[1] == 104 + 365 + 35 + 1


def test_to_tolerate_a_hole_day_makes_nothing_later() -> None:
    # Few uses, and observation that began in the silence, on a day with a hole.
    history = used(
        LAST - 20, LAST, silent=71, observed_since=LAST + 30, holes=runs((27, 27), (30, 30))
    )
    further = replace(history, holes=(*history.holes, *runs((58, 71))))

    assert delays(history) == delays(further) == (411, 831)


def test_the_holes_of_a_declared_cadence_are_seen_a_fifth_of_a_period_early_or_late() -> None:
    found = delays(daily(150, cadence=Cadence.QUARTERLY, holes=runs((100, 100))))

    # 18.4 days early would be before the silence, so the hole is seen 92 and 18.4 days later.
    assert found[0] == 100 + 92 + 18 + 1


def test_the_holes_of_each_cadence_are_seen_a_period_before_or_later() -> None:
    found = verdict_of(daily(50, holes=runs((9, 9))))

    assert [each.from_day - LAST for each in found.exclusions] == [4, 10, 45, 112, 213, 401]


def test_what_is_known_of_the_uses_before_is_said_without_the_gaps_that_holes_explain() -> None:
    unobserved = range(LAST - 60, LAST - 50)
    days = [day for day in every(1, 100) if day not in unobserved]
    found = verdict_of(used(*days, silent=10, holes=runs((-60, -51))))

    assert numbers(found, Code.USED_BEFORE) == {
        "days": 90,
        "weeks": 0,
        "span": 100,
        "longest_gap": 1,
        "gaps_left_out": 1,
    }


def test_no_hole_day_is_tolerated_in_a_callers_own_year() -> None:
    rare = web(name="audit", days=2, first_day=LAST - 40, last_day=LAST - 10, longest_gap=30)
    ledger = Ledger(BORN, (web(), rare))

    found = verdict_of(daily(450, holes=runs((60, 60)), ledger=ledger))
    assert found.level is Level.PROBABLY_UNUSED
    assert numbers(found, Code.CALLER_NOT_EXCLUDED) == {
        "caller": "audit",
        "last_day": LAST - 10,
        "days": 2,
        "longest_gap": 30,
        "from_day": LAST + 60 + 365 + 35 + 1,
        "others": 0,
    }


def test_a_caller_that_came_unsteadily_is_waited_for_three_times_its_longest_gap() -> None:
    unsteady = web(days=300, longest_gap=40)

    assert delays(daily(ledger=Ledger(BORN, (unsteady,)))) == (91, 151)


def test_a_caller_with_a_long_gap_is_waited_for_by_a_years_clock() -> None:
    yearly = web(days=4, first_day=LAST - 900, longest_gap=366)

    assert delays(daily(ledger=Ledger(BORN, (yearly,)))) == (580, 772)


def test_callers_that_are_noise_are_not_waited_for() -> None:
    bot = web(name="Googlebot", last_day=LAST + 90, is_noise=True)

    assert delays(daily(ledger=Ledger(BORN, (web(), bot)))) == (35, 101)


@pytest.mark.parametrize(
    ("noise", "found"),
    [
        (Noise(noise_days=2), Level.SAFE_TO_REMOVE),
        (Noise(noise_days=3), Level.PROBABLY_UNUSED),
        (Noise(refused_days=3), Level.PROBABLY_UNUSED),
        (Noise(noise_days=1, refused_days=2), Level.PROBABLY_UNUSED),
        (Noise(refused_days=1, refused_users=("mobile",)), Level.PROBABLY_UNUSED),
    ],
)
def test_noise_and_refused_callers_keep_an_endpoint_from_being_safe(
    noise: Noise, found: Level
) -> None:
    assert level(daily(500, noise=noise)) is found


def test_a_websocket_is_never_safe() -> None:
    found = verdict_of(daily(900, kind=Kind.WEBSOCKET))

    assert found.level is Level.PROBABLY_UNUSED
    assert found.safe_from is None
    assert numbers(found, Code.WEBSOCKET) == {}
    assert numbers(verdict_of(daily(90, kind=Kind.WEBSOCKET)), Code.HIDDEN_RARE_CALLER) is None


def test_what_is_kept_on_purpose_is_kept_up_to_its_last_day() -> None:
    keep = Keep("disaster recovery", LAST + 500, KeepSource.ADMIN)
    history = daily(500, keeps=(Keep("migration", LAST + 100), keep))

    assert level(history) is Level.KEPT
    assert numbers(verdict_of(history), Code.KEPT) == {
        "why": "disaster recovery",
        "until_day": LAST + 500,
        "source": "admin",
    }
    assert level(at(history, 501)) is Level.SAFE_TO_REMOVE
    assert numbers(verdict_of(at(history, 501)), Code.KEEP_ENDED) is not None


def test_a_declared_cadence_is_waited_for_two_periods() -> None:
    found = verdict_of(daily(401, cadence=Cadence.YEARLY))

    assert found.level is Level.WAIT
    assert (found.probably_from - LAST, found.safe_from) == (769, LAST + 769)
    assert found.need_safe_days == pytest.approx(768.6)
    assert numbers(found, Code.CADENCE_DECLARED) == {"cadence": "yearly", "days": 769}


def test_an_irregular_use_waits_for_its_pattern() -> None:
    days = [LAST - gap for gap in (0, 40, 50, 190, 200, 260, 380)]
    found = verdict_of(used(*days, silent=431))

    assert found.level is Level.PROBABLY_UNUSED
    assert numbers(found, Code.IRREGULAR) == {
        "gaps": 6,
        "longest_gap": 140,
        "from_day": LAST + 831,
    }


def test_a_cadence_is_excluded_after_a_period_and_a_little() -> None:
    found = verdict_of(daily(105))

    assert [(each.cadence.value, each.is_excluded) for each in found.exclusions] == [
        ("daily", True),
        ("weekly", True),
        ("monthly", True),
        ("quarterly", True),
        ("half-yearly", False),
        ("yearly", False),
    ]
    assert [each.from_day - LAST for each in found.exclusions] == [4, 10, 36, 102, 201, 401]
    assert numbers(found, Code.YEARLY_NOT_EXCLUDED) == {"from_day": LAST + 401}
    assert numbers(found, Code.CADENCES_NOT_EXCLUDED) == {
        "cadences": ("half-yearly",),
        "from_days": (LAST + 201,),
    }


def test_a_regular_use_says_when_the_next_one_is_due() -> None:
    found = verdict_of(used(*every(92, 9), silent=50))

    assert numbers(found, Code.NEXT_DUE) == {"period": 92, "due_day": LAST + 92}
    assert numbers(verdict_of(daily(1)), Code.NEXT_DUE) is None


def test_holes_that_are_still_to_come_are_not_known() -> None:
    assert delays(daily(10, holes=runs((15, 300)))) == (32, 401)


def test_the_callers_of_a_safe_endpoint_are_named_the_latest_first() -> None:
    app = web(name="app", last_day=LAST - 10)
    found = verdict_of(daily(101, ledger=Ledger(BORN, (app, web()))))

    assert numbers(found, Code.CALLERS_GONE) == {
        "names": ("web", "app"),
        "last_days": (LAST, LAST - 10),
        "rare": 0,
    }
    assert numbers(found, Code.NO_NOISE) == {"window": 90, "are_bots_known": 1}


def test_a_ledger_without_callers_names_none() -> None:
    found = verdict_of(daily(101, ledger=Ledger(BORN, ())))

    assert found.level is Level.SAFE_TO_REMOVE
    assert numbers(found, Code.CALLERS_GONE) is None
