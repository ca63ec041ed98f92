"""Preview of a change of the settings. Pure: no I/O, no clock.

Each preview uses the functions that have the effect later: `Rules` and `classify`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.ignore_rules import Rule, Rules
from fastapi_lens.settings.status import Status, Thresholds, classify


@dataclass(frozen=True, slots=True)
class RulePreview:
    """Effect of a rule that is added, changed, paused or deleted.

    Attributes:
        covered: The endpoints that the rule matches, paused or not; none for a deleted rule.
        ignored: All endpoints that any rule ignores after the change.
        hidden: Endpoints that are ignored after the change and not before.
        back: Endpoints that are ignored before the change and not after.
        share: Calls of the covered endpoints as a share of all calls in the window, from 0 to 1.
        total: Number of all endpoints, ignored or not.
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
    """The effect of other rules.

    Args:
        endpoints: All endpoints, including those that are ignored now.
        now: The active rules.
        then: The rules after the change.
        rule: The changed rule in its new form; None for a deleted one.
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
        after: Its status then; the same if only `is_slow` changes.
        was_slow: True if its p95 is above the limit now.
        is_slow: True if it is above the limit then.
    """

    endpoint: Endpoint
    before: Status
    after: Status
    was_slow: bool
    is_slow: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that endpoints are judged by.

    Attributes:
        thresholds: Days after which an endpoint is cold, and dead.
        slow_ms: Milliseconds above which a p95 is slow.
    """

    thresholds: Thresholds
    slow_ms: float


def preview_limits(
    endpoints: Iterable[Endpoint], now_limits: Limits, then: Limits, *, now: float
) -> tuple[StatusChange, ...]:
    """The endpoints that other limits would show differently, ordered by path.

    Args:
        endpoints: The shown endpoints.
        now_limits: The active limits.
        then: The limits after the change.
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
