"""The result of a check as Markdown, for pull requests and summaries of a workflow. Pure."""

from collections.abc import Iterable, Iterator

from fastapi_lens.cli.removal import words
from fastapi_lens.cli.removal.comparison import Finding, Outcome
from fastapi_lens.cli.removal.result import Result
from fastapi_lens.text.escaping import visible
from fastapi_lens.text.markdown import escaped

MOST_ROWS = 200
"""Findings that are shown: GitHub takes 1 MB."""

_HEADINGS = ("", "Endpoint", "Verdict", "Last use", "Pattern", "Callers")
_SIGNS = {
    Outcome.FAILED: "❌",
    Outcome.WAIVED: "🟡",
    Outcome.WARNED: "⚠️",
    Outcome.PASSED: "✅",
    Outcome.RENAMED: "↔️",
    Outcome.NEWER: "ℹ️",  # noqa: RUF001  The sign for information.
}


def as_markdown(result: Result) -> str:
    """A table of all findings, and the reasons of those that fail or warn."""
    return "".join(f"{line}\n" for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    comparison = result.comparison
    sign = _SIGNS[Outcome.PASSED if comparison.has_passed else Outcome.FAILED]
    yield f"### {sign} {words.headline(comparison)}"
    for source in result.sources:
        yield ""
        yield escaped(words.about(source))
    shown = comparison.findings[:MOST_ROWS]
    if shown:
        yield ""
        yield _row(_HEADINGS)
        yield _row("---" for _ in _HEADINGS)
        yield from (_row(_cells(finding)) for finding in shown)
    for finding in shown:
        if finding.outcome in (Outcome.FAILED, Outcome.WAIVED, Outcome.WARNED):
            yield ""
            yield _details(finding, result.url)
    if more := len(comparison.findings) - len(shown):
        yield ""
        yield f"{more:,} more are in the log, and in `--format json`."
    if comparison.has_failed:
        yield ""
        yield escaped(words.ADVICE)
    for note in comparison.notes:
        yield ""
        yield f"> {escaped(visible(note))}"


def _cells(finding: Finding) -> Iterator[str]:
    endpoint = finding.endpoint
    yield f"{_SIGNS[finding.outcome]} {finding.outcome}"
    yield words.code(endpoint.name)
    yield escaped(words.verdict(finding))
    yield words.last_use(endpoint)
    yield escaped(visible(endpoint.pattern or ""))
    yield escaped(words.callers(finding))


def _details(finding: Finding, url: str) -> str:
    endpoint = finding.endpoint
    source = f" ({words.code(endpoint.source)})" if endpoint.source else ""
    address = words.link(url, endpoint)
    # In angle brackets, because a parenthesis would end the link.
    more = f" [Evidence](<{address}>)" if address else ""
    text = escaped(" ".join(words.reasons(finding)))
    return f"**{words.code(endpoint.name)}**{source}: {text}{more}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
