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
"""The rules that hold, by rule and endpoint."""


def follow(
    standings: Standings,
    findings: Iterable[Finding],
    *,
    rules: Collection[Rule],
    quiet: Collection[Rule] = (),
    now: int,
) -> tuple[dict[Subject, Standing], list[Alert]]:
    """The state after new findings, and the alerts to send.

    Args:
        standings: The state before.
        findings: One for each rule of `rules` and each endpoint that it can judge; what holds for
            other endpoints, which are gone, ends without an alert.
        rules: The rules that were looked at; the state of others stays.
        quiet: Rules that are looked at for the first time, and whose findings are no news.
        now: Epoch seconds.
    """
    found = {finding.subject: finding for finding in findings}
    subjects = [*standings, *(subject for subject in found if subject not in standings)]
    after: dict[Subject, Standing] = {}
    alerts: list[Alert] = []
    for subject in subjects:
        standing = standings.get(subject, NOTHING)
        if subject.rule in rules and subject not in found:
            standing = Standing(told_at=standing.told_at)
        elif subject.rule in rules:
            is_quiet = subject.rule in quiet
            standing, alert = _next(standing, found[subject], is_quiet=is_quiet, now=now)
            alerts += [] if alert is None else [alert]
        if standing.since is not None or _was_told_today(standing, now):
            after[subject] = standing
    return after, sorted(alerts, key=_order)


def _order(alert: Alert) -> tuple[str, int, str]:
    """Begins before ends, then by rule."""
    return alert.phase, list(Rule).index(alert.subject.rule), alert.subject.key


def _next(
    standing: Standing, finding: Finding, *, is_quiet: bool, now: int
) -> tuple[Standing, Alert | None]:
    """The standing after a finding, and the alert to send."""
    since, told_at = standing.since, standing.told_at
    if finding.holds is None or (since is None and not finding.holds):
        return standing, None
    if since is not None and not finding.holds:
        is_news = standing.is_told and not is_quiet
        ended = Alert(finding.subject, Phase.ENDED, since) if is_news else None
        return Standing(told_at=told_at), ended
    since = now if since is None else since
    if standing.is_told or is_quiet:
        return Standing(since, is_told=True, told_at=told_at), None
    if _was_told_today(standing, now):
        return Standing(since, told_at=told_at), None
    began = Alert(finding.subject, Phase.BEGAN, since)
    return Standing(since, is_told=True, told_at=now), began


def _was_told_today(standing: Standing, now: int) -> bool:
    # In both directions: a clock that was ahead must not silence an alert for longer.
    return standing.told_at is not None and abs(now - standing.told_at) < DAY
