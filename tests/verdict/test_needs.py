from collections.abc import Sequence

import pytest

from fastapi_lens.verdict.cadence import Pattern, pattern_of
from fastapi_lens.verdict.days import NO_HOLES, Holes
from fastapi_lens.verdict.gaps import Uses, gaps_of
from fastapi_lens.verdict.needs import Needs, needs_of
from fastapi_lens.verdict.silence import Clock

pytestmark = pytest.mark.unit


def days_with_gaps(*gaps: int) -> list[int]:
    days = [1_001]
    for gap in gaps:
        days.append(days[-1] + gap)
    return days


def needs(days: Sequence[int], weeks: Sequence[int] = ()) -> Needs:
    uses = Uses.of(days, weeks)
    return needs_of(uses, gaps_of(uses, NO_HOLES), is_used=True)


def pattern(*gaps: int) -> Pattern:
    return pattern_of(gaps_of(Uses.of(days_with_gaps(*gaps)), NO_HOLES), is_used=True)


def test_what_was_never_used_needs_a_quarter_and_a_year() -> None:
    assert needs_of(Uses(), gaps_of(Uses(), NO_HOLES), is_used=False) == Needs(100, 400)


@pytest.mark.parametrize("days", [[1_001], [1_001, 1_003, 1_010], []])
def test_one_attempt_needs_two_quarters_and_a_year(days: list[int]) -> None:
    assert needs(days) == Needs(200, 400)


def test_a_regular_use_needs_one_and_a_half_periods_or_two_if_one_is_left_out() -> None:
    assert needs(days_with_gaps(*[1] * 400)) == Needs(31.5, 31.5, Clock(1, 3))

    quarterly = needs(days_with_gaps(92, 91, 90, 92))
    assert quarterly.probably == 1.5 * 92 + 30
    assert quarterly.safe == pytest.approx(2.1 * 92 + 3)
    assert quarterly.clock == Clock(92, 0.2 * 92)


def test_an_irregular_use_needs_what_the_lomax_distribution_gives() -> None:
    found = needs(days_with_gaps(40, 100, 60, 45, 130, 80))

    assert found.probably == pytest.approx(455 * (0.05 ** (-1 / 6) - 1) + 30)
    # 455 * (0.001 ** (-1 / 6) - 1) = 983.8, of which at most 800 count.
    assert found.safe == 830
    assert found.clock is None


def test_a_closed_week_in_a_use_on_working_days_asks_for_twice_its_length() -> None:
    weeks = [1, 1, 1, 1, 3] * 10

    assert needs(days_with_gaps(*weeks, 10)).probably == 2 * 10 + 30
    assert needs(days_with_gaps(*weeks * 2, 10, *weeks, 12, *weeks, 10)).probably == 1.5 * 12 + 30


@pytest.mark.parametrize(
    ("gaps", "pauses"),
    [
        pytest.param(([1, 1, 1, 1, 3] * 10 + [22]) * 2, [22, 22], id="too long for holidays"),
        pytest.param(([1, 1, 1, 1, 3] * 9 + [10]) * 2, [10, 10], id="too many for holidays"),
    ],
)
def test_other_pauses_ask_for_what_their_own_lengths_let_expect(
    gaps: list[int], pauses: list[int]
) -> None:
    found = needs(days_with_gaps(*gaps))

    expected = sum(pauses) * (0.05 ** (-1 / len(pauses)) - 1)
    assert found.probably == pytest.approx(expected + 30)


def test_to_be_safe_holidays_are_pauses_as_any_others() -> None:
    span = 50 * 7 // 5 * 2 + 20

    assert needs(days_with_gaps(*([1, 1, 1, 1, 3] * 10 + [10]) * 2)).safe == pytest.approx(
        min(800, span * (0.001 ** (-1 / 2) - 1)) + 30
    )


def test_few_gaps_ask_for_several_times_the_longest() -> None:
    assert needs(days_with_gaps(300)).probably == 430
    assert needs(days_with_gaps(*[1] * 9, 9, 1, 9, 1, 9, 200, 1)).safe >= 3 * 200 + 30


def test_few_used_days_need_a_quarter_and_more_than_a_year() -> None:
    assert needs(days_with_gaps(7, 7)).probably == 100
    assert needs(days_with_gaps(7, 7)).safe > 400


def test_a_use_that_fades_needs_three_times_the_longest_gap() -> None:
    gaps = [1, 2] * 50

    assert needs(days_with_gaps(7, 7, 7, *gaps)).safe == pytest.approx(1.75 * 7 + 30)
    assert needs(days_with_gaps(*gaps, 7, 7, 7)).safe == 3 * 7 + 30


def test_pauses_are_judged_apart_from_the_days_between_them() -> None:
    found = needs(days_with_gaps(*([1] * 20 + [60]) * 5))

    assert found.probably == 120
    assert found.clock == Clock(60, 12)


