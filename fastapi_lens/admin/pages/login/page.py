"""Signing in, and what those get who may not look. Plain POSTs and redirects."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import (
    Entry,
    Gate,
    Refusal,
    Wait,
    safe_next,
)
from fastapi_lens.admin.access.authorize_hook import Denied
from fastapi_lens.admin.access.credentials import is_given_by_person
from fastapi_lens.admin.access.cross_site import is_own_form
from fastapi_lens.admin.context import Place
from fastapi_lens.admin.http.forms import read_form
from fastapi_lens.admin.http.requests import parts_of

WRONG_KEY = "That key is not right."
FORGED = "This form was not sent from this page. Please try again."
ENDED = "ended"
NOTICES = {"everywhere": "All sessions of this key have ended."}
TRY_AGAIN, SIGN_IN_AGAIN = "Try again", "Sign in again"
NOT_SAVED = "Nothing was changed: sign in again first."
TOO_LARGE = "That is too long to be a key."


async def login_page(request: Request, place: Place, gate: Gate) -> Response:
    """The form; whoever may look already is led on."""
    target = safe_next(request.query_params.get("next", ""), place.base)
    entry = await gate.access(request, place.lens.clock())
    if isinstance(entry, Entry):
        return RedirectResponse(target, 303)
    entry = _for_people(entry)
    if isinstance(entry, Wait):
        return wait_page(request, place, entry, target=target)
    if entry is not Refusal.KEY:
        return refused_page(request, place, entry)
    said = NOTICES.get(request.query_params.get(ENDED, ""), "")
    return templates.login_page(request, place.lens, place.base, target=target, said=said)


async def sign_in(request: Request, place: Place, gate: Gate) -> Response:
    """Check the key of the form; 303 with a session, or the form again with one sentence."""
    if not gate.takes_keys:
        return await login_page(request, place, gate)
    form = await read_form(request)
    target = safe_next((form or {}).get("next", ""), place.base)
    error = _sign_in_error(request, place, form)
    name = None
    if form is not None and error is None:
        name = await gate.holder(request, form.get("key", ""), place.lens.clock())
    if isinstance(name, Wait):
        return wait_page(request, place, name, target=target)
    if name is not None:
        return await _signed_in(request, place, gate, name, target)
    error = error or WRONG_KEY
    status = 403 if error is FORGED else 422
    return templates.login_page(
        request, place.lens, place.base, target=target, said=error, status=status
    )


def wait_page(request: Request, place: Place, wait: Wait, *, target: str = "") -> Response:
    """The form again, with how long to wait."""
    error = _sentence(wait.sentence)
    response = templates.login_page(
        request, place.lens, place.base, target=target, said=error, status=429
    )
    response.headers.update(wait.headers)
    return response


async def exchange_key(request: Request, place: Place, gate: Gate, key: str) -> Response:
    """Exchange a key in the URL for a session; drop a wrong key.

    A key is also dropped if another site may have directed the browser here: it could make users
    try keys unknowingly, or sign them in as somebody else.
    """
    query = request.url.query
    target = safe_next(place.back + (f"?{query}" if query else ""), place.base)
    if not is_given_by_person(request):
        return _away(target)
    name = await gate.holder(request, key, place.lens.clock())
    if isinstance(name, Wait):
        return wait_page(request, place, name, target=target)
    if name is not None:
        return await _signed_in(request, place, gate, name, target)
    return _away(f"{place.base}/login?{urlencode({'next': target})}")


def refused_page(request: Request, place: Place, refused: Refusal | Wait | Denied) -> Response:
    """What somebody gets who may not look."""
    refused = _for_people(refused)
    if isinstance(refused, Wait):
        return wait_page(request, place, refused)
    if isinstance(refused, Denied):
        return _denied_page(request, place, refused)
    if refused is Refusal.KEY:
        return to_login(request, place)
    way_on = TRY_AGAIN if refused is Refusal.NOT_LOCAL else "All endpoints"
    sentence = _sentence(refused.value)
    return templates.not_allowed_page(request, place.base, sentence, way_on=way_on)


def _for_people(refused: Refusal | Wait | Denied) -> Refusal | Wait | Denied:
    """The refusal for a page: if only a Bearer token has to wait, the user may still sign in.

    A proxy may have added that token.
    """
    return Refusal.KEY if isinstance(refused, Wait) and refused.may_sign_in else refused


def _denied_page(request: Request, place: Place, denied: Denied) -> Response:
    """As the hook has said: elsewhere, or a page that says why not."""
    if denied.location is not None and request.headers.get("hx-request") == "true":
        # The whole page goes there, not the fragment.
        return Response(status_code=200, headers={"HX-Redirect": denied.location})
    if denied.location is not None and request.method not in ("GET", "HEAD"):
        return _led_from_form(request, place, denied.location)
    sentence = _sentence(denied.sentence)
    response = templates.not_allowed_page(request, place.base, sentence, way_on=TRY_AGAIN)
    response.status_code = denied.status
    response.headers.update(denied.headers)
    return response


def _led_from_form(request: Request, place: Place, location: str) -> Response:
    """A page that leads from a form of the admin to the host's login, often on another site.

    A redirect would fail: the admin's pages allow no other site to answer a form, not even at the
    end of several redirects.
    """
    if parts_of(location).scheme not in ("", "http", "https"):
        location = ""
    response = templates.not_allowed_page(
        request, place.base, NOT_SAVED, way_on=SIGN_IN_AGAIN, leads_to=location
    )
    if location:
        response.headers["Refresh"] = f"0; url={location}"
    return response


def to_login(request: Request, place: Place) -> Response:
    """Lead to the form, and from there back; a fragment takes the whole page along."""
    query = request.url.query
    target = place.back + (f"?{query}" if query else "")
    address = f"{place.base}/login?{urlencode({'next': target})}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=200, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def _sign_in_error(request: Request, place: Place, form: dict[str, str] | None) -> str | None:
    if not is_own_form(request, place.lens.config.trusted_origins):
        return FORGED
    return TOO_LARGE if form is None else None


async def _signed_in(
    request: Request, place: Place, gate: Gate, name: str, target: str
) -> Response:
    response = _away(target)
    cookie = await gate.sign_in(request, name, place.lens.clock())
    gate.cookie.set(response, request, place.base, cookie)
    return response


def _sentence(words: str) -> str:
    """As people write it; programs get the words alone."""
    return words[:1].upper() + words[1:] + ("." if words[-1:].isalnum() else "")


def _away(target: str) -> Response:
    """From an address that may have had a key in it: nobody is told of it, nothing kept."""
    headers = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(target, 303, headers=headers)
