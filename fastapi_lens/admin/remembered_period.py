"""The period that a browser remembers, for addresses that name none. Knows no page.

An address without a period leads to the same one with the remembered period, so that an address
that is shared always shows the same.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin.access.cookies import Cookie, set_cookie
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.http.history import is_live_update
from fastapi_lens.admin.http.requests import client_path
from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, NAMES, SHOWN, Period, is_named
from fastapi_lens.admin.urls.query_string import address, fields_of

COOKIE, PART_COOKIE = "lens_period", "lens_part"
CHOICE_SECONDS = 365 * 86_400
PART_SECONDS = 3_600
"""Time for which a part of time is remembered: as long as somebody looks into one incident."""

_BETWEEN = "~"

View = Callable[[Context], Response]
Fields = Mapping[str, list[str]]


def remembered(request: Request, *, now: float) -> Period:
    """The period that the browser remembers; the default if it remembers none."""
    start, _, end = request.cookies.get(PART_COOKIE, "").partition(_BETWEEN)
    fields = {"days": [request.cookies.get(COOKIE, "")], "from": [start], "to": [end]}
    return _begun(Period.of(fields), now)


def with_period(view: View) -> View:
    """A page that has a period: completes its address, and remembers the period."""

    def shown(context: Context) -> Response:
        fields = fields_of(f"?{context.request.url.query}")
        known = remembered(context.request, now=context.now)
        wanted = _wanted(context, fields, known)
        if wanted is not None:
            return RedirectResponse(_address(context, fields, wanted), HTTPStatus.SEE_OTHER)
        response = view(context)
        if response.status_code == HTTPStatus.OK and not is_live_update(context.request):
            _remember(context, response, Period.of(fields), known)
        return response

    return shown


def _wanted(context: Context, fields: Fields, known: Period) -> Period | None:
    """The period that an address leads to; None if it is shown as it is."""
    if SHOWN in fields:
        return _typed(context, Period.of({**_viewed(fields), **fields}))
    if not is_named(fields):
        return None if known == DEFAULT_PERIOD else known
    period = Period.of(fields)
    begun = _begun(period, context.now)
    return None if begun == period else begun


def _typed(context: Context, period: Period) -> Period:
    """The period that was typed in the picker; the same if it makes none."""
    start, end = map(Times.of(context.zone).typed, period.typed)
    if start is None or end is None:
        return period
    found = _begun(period.between(start, end), context.now)
    return found if found.part else period


def _begun(period: Period, now: float) -> Period:
    """The same, or its window if its part lies in the future."""
    return period.whole() if period.part is not None and period.part[0] > now else period


def _viewed(fields: Fields) -> Fields:
    """The fields of the address on which the picker was shown."""
    found = fields_of(f"?{fields[SHOWN][-1]}")
    return {name: values for name, values in found.items() if name not in ("start", "end")}


def _address(context: Context, fields: Fields, period: Period) -> str:
    """The address of the same page in a period."""
    fields = _viewed(fields) if SHOWN in fields else fields
    others = [
        (name, value) for name, values in fields.items() if name not in NAMES for value in values
    ]
    return address(client_path(context.request), [*others, *period.pairs])


def _remember(context: Context, response: Response, period: Period, known: Period) -> None:
    """Set the cookies of a period where they differ from those that the browser has."""
    request, base = context.request, context.base
    if period.choice != known.choice:
        choice = Cookie(str(period.choice), CHOICE_SECONDS)
        set_cookie(response, request, base, COOKIE, choice)
    if period.part != known.part:
        pairs = dict(period.pairs)
        text = f"{pairs['from']}{_BETWEEN}{pairs['to']}" if period.part else ""
        part = Cookie(text, PART_SECONDS if text else 0)
        set_cookie(response, request, base, PART_COOKIE, part)
