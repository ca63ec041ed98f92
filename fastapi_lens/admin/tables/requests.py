"""The columns of the table of logged requests; cells: `_requests_cells.html`."""

from fastapi_lens.admin.tables.column import Column
from fastapi_lens.reporting.log.request_log import LoggedCall

COLUMNS: tuple[Column[LoggedCall], ...] = (
    Column(
        name="at",
        header="When",
        title="When the request arrived.",
        width=96,
        from_width=640,
        css="dim",
    ),
    Column(name="status", header="Status", title="The status code of the response.", width=72),
    Column(
        name="request",
        header="Request",
        title="Method and path; values of the query only where they are kept.",
        css="left apart",
        is_row_header=True,
    ),
    Column(
        name="duration",
        header="Duration",
        title="Up to the last byte of the response; of a WebSocket, the time it was open.",
        width=116,
    ),
    Column(
        name="reason",
        header="Kept because",
        title="Server errors and the slowest requests are kept, and a share of all.",
        width=146,
        from_width=800,
        css="left dim apart",
    ),
    Column(
        name="exception",
        header="Exception",
        title="The exception that left the handler.",
        width=150,
        from_width=800,
        css="left dim",
    ),
    Column(
        name="agent",
        header="Client",
        title="The program that called, by its User-Agent.",
        width=150,
        from_width=1240,
        css="left dim",
    ),
)

CALLER: Column[LoggedCall] = Column(
    name="caller",
    header="Caller",
    title="The name of the caller.",
    width=150,
    from_width=1040,
    css="left apart",
)
"""Only where the log names callers."""

CLIENT: Column[LoggedCall] = Column(
    name="client",
    header="Address",
    title="The network address of the client.",
    width=150,
    from_width=1240,
    css="left dim",
)
"""Only where the log keeps addresses."""


def columns(
    *, with_callers: bool = False, with_clients: bool = False
) -> tuple[Column[LoggedCall], ...]:
    """The columns, with or without those of the caller and of the client's address."""
    callers = (CALLER,) if with_callers else ()
    clients = (CLIENT,) if with_clients else ()
    return (*COLUMNS[:4], *callers, *COLUMNS[4:], *clients)
