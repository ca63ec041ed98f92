"""The result of a check as plain text, for terminals and logs. Pure."""

from collections.abc import Iterator

from fastapi_lens.cli.removal import words
from fastapi_lens.cli.removal.comparison import Finding, Outcome
from fastapi_lens.cli.removal.result import Result
from fastapi_lens.text.escaping import visible

_WIDTH = max(map(len, Outcome)) + 2
_INDENT = " " * _WIDTH


def as_text(result: Result) -> str:
    """All findings with their reasons, the worst first."""
    return "".join(f"{line}\n" for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    comparison = result.comparison
    yield f"{words.headline(comparison)}."
    for source in result.sources:
        yield f"Evidence: {words.about(source)}"
    for finding in comparison.findings:
        yield ""
        yield from _of_finding(finding, result.url)
    if comparison.has_failed or comparison.notes:
        yield ""
    if comparison.has_failed:
        yield words.ADVICE
    for note in comparison.notes:
        yield f"Note: {visible(note)}"


def _of_finding(finding: Finding, url: str) -> Iterator[str]:
    endpoint = finding.endpoint
    name = visible(endpoint.name)
    yield f"{finding.outcome:<{_WIDTH}}{name}: {words.verdict(finding)}"
    if not finding.is_removal:
        return
    facts = [f"last use: {words.last_use(endpoint)}", words.callers(finding)]
    facts += [visible(endpoint.source)] if endpoint.source else []
    yield f"{_INDENT}{'; '.join(facts)}"
    if finding.outcome is not Outcome.PASSED:
        for sentence in words.reasons(finding):
            yield f"{_INDENT}- {sentence}"
    if address := words.link(url, endpoint):
        yield f"{_INDENT}{address}"
