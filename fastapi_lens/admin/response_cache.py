"""Cache of pages and reports for simultaneous requests. Knows neither SQL nor HTML.

Two requests share a response only if everything that it depends on is equal, including the visitor
for pages that show the name or the rights.
"""

import gzip
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Self, TypeVar

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.http.requests import takes_gzip, wants_fragment
from fastapi_lens.admin.http.thread_pools import in_reader_thread
from fastapi_lens.reporting.workers import State

JSON = "application/json"
_GZIP_LEVEL = 3

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Question:
    """A requested report, which is the same for all visitors with access.

    Attributes:
        key: Its name and parameters.
        make: Creates its text; blocks.
        media_type: Media type of the text.
        vary: The headers of the request that the response depends on.
    """

    key: Hashable
    make: Callable[[], bytes]
    media_type: str = JSON
    vary: str = "Accept-Encoding"


@dataclass(frozen=True, slots=True)
class _Body:
    """A report, plain and compressed with gzip."""

    plain: bytes
    packed: bytes

    @classmethod
    def made(cls, make: Callable[[], bytes]) -> Self:
        plain = make()
        # Both forms, because clients that share an answer differ in what they accept.
        return cls(plain, gzip.compress(plain, _GZIP_LEVEL, mtime=0))


async def cached_report(context: Context, question: Question) -> Response:
    """A report, at most two seconds old and never older than the written data.

    Raises:
        StorageError: The database cannot be read.
    """
    reader = context.lens.reader

    def work() -> _Body:
        # In the thread, because the version is a query of its own.
        key = (question.key, reader.version(), _moment(context))
        return reader.results.get(key, partial(_Body.made, question.make))

    body = await in_reader_thread(work)
    headers = {"Vary": question.vary}
    if takes_gzip(context.request.headers):
        headers["Content-Encoding"] = "gzip"
        return Response(body.packed, headers=headers, media_type=question.media_type)
    return Response(body.plain, headers=headers, media_type=question.media_type)


def cached_page(context: Context, state: State, make: Callable[[], Answer]) -> Answer:
    """The cached page of an address for one session.

    Args:
        context: The request.
        state: A recent state of the data.
        make: Creates the response of the page or fragment, and values that belong to it.

    Raises:
        StorageError: The database cannot be read.
    """
    request, reader = context.request, context.lens.reader
    address = (str(request.url), context.base, wants_fragment(request))
    depends = (templates.viewer(context), reader.depends_on(state.log_version), _moment(context))
    return reader.results.get(("page", address, *depends), make)


def again(cached: Response, headers: Mapping[str, str]) -> Response:
    """A cached response for one request.

    Args:
        cached: The cached response, which is copied, because middlewares may change a sent one.
        headers: Further headers for this request, unless the response is an error.
    """
    # An error under these headers would be kept by the browser as the page itself.
    more = headers.items() if cached.status_code == HTTPStatus.OK else ()
    return Response(cached.body, cached.status_code, dict([*cached.headers.items(), *more]))


def _moment(context: Context) -> Hashable:
    """Everything that an answer depends on besides the question and the rows."""
    minute = int(context.now) // templates.TICK_SECONDS
    return (minute, context.lens.config, context.lens.settings)
