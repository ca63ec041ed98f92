"""Findings of the rules of alerts, from the values of a Reader. No SQL, no thread."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.notifications.alerts import Alert, Finding, Rule, Subject
from fastapi_lens.notifications.notice import EndpointNote, Listed
from fastapi_lens.notifications.rules import (
    HOUR,
    LATEST,
    Load,
    fails,
    is_called,
    is_slow,
)
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.model import Endpoint, Usage, Window
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.settings.status import Status
from fastapi_lens.verdict.level import Level

LOAD_RULES = frozenset({Rule.ERRORS, Rule.SLOW})
"""Rules on the calls of the last hour, looked at each minute."""

SILENCE_RULES = frozenset({Rule.DEAD, Rule.DEPRECATED})
"""Rules on last calls, looked at each hour. What they find first is no news."""

_ON_LOAD = frozenset({Listed.ERRORS, Listed.SLOW, Listed.DEPRECATED})


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings of some rules, with the endpoints that they are about.

    Attributes:
        rules: The rules that were looked at; those that are switched off find nothing.
        endpoints: By key.
    """

    rules: frozenset[Rule]
    findings: tuple[Finding, ...]
    endpoints: Mapping[str, Endpoint]


def read_load(reader: Reader, config: LensConfig, *, now: float) -> Findings:
    """The findings of `LOAD_RULES`.

    Args:
        reader: Of the app.
        config: The active settings.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be read.
    """
    hour = [one for one in reader.endpoints(window=Window(HOUR), now=now) if _is_route(one)]
    latest = {one.key: one for one in reader.endpoints(window=Window(LATEST), now=now)}
    found: list[Finding] = []
    for one in hour:
        # Of one that was deleted between the two readings, only the hour is known.
        loads = load_of(one.usage), load_of(latest.get(one.key, one).usage)
        if config.alert_error_share is not None:
            holds = fails(*loads, limit=config.alert_error_share)
            found.append(Finding(Subject(Rule.ERRORS, one.key), holds))
        if config.alert_slow and one.is_timed:
            holds = is_slow(*loads, limit_ms=config.slow_threshold_ms)
            found.append(Finding(Subject(Rule.SLOW, one.key), holds))
    return Findings(LOAD_RULES, tuple(found), {one.key: one for one in hour})


def read_silence(reader: Reader, config: LensConfig, *, now: float) -> Findings:
    """The findings of `SILENCE_RULES`.

    Args:
        reader: Of the app.
        config: The active settings.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be read.
    """
    judged = reader.evidence(now).endpoints
    return Findings(
        SILENCE_RULES,
        tuple(_silence_findings(judged, config, now)),
        {one.endpoint.key: one.endpoint for one in judged},
    )


def _silence_findings(
    judged: Iterable[Judged], config: LensConfig, now: float
) -> Iterator[Finding]:
    for one in judged:
        endpoint = one.endpoint
        if config.alert_dead:
            dead = is_dead(one, dead_days=config.dead_threshold_days)
            yield Finding(Subject(Rule.DEAD, endpoint.key), dead)
        if config.alert_deprecated:
            called = is_called(endpoint.last_called_at, deprecated=endpoint.deprecated, now=now)
            yield Finding(Subject(Rule.DEPRECATED, endpoint.key), called)


def is_dead(judged: Judged, *, dead_days: float) -> bool | None:
    """True if an endpoint is dead, and was observed for as long; None while that is not known.

    Time in which no worker recorded is no silence: after a break, nothing is newly dead.
    """
    if judged.endpoint.status is not Status.DEAD:
        return False
    is_unknown = judged.history.has_waiting or silent_days(judged) < ceil(dead_days)
    return None if is_unknown or judged.verdict.level is Level.KEPT else True


def silent_days(judged: Judged) -> int:
    """Days since the last use on which the app was observed."""
    return judged.verdict.silence_days - judged.verdict.hole_days


def load_of(usage: Usage) -> Load:
    """The numbers of a usage with a histogram."""
    return Load(usage.calls, usage.errors_5xx, usage.percentiles_ms[1])


def alert_notes(
    alerts: Iterable[Alert], endpoints: Mapping[str, Endpoint], *, public_url: str | None
) -> list[EndpointNote]:
    """The endpoints of alerts as a notification has them."""
    notes: list[EndpointNote] = []
    for alert in alerts:
        endpoint = endpoints[alert.subject.key]
        reason = Listed(alert.subject.rule.value)
        note = note_of(endpoint, reason, public_url=public_url)
        notes.append(note.model_copy(update={"phase": alert.phase, "since": float(alert.since)}))
    return notes


def note_of(endpoint: Endpoint, reason: Listed, *, public_url: str | None) -> EndpointNote:
    """An endpoint of a list, with the numbers that belong to it."""
    load = load_of(endpoint.usage)
    has_load = reason in _ON_LOAD and load.calls > 0
    return EndpointNote(
        reason=reason,
        phase=None,
        key=endpoint.key,
        method=endpoint.method,
        path=endpoint.path,
        calls=load.calls if has_load else None,
        errors_5xx=load.failed if has_load else None,
        error_share=round(load.share, 4) if has_load else None,
        p95_ms=round(load.p95_ms, 2) if has_load else None,
        last_called_at=endpoint.last_called_at,
        url=None if public_url is None else f"{public_url}/endpoints/{endpoint.key}",
    )


def _is_route(endpoint: Endpoint) -> bool:
    """True if it is none of the pseudo endpoints, such as ``<unmapped>``."""
    return endpoint.path.startswith("/")
