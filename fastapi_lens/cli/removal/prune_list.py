"""The endpoints of some verdicts, by the file of their handlers. Pure."""

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Final, TypedDict

from fastapi_lens.cli.removal import words
from fastapi_lens.cli.removal.callers import KnownCallers, callers_of_all
from fastapi_lens.cli.removal.evidence import EndpointEvidence
from fastapi_lens.cli.removal.json_report import EndpointFields, endpoint_fields
from fastapi_lens.cli.removal.sources import Source
from fastapi_lens.text.escaping import visible
from fastapi_lens.text.markdown import escaped
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.reasons import Code, Reason
from fastapi_lens.verdict.sentences import sentence

FORMAT: Final = 1
_HEADINGS = ("Method", "Path", "Verdict", "Last use", "Callers", "Handler")


class PruneFormat(StrEnum):
    """Output format of a prune list."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


class PruneListFields(TypedDict):
    """A prune list as JSON; `generated_at` is epoch seconds."""

    fastapi_lens_prune_list: int
    generated_at: float
    app: str
    environment: str | None
    endpoints: list[EndpointFields]


def prune_list(source: Source, levels: frozenset[Level], form: PruneFormat) -> str:
    """A list of endpoints, by file, path and method.

    Args:
        source: Evidence of the database.
        levels: Verdicts of the endpoints in the list.
        form: Output format.
    """
    found = sorted(
        (endpoint for endpoint in source.evidence.present if endpoint.verdict in levels),
        key=lambda endpoint: (endpoint.file, endpoint.path, endpoint.method),
    )
    match form:
        case PruneFormat.JSON:
            return _json(source, found)
        case PruneFormat.MARKDOWN:
            return _markdown(source, found)
        case _:
            return _table(source, found)


def _table(source: Source, found: Sequence[EndpointEvidence]) -> str:
    callers = callers_of_all([source])
    rows = [list(_HEADINGS), *(_cells(one, callers.get(one.name)) for one in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "".join(f"{line}\n" for line in (*lines, *_footer(source, found)))


def _cells(endpoint: EndpointEvidence, callers: KnownCallers | None) -> list[str]:
    return [
        visible(endpoint.method),
        visible(endpoint.path),
        words.level(endpoint),
        words.last_use(endpoint),
        "" if callers is None else f"{callers.count:,}",
        visible(endpoint.source),
    ]


def _markdown(source: Source, found: Sequence[EndpointEvidence]) -> str:
    lines: list[str] = []
    callers = callers_of_all([source])
    for file, endpoints in groupby(found, key=lambda endpoint: endpoint.file):
        lines += [f"**{escaped(visible(file)) or 'Unknown file'}**", ""]
        lines += [_item(one, callers.get(one.name)) for one in endpoints]
        lines += [""]
    for line in _footer(source, found):
        lines += [escaped(line), ""]
    return "".join(f"{line}\n" for line in lines[:-1])


def _item(endpoint: EndpointEvidence, callers: KnownCallers | None) -> str:
    reasons = escaped(" ".join(words.sentences(endpoint)))
    known = "" if callers is None else f"; {words.count(callers.count, 'known caller')}"
    return f"- [ ] {words.code(endpoint.name)}: {escaped(words.level(endpoint))}{known}. {reasons}"


def _json(source: Source, found: Sequence[EndpointEvidence]) -> str:
    evidence, callers = source.evidence, callers_of_all([source])
    document: PruneListFields = {
        # Another sign than that of evidence, which a part of it is not.
        "fastapi_lens_prune_list": FORMAT,
        "generated_at": evidence.generated_at,
        "app": evidence.app,
        "environment": evidence.environment,
        "endpoints": [endpoint_fields(one, callers.get(one.name)) for one in found],
    }
    return f"{json.dumps(document)}\n"


def _footer(source: Source, found: Sequence[EndpointEvidence]) -> Iterator[str]:
    yield f"{len(found):,} of {len(source.evidence.present):,} endpoints. {words.about(source)}"
    if found:
        yield sentence(Reason(Code.CANNOT_TELL, {}))
