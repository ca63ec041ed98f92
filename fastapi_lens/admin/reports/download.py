"""Streamed files, with an entry in the audit log."""

import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime

from starlette.responses import StreamingResponse

from fastapi_lens.admin.audit import EXPORT
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.http.thread_pools import in_reader_thread

ROWS_AT_ONCE = 200


def file_response(
    context: Context,
    parts: Iterator[str],
    name: str,
    media_type: str,
    *,
    view: str,
    inline: bool = False,
) -> StreamingResponse:
    """A file that is streamed while it is created, after its entry in the audit log.

    Args:
        context: The request.
        parts: Its text, in parts.
        name: ``endpoints.csv``; the day is inserted before the dot.
        media_type: Media type of the file.
        view: The exported selection, as the query string of the page.
        inline: True to show it in the browser instead of saving it.

    Raises:
        StorageError: The database cannot be read or written.
    """
    # The first part reads the database, so that an error becomes a page, not a truncated file.
    parts = itertools.chain([next(parts), *itertools.islice(parts, 1)], parts)
    context.record(EXPORT, target=name, after=view)
    stem, _, suffix = name.partition(".")
    day = datetime.fromtimestamp(context.now, UTC).date().isoformat()
    disposition = "inline" if inline else "attachment"
    headers = {
        "Content-Disposition": f'{disposition}; filename="{stem}-{day}.{suffix}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_in_pieces(parts), headers=headers, media_type=media_type)


async def _in_pieces(parts: Iterable[str]) -> AsyncIterator[str]:
    left = iter(parts)
    while piece := await in_reader_thread(lambda: "".join(itertools.islice(left, ROWS_AT_ONCE))):
        yield piece
