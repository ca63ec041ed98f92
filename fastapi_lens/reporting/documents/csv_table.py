"""Endpoints as CSV (RFC 4180), one row each. Pure: no I/O, no HTTP."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from fastapi_lens.reporting.documents.report import EndpointStats
from fastapi_lens.text.escaping import visible
from fastapi_lens.text.json_values import is_list

COLUMNS = tuple(EndpointStats.model_fields)

_SPACES = " \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
_CELL_STARTS = re.compile(rf"(^|[;\t\r\n])(?=[{_SPACES}\"]*[{_SIGNS}\t\r\n])")
"""Positions where a spreadsheet might see the start of a formula, also in full-width and small
characters, and after any kind of space: some programs normalize both before they look.

In locales with a decimal comma, spreadsheets separate cells by semicolons, even quoted ones.
"""


def csv_rows(endpoints: Iterable[EndpointStats], columns: Sequence[str] = COLUMNS) -> Iterator[str]:
    """The header, then a line for each endpoint; None becomes an empty cell.

    Args:
        endpoints: The endpoints in the order of the rows.
        columns: The members of each that are written; the texts of a list are joined by spaces.

    Yields:
        Lines that end with CRLF.
    """
    yield csv_line(columns)
    for endpoint in endpoints:
        values = endpoint.model_dump(mode="json")
        yield csv_line(_cell(values[name]) for name in columns)


def _cell(value: object) -> object:
    return " ".join(map(str, value)) if is_list(value) else value


def harmless(text: str) -> str:
    """A text that no spreadsheet evaluates as a formula.

    Each possible start of a formula gets an apostrophe, as OWASP's page "CSV Injection" advises.
    """
    return _CELL_STARTS.sub(r"\1'", text)


def csv_line(values: Iterable[object]) -> str:
    """One CSV line, ending with CRLF; texts are made `harmless` and `visible`, None is empty."""
    line = io.StringIO()
    csv.writer(line).writerow(
        harmless(visible(value)) if isinstance(value, str) else value for value in values
    )
    return line.getvalue()


def iso_time(epoch: float | None) -> str | None:
    """A time in ISO 8601 (UTC, with its fraction of a second); None for none."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).isoformat()
