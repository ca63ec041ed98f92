"""Files that are sent as they are made, and noted in the audit log."""

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime

from starlette.responses import StreamingResponse

from fastapi_lens.admin.audit import EXPORT
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.http.thread_pools import in_reader_thread

ROWS_AT_ONCE = 200


def file_response(
    context: Context, parts: Iterator[str], name: str, media_type: str, *, view: str
) -> StreamingResponse:
    """A file that is sent as it is made, once it is noted who has taken it.

    Args:
        context: Who asks for it.
        parts: Its text.
        name: ``endpoints.csv``; the day is put before the dot.
        media_type: What it is.
        view: Which part of everything, as the query string of the page.

    Raises:
        StorageError: The database cannot be read or written.
    """
    # The first part reads the database: an error becomes a page, not a file that breaks off.
    parts = itertools.chain([next(parts), *itertools.islice(parts, 1)], parts)
    context.record(EXPORT, target=name, after=view)
    stem, _, suffix = name.partition(".")
    day = datetime.fromtimestamp(context.now, UTC).date().isoformat()
    headers = {
        "Content-Disposition": f'attachment; filename="{stem}-{day}.{suffix}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_in_pieces(parts), headers=headers, media_type=media_type)


async def _in_pieces(parts: Iterable[str]) -> AsyncIterator[str]:
    left = iter(parts)
    while piece := await in_reader_thread(lambda: "".join(itertools.islice(left, ROWS_AT_ONCE))):
        yield piece
