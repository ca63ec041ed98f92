"""Pages and reports that several ask for at once are made once. Knows neither SQL nor HTML.

Two requests share an answer only if everything is the same that it depends on: who asks included,
where a page shows it.
"""

import gzip
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Self, TypeVar

from starlette.responses import Response

from fastapi_lens.admin import rendering
from fastapi_lens.admin.edge import takes_gzip
from fastapi_lens.admin.rounds import in_round, in_turn
from fastapi_lens.admin.visit import Visit

JSON = "application/json"
_GZIP_LEVEL = 3

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Asked:
    """A report that somebody asks for; everybody who may ask for it gets the same.

    Attributes:
        question: Its name and parameters.
        make: Makes its JSON; blocks.
    """

    question: Hashable
    make: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class _Body:
    """JSON as it is, and compressed with gzip."""

    plain: bytes
    packed: bytes

    @classmethod
    def made(cls, make: Callable[[], bytes]) -> Self:
        plain = make()
        return cls(plain, gzip.compress(plain, _GZIP_LEVEL, mtime=0))


async def shared_report(visit: Visit, asked: Asked) -> Response:
    """A report as JSON: from memory, or made for all who ask for it now.

    Raises:
        StorageError: The database cannot be read.
    """
    shared = visit.lens.reader.shared
    question = (asked.question, _moment(visit))
    body = shared.ready(question)
    if body is None:

        def work() -> _Body:
            # Made meanwhile: not once more for each part of a flush that is under way.
            found: _Body | None = shared.ready(question)
            return found or shared.get(question, partial(_Body.made, asked.make))

        body = await in_round((shared, question), work)
    await in_turn()
    headers = {"Vary": "Accept-Encoding"}
    if takes_gzip(visit.request.headers):
        headers["Content-Encoding"] = "gzip"
        return Response(body.packed, headers=headers, media_type=JSON)
    return Response(body.plain, headers=headers, media_type=JSON)


def shared_page(visit: Visit, state: Hashable, make: Callable[[], Made]) -> Made:
    """What a page shows to everybody who asks for this address with the same session.

    Args:
        visit: Who asks.
        state: Of the rows, see `Shared.state`.
        make: Makes the page's or the fragment's response, and what goes with it.

    Raises:
        StorageError: The database cannot be read.
    """
    request = visit.request
    address = (str(request.url), visit.base, rendering.wants_fragment(request))
    question = ("page", address, rendering.visitor(visit), _moment(visit))
    return visit.lens.reader.shared.get(question, make, state=state)


def again(shared: Response, headers: Mapping[str, str]) -> Response:
    """A shared response for one request.

    Args:
        shared: Never sent itself: whoever wraps the application may change what is sent.
        headers: More of them for this request, unless the response is an error.
    """
    more = headers.items() if shared.status_code == HTTPStatus.OK else ()
    return Response(shared.body, shared.status_code, dict([*shared.headers.items(), *more]))


def _moment(visit: Visit) -> Hashable:
    """What an answer depends on besides the question and the rows."""
    minute = int(visit.now) // rendering.TICK_SECONDS
    return (minute, visit.lens.config, visit.lens.settings)
