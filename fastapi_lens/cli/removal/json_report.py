"""The result of a check as JSON, as docs/command-line.md describes it. Pure."""

import json
from typing import Any, Final

from fastapi_lens.cli.removal import words
from fastapi_lens.cli.removal.callers import KnownCallers
from fastapi_lens.cli.removal.comparison import Finding
from fastapi_lens.cli.removal.evidence import EndpointEvidence
from fastapi_lens.cli.removal.policy import Waiver
from fastapi_lens.cli.removal.result import Result
from fastapi_lens.cli.removal.sources import Source

FORMAT: Final = 1


def as_json(result: Result) -> str:
    """One line of ASCII."""
    comparison = result.comparison
    document = {
        "fastapi_lens_check": FORMAT,
        "passed": not comparison.has_failed,
        "checked_at": result.checked_at,
        "application": result.target,
        "merge_base": result.merge_base or None,
        "evidence": [_source(source) for source in result.sources],
        "counts": comparison.counts,
        "endpoints": [_finding(finding, result.url) for finding in comparison.findings],
        "notes": comparison.notes,
    }
    return f"{json.dumps(document)}\n"


def _source(source: Source) -> dict[str, Any]:
    evidence = source.evidence
    return {
        "source": source.name,
        "app": evidence.app,
        "environment": evidence.environment,
        "generated_at": evidence.generated_at,
        "endpoints": len(evidence.present),
    }


def endpoint_fields(endpoint: EndpointEvidence, callers: KnownCallers | None) -> dict[str, Any]:
    """The facts about one endpoint; times are epoch seconds, dates are days (UTC)."""
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
        "callers": callers and [caller.model_dump() for caller in callers.by_name.values()],
        "more_callers": callers and callers.more,
        "source": endpoint.source,
    }


def _finding(finding: Finding, url: str) -> dict[str, Any]:
    return {
        "outcome": finding.outcome,
        **endpoint_fields(finding.endpoint, finding.callers),
        "renamed_to": finding.renamed_to,
        "waiver": finding.waiver and _waiver(finding.waiver),
        "url": words.link(url, finding.endpoint) or None,
        "evidence": finding.source.name,
    }


def _waiver(waiver: Waiver) -> dict[str, str]:
    return {"reason": waiver.reason, "until": waiver.until.isoformat()}
