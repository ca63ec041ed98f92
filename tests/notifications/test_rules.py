"""The limits of alerts: with a gap between begin and end, and silent on few calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.notifications.rules import (
    CALLED_SECONDS,
    FEWEST_CALLS,
    FEWEST_FAILURES,
    FEWEST_LATEST,
    QUIET_SECONDS,
    Load,
    fails,
    is_called,
    is_slow,
)

pytestmark = pytest.mark.unit

NOW = 1_775_243_992.0
FEW = Load(1, 1, 9_000)


@pytest.mark.parametrize(
    ("hour", "latest", "holds"),
    [
        (Load(200, 20), Load(50, 5), True),
        # Over: it no longer goes on.
        (Load(200, 20), Load(50, 0), False),
        (Load(200, 20), Load(5, 0), None),
        # A few errors are none, and so is a share of few calls.
        (Load(100, 9), Load(100, 9), None),
        (Load(49, 49), Load(49, 49), None),
        # Between the limits.
        (Load(1_000, 40), Load(1_000, 40), None),
        (Load(1_000, 25), FEW, False),
        (Load(), Load(), None),
    ],
)
def test_the_share_of_5xx(hour: Load, latest: Load, holds: bool | None) -> None:  # noqa: FBT001
    assert fails(hour, latest, limit=0.05) is holds


@pytest.mark.parametrize(
    ("hour", "latest", "holds"),
    [
        (Load(60, 0, 600), Load(20, 0, 501), True),
        (Load(60, 0, 600), Load(19, 0, 900), None),
        (Load(49, 0, 600), Load(49, 0, 900), None),
        (Load(60, 0, 600), Load(20, 0, 450), None),
        (Load(60, 0, 600), Load(20, 0, 400), False),
        (Load(60, 0, 400), FEW, False),
        (Load(), Load(), None),
    ],
)
def test_the_p95(hour: Load, latest: Load, holds: bool | None) -> None:  # noqa: FBT001
    assert is_slow(hour, latest, limit_ms=500) is holds


@pytest.mark.parametrize(
    ("age", "deprecated", "holds"),
    [
        (60.0, True, True),
        (60.0, False, False),
        (None, True, False),
        (CALLED_SECONDS + 1, True, None),
        (QUIET_SECONDS + 1, True, False),
        (-60.0, True, True),
    ],
)
def test_a_deprecated_endpoint_is_called(
    age: float | None,
    deprecated: bool,  # noqa: FBT001
    holds: bool | None,  # noqa: FBT001
) -> None:
    last = None if age is None else NOW - age
    assert is_called(last, deprecated=deprecated, now=NOW) is holds


loads = st.integers(0, 500).flatmap(
    lambda calls: st.builds(
        Load, st.just(calls), st.integers(0, calls), st.floats(0, 10_000, allow_nan=False)
    )
)


@given(loads, loads, st.floats(0, 1))
def test_no_share_is_an_alert_with_fewer_calls_than_the_rule_asks_for(
    hour: Load, latest: Load, limit: float
) -> None:
    if fails(hour, latest, limit=limit):
        assert hour.calls >= FEWEST_CALLS
        assert hour.failed >= FEWEST_FAILURES
        assert min(hour.share, latest.share) > limit


@given(loads, loads, st.floats(1, 10_000))
def test_no_p95_is_an_alert_with_fewer_calls_than_the_rule_asks_for(
    hour: Load, latest: Load, limit: float
) -> None:
    if is_slow(hour, latest, limit_ms=limit):
        assert hour.calls >= FEWEST_CALLS
        assert latest.calls >= FEWEST_LATEST
        assert min(hour.p95_ms, latest.p95_ms) > limit


@given(loads, loads, st.floats(0, 1), st.floats(1, 10_000))
def test_an_alert_ends_only_well_below_its_limit(
    hour: Load, latest: Load, share: float, limit: float
) -> None:
    if fails(hour, latest, limit=share) is False:
        assert min(hour.share, latest.share) <= share / 2
    if is_slow(hour, latest, limit_ms=limit) is False:
        assert min(hour.p95_ms, latest.p95_ms) <= 0.8 * limit
