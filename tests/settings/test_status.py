from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.settings.status import UNUSED, Status, Thresholds, classify

pytestmark = pytest.mark.unit

NOW = 1_775_000_000.0
DAY = 86_400
LIMITS = Thresholds(cold_days=7, dead_days=30)
ORDER = [Status.ACTIVE, Status.COLD, Status.DEAD]
THRESHOLDS = st.tuples(st.integers(1, 400), st.integers(1, 400)).map(
    lambda days: Thresholds(days[0], days[0] + days[1])
)


@pytest.mark.parametrize(
    ("age_seconds", "status"),
    [
        (-3_600, "active"),
        (0, "active"),
        (7 * DAY - 1, "active"),
        (7 * DAY, "active"),
        (7 * DAY + 0.001, "cold"),
        (7 * DAY + 1, "cold"),
        (30 * DAY - 0.001, "cold"),
        (30 * DAY, "cold"),
        (30 * DAY + 0.001, "dead"),
        (30 * DAY + 1, "dead"),
        (4_000 * DAY, "dead"),
    ],
)
def test_the_status_changes_at_the_exact_second(age_seconds: float, status: str) -> None:
    assert classify(NOW - age_seconds, now=NOW, thresholds=LIMITS) == status


def test_without_a_call_an_endpoint_is_never_called() -> None:
    assert classify(None, now=NOW, thresholds=LIMITS) == "never_called"


@given(THRESHOLDS, st.lists(st.floats(-DAY, 1_000 * DAY), min_size=2, max_size=2))
def test_an_endpoint_never_gets_younger_with_time(limits: Thresholds, ages: list[float]) -> None:
    younger, older = (classify(NOW - age, now=NOW, thresholds=limits) for age in sorted(ages))
    assert ORDER.index(younger) <= ORDER.index(older)


@given(THRESHOLDS, st.integers(0, 1_000 * DAY))
def test_the_status_is_what_whole_seconds_say(limits: Thresholds, age: int) -> None:
    days = Fraction(age, DAY)
    expected = (
        "dead" if days > limits.dead_days else "cold" if days > limits.cold_days else "active"
    )
    assert classify(NOW - age, now=NOW, thresholds=limits) == expected


def test_unused_are_the_dead_and_the_never_called() -> None:
    assert {status.value for status in UNUSED} == {"dead", "never_called"}
    assert [status.value for status in Status] == ["active", "cold", "dead", "never_called"]
