"""The result of a check as annotations of a GitHub workflow. Pure.

They name the file of the handler in production, without a line: in the branch it is gone.
"""

from collections.abc import Iterator

from fastapi_lens.cli.removal import words
from fastapi_lens.cli.removal.comparison import Finding, Outcome
from fastapi_lens.cli.removal.result import Result
from fastapi_lens.text.escaping import visible

_COMMANDS = {Outcome.FAILED: "error", Outcome.WAIVED: "notice", Outcome.WARNED: "warning"}
# The percent sign first, because the others are escaped by it.
_DATA = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_PROPERTY = (*_DATA, (":", "%3A"), (",", "%2C"))


def annotations(result: Result) -> str:
    """One workflow command for each finding that fails, is waived or warns."""
    return "".join(f"{line}\n" for line in _commands(result.comparison.findings, result.url))


def without_commands(text: str) -> str:
    """A text for a workflow's log, in which nothing is a command of the older format.

    That format counts wherever it is in a line; the newer one only at its beginning.
    """
    return text.replace("##[", r"##\u005b")


def _commands(findings: tuple[Finding, ...], url: str) -> Iterator[str]:
    for finding in findings:
        command = _COMMANDS.get(finding.outcome)
        if command is not None:
            endpoint = finding.endpoint
            file = endpoint.file and f"file={_escaped(visible(endpoint.file), _PROPERTY)},"
            title = _escaped(f"{visible(endpoint.name)}: {words.verdict(finding)}", _PROPERTY)
            lines = [*words.reasons(finding), *filter(None, [words.link(url, endpoint)])]
            message = _escaped("\n".join(lines), _DATA)
            yield f"::{command} {file}title={title}::{message}"


def _escaped(text: str, replaced: tuple[tuple[str, str], ...]) -> str:
    for character, written in replaced:
        text = text.replace(character, written)
    return text
