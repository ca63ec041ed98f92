"""The columns of the table of exceptions; cells: `_exceptions_cells.html`."""

from fastapi_lens.admin.tables.column import Column
from fastapi_lens.reporting.request_log import ExceptionKind

COLUMNS: tuple[Column[ExceptionKind], ...] = (
    Column(name="exception", header="Exception", is_row_header=True),
    Column(name="count", header="Count", width=92),
    Column(name="message", header="Message", width="26p", from_width=640, css="left apart"),
    Column(name="endpoint", header="Endpoint", width="22p", from_width=800, css="left"),
    Column(name="first", header="First", width=96, from_width=1240, css="dim"),
    Column(name="last", header="Last", width=96, css="dim"),
)
