"""The weekly digest: when it is due, and its numbers, from the values of a Reader. No SQL."""

from collections.abc import Callable, Sequence
from math import ceil

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.notifications.alerts import DAY
from fastapi_lens.notifications.findings import is_dead, note_of, silent_days
from fastapi_lens.notifications.notice import EndpointNote, Listed, Totals, Week
from fastapi_lens.notifications.rules import FEWEST_CALLS
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.model import Endpoint, Usage, Window
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.settings.status import Status
from fastapi_lens.verdict.level import Level

WEEK_DAYS = 7
WEEK = WEEK_DAYS * DAY
SENT_AT = 8 * 3_600
"""Seconds after midnight UTC at which a digest is due."""

LATE_SECONDS = 2 * DAY
"""A digest that could not be sent for so long is left out; the next one comes in a week."""

LONGEST_LIST = 10
"""Endpoints of each reason."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_THURSDAY = 3
"""The day of the week of the epoch."""


def last_due(day: str, now: float) -> int | None:
    """The latest time at which a digest was due, in epoch seconds; None if it is off."""
    if day not in _DAYS:
        return None
    first = (_DAYS.index(day) - _THURSDAY) % WEEK_DAYS * DAY + SENT_AT
    return int(now - first) // WEEK * WEEK + first


def is_due(due: int | None, *, sent_for: int | None, now: float) -> bool:
    """True if a digest has to be sent.

    Args:
        due: The latest time at which one was due.
        sent_for: The latest time for which one was sent or is no longer needed; None before the
            first look, which sends none: there is no week to tell of.
        now: Epoch seconds.
    """
    if due is None or sent_for is None:
        return False
    return sent_for < due <= now <= due + LATE_SECONDS


def read_digest(
    reader: Reader, config: LensConfig, *, now: float
) -> tuple[Week, list[EndpointNote], dict[Listed, int]]:
    """The numbers of the last week.

    Args:
        reader: Of the app.
        config: The active settings.
        now: Epoch seconds.

    Returns:
        Its totals; endpoints, `LONGEST_LIST` at most of each reason; and the number of all
        endpoints of each reason.

    Raises:
        StorageError: The database cannot be read.
    """
    endpoints = reader.endpoints(window=Window(WEEK), now=now)
    evidence = reader.evidence(now)
    begin = int(now) - WEEK
    earlier = Window.between(begin - WEEK, begin)
    week = Week(
        begin=float(begin),
        end=float(int(now)),
        now=_totals(endpoints),
        before=(
            _totals(reader.endpoints(window=earlier, now=now, with_histograms=False))
            if _is_comparable(evidence)
            else None
        ),
    )
    lists = _lists(endpoints, evidence.endpoints, config)
    notes = [
        note_of(one, reason, public_url=config.public_url)
        for reason, found in lists.items()
        for one in found[:LONGEST_LIST]
    ]
    return week, notes, {reason: len(found) for reason, found in lists.items()}


def _is_comparable(evidence: AppEvidence) -> bool:
    """True if both weeks were recorded from their first day on."""
    since = evidence.observation.since_day
    return since is not None and evidence.observation.today - since >= 2 * WEEK_DAYS


def _totals(endpoints: Sequence[Endpoint]) -> Totals:
    usage = Usage.total([one.usage for one in endpoints])
    share = usage.errors_5xx / usage.calls if usage.calls else 0.0
    return Totals(calls=usage.calls, errors_5xx=usage.errors_5xx, error_share=round(share, 6))


def _lists(
    endpoints: Sequence[Endpoint], judged: Sequence[Judged], config: LensConfig
) -> dict[Listed, list[Endpoint]]:
    used = {one.key: one for one in endpoints if one.path.startswith("/")}
    busy = [one for one in used.values() if one.usage.calls >= FEWEST_CALLS]
    # Evidence comes without the calls of the week.
    present = [used.get(one.endpoint.key, one.endpoint) for one in judged]
    return {
        Listed.ERRORS: _most(
            [one for one in busy if one.usage.errors_5xx],
            lambda one: one.usage.errors_5xx / one.usage.calls,
        ),
        Listed.SLOW: _most(
            [one for one in busy if one.is_slow(limit_ms=config.slow_threshold_ms)],
            lambda one: one.usage.percentiles_ms[1],
        ),
        Listed.DEPRECATED: _most(
            [one for one in present if one.deprecated and one.usage.calls],
            lambda one: one.usage.calls,
        ),
        Listed.DEAD: [one.endpoint for one in judged if _is_newly_dead(one, config)],
        Listed.NEVER_CALLED: [one for one in present if one.status is Status.NEVER_CALLED],
        Listed.SAFE_TO_REMOVE: [
            one.endpoint for one in judged if one.verdict.level is Level.SAFE_TO_REMOVE
        ],
    }


def _most(endpoints: list[Endpoint], number: Callable[[Endpoint], float]) -> list[Endpoint]:
    return sorted(endpoints, key=lambda one: (-number(one), one.path, one.method))


def _is_newly_dead(judged: Judged, config: LensConfig) -> bool:
    """True if an endpoint became dead in the last week."""
    limit = config.dead_threshold_days
    return bool(is_dead(judged, dead_days=limit)) and (
        silent_days(judged) < ceil(limit) + WEEK_DAYS
    )
