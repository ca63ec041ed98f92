"""What a change of the settings would do, before it is made. Pure: no I/O, no clock.

Each preview asks the very functions that bring the effect: `Rules` and `classify`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.ignore_rules import Rule, Rules
from fastapi_lens.settings.status import Status, Thresholds, classify


@dataclass(frozen=True, slots=True)
class RulePreview:
    """What comes of a rule that is added, changed, paused or deleted.

    Attributes:
        covered: The endpoints that the rule is about, paused or not; none for a deleted one.
        ignored: Those of all endpoints that are ignored then, by whichever rule.
        hidden: Those that are ignored then and are not now.
        back: Those that are ignored now and are not then.
        share: Of all calls in the window, those of the covered endpoints, from 0 to 1.
        total: How many endpoints there are, ignored or not.
    """

    covered: tuple[Endpoint, ...]
    ignored: tuple[Endpoint, ...]
    hidden: tuple[Endpoint, ...]
    back: tuple[Endpoint, ...]
    share: float
    total: int


def preview_rules(
    endpoints: Sequence[Endpoint], now: Rules, then: Rules, rule: Rule | None
) -> RulePreview:
    """What comes of other rules.

    Args:
        endpoints: All of them, those that are ignored now included.
        now: The rules in force.
        then: Those that would be.
        rule: The one that is asked about, as it would be; None for a deleted one.
    """
    covered = [one for one in endpoints if rule is not None and rule.covers(one.method, one.path)]
    before = {one.id for one in endpoints if now.ignores(one.method, one.path)}
    ignored = [one for one in endpoints if then.ignores(one.method, one.path)]
    after = {one.id for one in ignored}
    calls = sum(one.usage.calls for one in endpoints)
    return RulePreview(
        covered=_by_path(covered),
        ignored=_by_path(ignored),
        hidden=_by_path(one for one in ignored if one.id not in before),
        back=_by_path(one for one in endpoints if one.id in before - after),
        share=sum(one.usage.calls for one in covered) / (calls or 1),
        total=len(endpoints),
    )


@dataclass(frozen=True, slots=True)
class StatusChange:
    """An endpoint that other thresholds would show differently.

    Attributes:
        before: Its status now.
        after: Its status then; the same where only its speed is judged differently.
        was_slow: Whether its p95 is above the limit now.
        is_slow: Whether it is above the limit then.
    """

    endpoint: Endpoint
    before: Status
    after: Status
    was_slow: bool
    is_slow: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What endpoints are judged by.

    Attributes:
        thresholds: When one is cold, and dead.
        slow_ms: Milliseconds above which a p95 is slow.
    """

    thresholds: Thresholds
    slow_ms: float


def preview_limits(
    endpoints: Iterable[Endpoint], now_limits: Limits, then: Limits, *, now: float
) -> tuple[StatusChange, ...]:
    """Who would be shown differently by other limits, in the order of their paths.

    Args:
        endpoints: Those that are shown.
        now_limits: In force.
        then: Those that would be.
        now: Epoch seconds.
    """
    changes = (
        StatusChange(
            endpoint=one,
            before=_status(one, now_limits, now),
            after=_status(one, then, now),
            was_slow=one.is_slow(limit_ms=now_limits.slow_ms),
            is_slow=one.is_slow(limit_ms=then.slow_ms),
        )
        for one in _by_path(endpoints)
    )
    return tuple(one for one in changes if (one.before, one.was_slow) != (one.after, one.is_slow))


def _status(endpoint: Endpoint, limits: Limits, now: float) -> Status:
    return classify(endpoint.last_called_at, now=now, thresholds=limits.thresholds)


def _by_path(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    return tuple(sorted(endpoints, key=lambda one: (one.path, one.method)))
