"""Pages and reports that several ask for at once are made once. Knows neither SQL nor HTML.

Two requests share an answer only if everything is the same that it depends on: who asks included,
where a page shows it.
"""

from collections.abc import Callable, Hashable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import TypeVar

from starlette.responses import Response

from fastapi_lens.admin import rendering
from fastapi_lens.admin.visit import Visit
from fastapi_lens.reporting.answers import MAX_AGE_SECONDS

COOKIES = ("lens_theme", "lens_live", "lens_keys")
"""What a browser has set for itself."""

NOTHING: Mapping[str, str] = MappingProxyType({})

Made = TypeVar("Made")


def shared_report(visit: Visit, question: Hashable, make: Callable[[], bytes]) -> Response:
    """A report as JSON; everybody who may ask for it gets the same.

    Args:
        visit: Who asks.
        question: The report's name and parameters.
        make: Makes the JSON.

    Raises:
        StorageError: The database cannot be read.
    """
    body = visit.lens.reader.shared((question, _moment(visit)), make)
    return Response(body, media_type="application/json")


def shared_page(visit: Visit, make: Callable[[], Made]) -> Made:
    """What a page shows to everybody who asks for this address with the same session.

    Args:
        visit: Who asks.
        make: Makes the page's or the fragment's response, and what goes with it.

    Raises:
        StorageError: The database cannot be read.
    """
    request = visit.request
    session = (
        visit.csrf_token,
        visit.signed_in,
        visit.scope,
        visit.actor,
        *map(request.cookies.get, COOKIES),
    )
    address = (str(request.url), visit.base, rendering.wants_fragment(request))
    return visit.lens.reader.shared(("page", address, session, _moment(visit)), make)


def again(shared: Response, headers: Mapping[str, str] = NOTHING) -> Response:
    """A shared response for one request.

    Args:
        shared: Never sent itself: whoever wraps the application may change what is sent.
        headers: More of them for this request, unless the response is an error.
    """
    more = headers.items() if shared.status_code == HTTPStatus.OK else ()
    return Response(shared.body, shared.status_code, dict([*shared.headers.items(), *more]))


def _moment(visit: Visit) -> Hashable:
    """What an answer depends on besides the question and the rows."""
    seconds = int(visit.now) // int(MAX_AGE_SECONDS)
    return (seconds, visit.lens.config, visit.lens.settings)
