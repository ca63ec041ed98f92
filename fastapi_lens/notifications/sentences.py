"""Titles and lines of notifications, as plain text. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from fastapi_lens.notifications.alerts import Phase
from fastapi_lens.notifications.notice import EndpointNote, Listed, Totals, Week

MAX_LINES = 15
"""Lines of one notification; of more it says how many."""

NAMED = 3
"""Endpoints that a line of a digest names."""

_LEAST_SHARE = 0.001
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


def heading(app: str, environment: str | None, what: str) -> str:
    """A title: ``Shop (production): what``."""
    return f"{app} ({environment}): {what}" if environment else f"{app}: {what}"


def alerts_title(notes: Sequence[EndpointNote]) -> str:
    """The end of a title with alerts: ``2 new alerts, 1 over``."""
    began = sum(note.phase is Phase.BEGAN for note in notes)
    ended = len(notes) - began
    parts = [plural(began, "new alert")] if began else []
    return ", ".join([*parts, f"{ended:,} over"] if ended else parts)


def alert_lines(notes: Sequence[EndpointNote], *, limit_ms: float, now: float) -> list[str]:
    """One line for each alert, `MAX_LINES` at most.

    Args:
        notes: The endpoints.
        limit_ms: The limit of a p95.
        now: Epoch seconds.
    """
    lines = [alert_line(note, limit_ms=limit_ms, now=now) for note in notes[:MAX_LINES]]
    more = len(notes) - MAX_LINES
    return [*lines, f"and {more:,} more"] if more > 0 else lines


def alert_line(note: EndpointNote, *, limit_ms: float, now: float) -> str:
    """A sentence about one endpoint, without its full stop."""
    name, began = f"{note.method} {note.path}", note.phase is Phase.BEGAN
    calls = f"{plural(note.calls or 0, 'call')} in the last hour"
    match note.reason:
        case Listed.ERRORS:
            share = f"{percent(note.error_share or 0.0)} of {calls}"
            return f"{name} fails: 5xx {share}" if began else f"{name} has recovered: 5xx {share}"
        case Listed.SLOW:
            p95 = f"p95 {note.p95_ms or 0.0:,.0f} ms of {calls}, limit {limit_ms:,g} ms"
            return f"{name} is slow: {p95}" if began else f"{name} is no longer slow: {p95}"
        case Listed.DEPRECATED:
            last = ago(note.last_called_at, now)
            if began:
                return f"{name} is deprecated and was called {last}"
            return f"{name} is no longer called, or no longer deprecated: last call {last}"
        case _:
            last = ago(note.last_called_at, now)
            return f"{name} is dead: last call {last}" if began else f"{name} is no longer dead"


def digest_title(week: Week) -> str:
    """The end of the title of a digest: ``week to 30 Nov 2026``."""
    end = datetime.fromtimestamp(week.end, UTC)
    return f"week to {end.day} {end:%b %Y}"


def digest_lines(week: Week, notes: Sequence[EndpointNote], counts: dict[Listed, int]) -> list[str]:
    """The lines of a digest; those of which there is nothing to say are left out.

    Args:
        week: Its totals.
        notes: The endpoints, those of one reason in order.
        counts: Number of all endpoints of each reason, of which `notes` has some.
    """
    lines = [f"Calls: {week.now.calls:,}{_change(week)}", f"5xx: {_share(week)}"]
    for reason, label in _LABELS.items():
        if count := counts.get(reason, 0):
            named = [_named(note) for note in notes if note.reason is reason][:NAMED]
            rest = f" and {count - len(named):,} more" if count > len(named) else ""
            lines.append(f"{label}: {', '.join(named)}{rest}")
    return lines


_LABELS = {
    Listed.ERRORS: "Failing most",
    Listed.SLOW: "Slowest",
    Listed.DEAD: "Newly dead",
    Listed.NEVER_CALLED: "Never called",
    Listed.DEPRECATED: "Deprecated, but called",
    Listed.SAFE_TO_REMOVE: "Safe to remove now",
}


def _named(note: EndpointNote) -> str:
    name = f"{note.method} {note.path}"
    match note.reason:
        case Listed.ERRORS:
            return f"{name} {percent(note.error_share or 0.0)}"
        case Listed.SLOW:
            return f"{name} p95 {note.p95_ms or 0.0:,.0f} ms"
        case Listed.DEPRECATED:
            return f"{name} {plural(note.calls or 0, 'call')}"
        case _:
            return name


def _change(week: Week) -> str:
    before = week.before
    if before is None or not before.calls:
        return ""
    return f" ({100 * (week.now.calls / before.calls - 1):+,.0f} % on the week before)"


def _share(week: Week) -> str:
    now = _of(week.now)
    return now if week.before is None else f"{now}, the week before {_of(week.before)}"


def _of(totals: Totals) -> str:
    return f"{percent(totals.error_share)} ({totals.errors_5xx:,})"


def percent(share: float) -> str:
    """A share from 0 to 1: ``12.5 %``; a small one is never 0."""
    if 0 < share < _LEAST_SHARE:
        return "< 0.1 %"
    return f"{100 * share:.1f} %".replace(".0 %", " %")


def plural(count: int, noun: str) -> str:
    """A number with its noun: ``1 call``, ``1,200 calls``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def ago(moment: float | None, now: float) -> str:
    """The age of a time: ``3 days ago``; ``never`` for None."""
    if moment is None:
        return "never"
    age = max(0.0, now - moment)
    for seconds, noun in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if age >= seconds:
            return f"{plural(int(age // seconds), noun)} ago"
    return "less than a minute ago"
