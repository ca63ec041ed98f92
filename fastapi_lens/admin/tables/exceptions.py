"""The columns of the table of exceptions; cells: `_exceptions_cells.html`."""

from fastapi_lens.admin.tables.column import Column
from fastapi_lens.reporting.request_log import ExceptionKind

COLUMNS: tuple[Column[ExceptionKind], ...] = (
    Column(
        name="exception",
        header="Exception",
        title="Type and location of the exception.",
        is_row_header=True,
    ),
    Column(name="count", header="Count", title="How often it was raised.", width=92),
    Column(
        name="message",
        header="Message",
        title="Its latest message.",
        width="26p",
        from_width=640,
        css="left apart",
    ),
    Column(
        name="endpoint",
        header="Endpoint",
        title="The endpoint whose handler it left.",
        width="22p",
        from_width=800,
        css="left",
    ),
    Column(
        name="first",
        header="First",
        title="When it was first raised.",
        width=96,
        from_width=1240,
        css="dim",
    ),
    Column(name="last", header="Last", title="When it was last raised.", width=96, css="dim"),
)
