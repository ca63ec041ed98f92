"""Alerts: which of them begin and end, given what holds now. Pure; no I/O, no clock.

An alert is sent once when it begins and once when it ends, and begins at most once a day for each
endpoint and rule.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

DAY = 86_400


class Rule(StrEnum):
    """Rules of alerts, in the order in which a message lists them."""

    ERRORS = "errors"
    SLOW = "slow"
    DEPRECATED = "deprecated"
    DEAD = "dead"


class Phase(StrEnum):
    """Phases of an alert."""

    BEGAN = "began"
    ENDED = "ended"


class Subject(NamedTuple):
    """A rule and the key of an endpoint."""

    rule: Rule
    key: str


@dataclass(frozen=True, slots=True)
class Standing:
    """State of a rule for one endpoint.

    Attributes:
        since: Epoch seconds since which it holds; None if it does not.
        is_told: True if its begin was sent or needed no message, so that its end is sent.
        told_at: Epoch seconds of the last begin that was sent; None if there was none.
    """

    since: int | None = None
    is_told: bool = False
    told_at: int | None = None


NOTHING = Standing()


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, looked at for one endpoint.

    Attributes:
        holds: None if there are too few calls to say, or between the limits of begin and end.
    """

    subject: Subject
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Alert:
    """The begin or the end of an alert.

    Attributes:
        since: Epoch seconds since which the rule holds, or held until now.
    """

    subject: Subject
    phase: Phase
    since: int


Standings = Mapping[Subject, Standing]
"""What holds, by rule and endpoint."""


def follow(
    standings: Standings,
    findings: Iterable[Finding],
    *,
    rules: Collection[Rule],
    quiet: Collection[Rule] = (),
    now: int,
) -> tuple[dict[Subject, Standing], list[Alert]]:
    """What holds after new findings, and the alerts to send.

    Args:
        standings: The state before.
        findings: One for each rule of `rules` and each endpoint that it can judge; what holds for
            other endpoints, which are gone, ends without an alert.
        rules: The rules that were looked at; the state of others stays.
        quiet: Rules that are looked at for the first time, and whose findings are no news.
        now: Epoch seconds.
    """
    found = {finding.subject: finding.holds for finding in findings}
    subjects = [*standings, *(subject for subject in found if subject not in standings)]
    after: dict[Subject, Standing] = {}
    alerts: list[Alert] = []
    for subject in subjects:
        standing = standings.get(subject, NOTHING)
        if subject.rule in rules:
            standing, alert = _next(
                subject, standing, found, is_quiet=subject.rule in quiet, now=now
            )
            alerts += [] if alert is None else [alert]
        if standing.since is not None or _was_told_today(standing, now):
            after[subject] = standing
    order = list(Rule)
    return after, sorted(
        alerts, key=lambda one: (one.phase, order.index(one.subject.rule), one.subject.key)
    )


def _next(
    subject: Subject,
    standing: Standing,
    found: Mapping[Subject, bool | None],
    *,
    is_quiet: bool,
    now: int,
) -> tuple[Standing, Alert | None]:
    if subject not in found:
        return Standing(told_at=standing.told_at), None
    holds = found[subject]
    if holds is None or (not holds and standing.since is None):
        return standing, None
    if not holds:
        return _ended(subject, standing)
    since = now if standing.since is None else standing.since
    if standing.since is None and is_quiet:
        return Standing(since, is_told=True, told_at=standing.told_at), None
    if (standing.since is not None and standing.is_told) or _was_told_today(standing, now):
        return Standing(
            since, standing.is_told and standing.since is not None, standing.told_at
        ), None
    return Standing(since, is_told=True, told_at=now), Alert(subject, Phase.BEGAN, since)


def _ended(subject: Subject, standing: Standing) -> tuple[Standing, Alert | None]:
    over = Standing(told_at=standing.told_at)
    if standing.since is None or not standing.is_told:
        return over, None
    return over, Alert(subject, Phase.ENDED, standing.since)


def _was_told_today(standing: Standing, now: int) -> bool:
    # In both directions: a clock that was ahead must not silence an alert for longer.
    return standing.told_at is not None and abs(now - standing.told_at) < DAY
