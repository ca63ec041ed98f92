"""The result of a check as JSON, as docs/command-line.md describes it. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

from fastapi_lens.cli.removal import words
from fastapi_lens.cli.removal.callers import KnownCallers
from fastapi_lens.cli.removal.comparison import Finding, Outcome
from fastapi_lens.cli.removal.evidence import EndpointEvidence
from fastapi_lens.cli.removal.policy import Waiver
from fastapi_lens.cli.removal.result import Result
from fastapi_lens.cli.removal.sources import Source
from fastapi_lens.verdict.level import Level

FORMAT: Final = 1


class SourceFields(TypedDict):
    """One evidence; `generated_at` is epoch seconds, `endpoints` a number."""

    source: str
    app: str
    environment: str | None
    generated_at: float
    endpoints: int


class WaiverFields(TypedDict):
    """A waiver; `until` is a day."""

    reason: str
    until: str


class EndpointFields(TypedDict):
    """The facts about one endpoint; times are epoch seconds, dates are days (UTC)."""

    key: str
    method: str
    path: str
    verdict: Level
    probably_from: str | None
    safe_from: str | None
    last_used_at: float | None
    first_seen_at: float
    pattern: str | None
    sentences: Sequence[str]
    callers: list[dict[str, Any]] | None
    more_callers: int | None
    source: str


class FindingFields(EndpointFields):
    """One endpoint that the branch does not have."""

    outcome: Outcome
    renamed_to: str | None
    waiver: WaiverFields | None
    url: str | None
    evidence: str


class CheckFields(TypedDict):
    """The whole document."""

    fastapi_lens_check: int
    passed: bool
    checked_at: float
    application: str
    merge_base: str | None
    evidence: list[SourceFields]
    counts: Mapping[Outcome, int]
    endpoints: list[FindingFields]
    notes: Sequence[str]


def as_json(result: Result) -> str:
    """One line of ASCII."""
    comparison = result.comparison
    document: CheckFields = {
        "fastapi_lens_check": FORMAT,
        "passed": comparison.has_passed,
        "checked_at": result.checked_at,
        "application": result.target,
        "merge_base": result.merge_base or None,
        "evidence": [_source(source) for source in result.sources],
        "counts": comparison.counts,
        "endpoints": [_finding(finding, result.url) for finding in comparison.findings],
        "notes": comparison.notes,
    }
    return f"{json.dumps(document)}\n"


def _source(source: Source) -> SourceFields:
    evidence = source.evidence
    return {
        "source": source.name,
        "app": evidence.app,
        "environment": evidence.environment,
        "generated_at": evidence.generated_at,
        "endpoints": len(evidence.present),
    }


def endpoint_fields(endpoint: EndpointEvidence, callers: KnownCallers | None) -> EndpointFields:
    """The facts about one endpoint, with its callers in all evidence."""
    return {
        "key": endpoint.key,
        "method": endpoint.method,
        "path": endpoint.path,
        "verdict": endpoint.verdict,
        "probably_from": endpoint.probably_from,
        "safe_from": endpoint.safe_from,
        "last_used_at": endpoint.last_used_at,
        "first_seen_at": endpoint.first_seen_at,
        "pattern": endpoint.pattern,
        "sentences": endpoint.sentences,
        "callers": None
        if callers is None
        else [one.model_dump() for one in callers.by_name.values()],
        "more_callers": None if callers is None else callers.more,
        "source": endpoint.source,
    }


def _finding(finding: Finding, url: str) -> FindingFields:
    return {
        "outcome": finding.outcome,
        **endpoint_fields(finding.endpoint, finding.callers),
        "renamed_to": finding.renamed_to,
        "waiver": None if finding.waiver is None else _waiver(finding.waiver),
        "url": words.link(url, finding.endpoint) or None,
        "evidence": finding.source.name,
    }


def _waiver(waiver: Waiver) -> WaiverFields:
    return {"reason": waiver.reason, "until": waiver.until.isoformat()}