def test_months_of_different_length_are_one_regular_use() -> None:
    found = needs(days_with_gaps(28, 31, 30, 31, 30))

    assert found.probably == 1.5 * 31 + 30
    assert found.clock == Clock(30, 6)


def test_three_gaps_are_enough_to_be_regular_and_two_are_not() -> None:
    assert needs(days_with_gaps(30, 31, 30)).clock == Clock(30, 6)
    assert needs(days_with_gaps(30, 31)).clock is None


def test_weeks_that_follow_each_other_are_a_weekly_use() -> None:
    gaps = gaps_of(Uses.of([], range(700, 735, 7)), NO_HOLES)

    assert gaps.lengths == (7,) * 4
    assert gaps.longest == 7


def test_a_use_looks_the_same_when_its_days_are_no_longer_kept() -> None:
    weeks = range(700, 1_001, 7)

    for kept in (2, 10, 100):
        daily = needs(range(1_001, 1_001 + kept), weeks)
        assert (daily.probably, daily.clock) == (31.5, Clock(1, 3))
    assert needs([], weeks).clock == needs(range(1_007, 1_100, 7), weeks).clock == Clock(7, 3)


def test_a_gap_between_weeks_may_be_six_days_longer() -> None:
    gaps = gaps_of(Uses.of([805, 812], [700, 728, 756]), NO_HOLES)

    assert gaps.lengths == (28, 28, 49, 7)
    assert gaps.longest_of_weeks == 49
    assert gaps.longest == 55


def test_gaps_between_weeks_may_differ_by_seven_days() -> None:
    weeks = [0, 35, 63, 98, 126]

    assert needs([], weeks).clock == Clock(35, 7)


def test_days_right_after_the_last_week_make_no_longer_gap() -> None:
    assert gaps_of(Uses.of([769, 770], [756]), NO_HOLES).lengths == (1, 1)


def test_a_gap_is_left_out_if_all_uses_that_were_due_fall_into_holes() -> None:
    days = [day for day in range(1_000, 1_100) if not 1_040 <= day <= 1_050]

    explained = gaps_of(Uses.of(days), Holes.of([(1_040, 1_050)]))
    assert explained.lengths == (1,) * 87
    assert explained.explained == 1
    assert gaps_of(Uses.of(days), Holes.of([(1_041, 1_050)])).longest == 12


def test_a_gap_between_weeks_can_be_left_out() -> None:
    weeks = [week for week in range(700, 1_120, 28) if week != 868]

    gaps = gaps_of(Uses.of([], weeks), Holes.of([(860, 880)]))
    assert gaps.longest == 34
    assert (len(gaps.lengths), gaps.explained) == (12, 1)


def test_a_gap_in_which_no_use_was_due_stays() -> None:
    days = [*range(1_000, 1_080, 7), 1_085, *range(1_092, 1_150, 7)]

    assert gaps_of(Uses.of(days), Holes.of([(1_080, 1_081)])).longest == 8


@pytest.mark.parametrize(
    "gaps",
    [
        pytest.param((30, 30, 60, 30, 30, 30, 30), id="too few other gaps"),
        pytest.param((30, 5, 60, 30, 30, 30, 30, 30), id="the others are irregular"),
    ],
)
def test_a_gap_stays_without_a_known_period(gaps: tuple[int, ...]) -> None:
    days = days_with_gaps(*gaps)
    holes = Holes.of([(days[2] + 25, days[2] + 35), (days[0] + 1, days[0] + 1)])

    assert gaps_of(Uses.of(days), holes).longest == 60


@pytest.mark.parametrize(
    ("gaps", "name"),
    [
        ((1, 1, 2, 1), Pattern.DAILY),
        ((1, 1, 1, 1, 3) * 5, Pattern.WORKING_DAYS),
        ((1, 1, 1, 1, 25), Pattern.ALMOST_DAILY),
        ((1, 1, 1, 1, 60), Pattern.BURSTS),
        ((7, 7, 7, 8), Pattern.WEEKLY),
        ((14, 14, 14), Pattern.TWO_WEEKLY),
        ((31, 30, 31, 28), Pattern.MONTHLY),
        ((92, 91, 90), Pattern.QUARTERLY),
        ((184, 181, 184), Pattern.HALF_YEARLY),
        ((365, 366, 365), Pattern.YEARLY),
        ((30, 31, 30, 95), Pattern.IRREGULAR),
        ((50, 50, 50), Pattern.IRREGULAR),
        ((30, 31), Pattern.FEW),
    ],
)
def test_a_pattern_is_named_by_its_gaps(gaps: tuple[int, ...], name: Pattern) -> None:
    assert pattern(*gaps) is name


def test_what_was_never_used_has_no_pattern() -> None:
    assert pattern_of(gaps_of(Uses(), NO_HOLES), is_used=False) is Pattern.NEVER
