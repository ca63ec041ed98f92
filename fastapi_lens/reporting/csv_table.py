"""Endpoints as CSV (RFC 4180), one row each. Pure: no I/O, no HTTP."""

import csv
import io
import re
from collections.abc import Iterable, Iterator

from fastapi_lens.reporting.report import EndpointStats
from fastapi_lens.text.escaping import visible

COLUMNS = tuple(EndpointStats.model_fields)

_CELL_STARTS = re.compile(r"(^|[;\t\r\n])(?=[ \"]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n])")
"""Where a spreadsheet might see the beginning of a formula, also in the wide letters of the East.

Where numbers have a comma, spreadsheets take a semicolon for what divides cells, quoted or not.
"""


def csv_rows(endpoints: Iterable[EndpointStats]) -> Iterator[str]:
    """The header, then a line for each endpoint; what is None is left empty.

    Args:
        endpoints: In the order of the rows.

    Yields:
        Lines that end with CRLF.
    """
    yield csv_line(COLUMNS)
    for endpoint in endpoints:
        values = endpoint.model_dump(mode="json")
        yield csv_line(values[name] for name in COLUMNS)


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula.

    An apostrophe comes before what could begin one, as OWASP's page "CSV Injection" advises.
    """
    return _CELL_STARTS.sub(r"\1'", text)


def csv_line(values: Iterable[object]) -> str:
    """One CSV line, ending with CRLF; texts are made `harmless` and `visible`, None is empty."""
    line = io.StringIO()
    csv.writer(line).writerow(
        harmless(visible(value)) if isinstance(value, str) else value for value in values
    )
    return line.getvalue()
