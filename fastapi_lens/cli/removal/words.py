"""Words of a check that several formats share: plain text of one line, except `code`. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from fastapi_lens.cli.removal.comparison import Comparison, Finding, Outcome
from fastapi_lens.cli.removal.evidence import CallerEvidence, EndpointEvidence
from fastapi_lens.cli.removal.policy import FILE, TABLE
from fastapi_lens.cli.removal.sources import Source
from fastapi_lens.text.escaping import visible
from fastapi_lens.text.markdown import backslashed
from fastapi_lens.verdict.level import Level

MOST_CALLERS = 3
"""Callers that are named; the others are counted."""

ADVICE = (
    f"Keep these endpoints until their dates, or add a waiver to {FILE} "
    f"([[{TABLE}.waivers]]: endpoint, reason, until)."
)
"""Instruction for findings that fail."""

_LEVELS = {
    Level.SAFE_TO_REMOVE: "safe to remove",
    Level.PROBABLY_UNUSED: "probably unused",
    Level.WAIT: "wait",
    Level.IN_USE: "in use",
    Level.NOT_ENOUGH_OBSERVATION: "not enough observation",
    Level.KEPT: "kept on purpose",
}
# Without parentheses, which would end a link of Markdown.
_LINK_CHARACTERS = ":/?#[]@!$&'*+,;=%~"


def headline(comparison: Comparison) -> str:
    """The result in one line."""
    removed = sum(finding.is_removal for finding in comparison.findings)
    if comparison.has_failed:
        failed = comparison.counts[Outcome.FAILED]
        return f"{failed:,} of {removed:,} removed endpoints cannot be removed yet"
    if comparison.strangers:
        return "Nothing can be said by evidence of another application"
    if not removed:
        return "No endpoint is removed"
    unused = (Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED)
    found = [finding.endpoint.verdict for finding in comparison.findings if finding.is_removal]
    why = "none of them known to be in use"
    if any(level not in unused for level in found):
        why = "as waivers or fail_on allow"
    return f"{count(removed, 'endpoint')} removed, {why}"


def about(source: Source) -> str:
    """The evidence in one line: of what, since when, and how old."""
    evidence, observed = source.evidence, source.evidence.observed
    whose = f"{evidence.app}, {evidence.environment}" if evidence.environment else evidence.app
    since = "never observed"
    if observed.since is not None:
        since = f"observed since {day(observed.since)}"
        if observed.hole_days:
            since += f", {observed.hole_days:,} of {count(observed.days, 'day')} not fully"
    written = datetime.fromtimestamp(evidence.generated_at, UTC).strftime("%Y-%m-%d %H:%M")
    return visible(f"{whose}: {since}; written {written} UTC ({source.name})")


def verdict(finding: Finding) -> str:
    """The verdict in a few words, or why there is none."""
    if finding.renamed_to is not None:
        return visible(f"same address, now {finding.renamed_to}")
    if finding.outcome is Outcome.NEWER:
        return "newer than this branch: rebase"
    return level(finding.endpoint) + _waiver(finding)


def level(endpoint: EndpointEvidence) -> str:
    """The verdict on an endpoint in a few words, with the date on which it changes."""
    words = _LEVELS[endpoint.verdict]
    if endpoint.verdict is Level.WAIT and endpoint.probably_from:
        return f"{words} until {endpoint.probably_from}"
    if endpoint.verdict is Level.PROBABLY_UNUSED and endpoint.safe_from:
        return f"{words}, safe to remove from {endpoint.safe_from}"
    return words


def last_use(endpoint: EndpointEvidence) -> str:
    """The day of the last use, or never."""
    if not endpoint.is_recorded:
        return "not known"
    return "never" if endpoint.last_used_at is None else day(endpoint.last_used_at)


def callers(finding: Finding) -> str:
    """The latest callers, noise left out, with the day of their last use."""
    known = finding.callers
    if known is None:
        return "callers are not recorded"
    return _listed(known.people, known.more) or "no known caller"


def broken(finding: Finding) -> str:
    """The callers that a forbidden removal would break; empty if none is known."""
    known = finding.callers
    if known is None or finding.outcome not in (Outcome.FAILED, Outcome.WAIVED):
        return ""
    found = _listed(known.present, known.more)
    return f"Its removal would break {found}." if found else ""


def _listed(found: Sequence[CallerEvidence], more: int) -> str:
    """The first callers with the days of their last uses, and the number of the others."""
    named = [f"{caller.name} ({day(caller.last_at)})" for caller in found[:MOST_CALLERS]]
    more += len(found) - len(named)
    return visible(", ".join([*named, *([f"{more:,} more"] if more and named else [])]))


def sentences(endpoint: EndpointEvidence) -> list[str]:
    """The reasons of the verdict."""
    return list(map(visible, endpoint.sentences))


def reasons(finding: Finding) -> list[str]:
    """The callers that a removal would break, and the reasons of the verdict."""
    return [*filter(None, [broken(finding)]), *sentences(finding.endpoint)]


def link(url: str, endpoint: EndpointEvidence) -> str:
    """The address of an endpoint's page; empty without an address of the admin."""
    return quote(f"{url.rstrip('/')}/endpoints/{endpoint.key}", _LINK_CHARACTERS) if url else ""


def code(text: str) -> str:
    """A text as code in Markdown; in an element, as backticks may be in the text itself."""
    return f"<code>{backslashed(visible(text))}</code>"


def day(time: float) -> str:
    """The date (UTC) of a time."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _waiver(finding: Finding) -> str:
    waiver = finding.waiver
    if waiver is not None and finding.outcome is Outcome.WAIVED:
        return visible(f"; waived until {waiver.until}: {waiver.reason}")
    if waiver is not None and finding.outcome is Outcome.FAILED:
        return visible(f"; its waiver ended on {waiver.until}: {waiver.reason}")
    return ""


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
