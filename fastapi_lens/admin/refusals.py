"""Responses to visitors without access: login, wait, or a page with the reason."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import (
    Refusal,
    Wait,
)
from fastapi_lens.admin.access.authorize_hook import Denied
from fastapi_lens.admin.context import Place
from fastapi_lens.admin.http.requests import parts_of

TRY_AGAIN, SIGN_IN_AGAIN = "Try again", "Sign in again"


NOT_SAVED = "Nothing was changed. Sign in again."


def wait_page(request: Request, place: Place, wait: Wait, *, target: str = "") -> Response:
    """The login form with the time to wait."""
    error = _sentence(wait.sentence)
    response = templates.login_page(
        request, place.lens, place.base, target=target, said=error, status=429
    )
    response.headers.update(wait.headers)
    return response


def refused_page(request: Request, place: Place, refused: Refusal | Wait | Denied) -> Response:
    """The response to a visitor without access."""
    refused = for_people(refused)
    if isinstance(refused, Wait):
        return wait_page(request, place, refused)
    if isinstance(refused, Denied):
        return _denied_page(request, place, refused)
    if refused is Refusal.KEY:
        return to_login(request, place)
    way_on = TRY_AGAIN if refused is Refusal.NOT_LOCAL else "All endpoints"
    sentence = _sentence(refused.value)
    return templates.not_allowed_page(request, place.base, sentence, way_on=way_on)


def for_people(refused: Refusal | Wait | Denied) -> Refusal | Wait | Denied:
    """The refusal for a page: if only a Bearer token has to wait, the user may still sign in.

    A proxy may have added that token.
    """
    return Refusal.KEY if isinstance(refused, Wait) and refused.may_sign_in else refused


def _denied_page(request: Request, place: Place, denied: Denied) -> Response:
    """The hook's redirect, or a page with its reason."""
    if denied.location is not None and request.headers.get("hx-request") == "true":
        # Redirects the whole page, not only the fragment.
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

    A redirect would fail, because the Content-Security-Policy of the pages (form-action) allows no
    other site to answer a form, not even after several redirects.
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
    """Redirect to the login form and back afterwards; a fragment redirects the whole page."""
    query = request.url.query
    target = place.back + (f"?{query}" if query else "")
    address = f"{place.base}/login?{urlencode({'next': target})}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=200, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def _sentence(words: str) -> str:
    """A sentence with a capital and a full stop, for people; programs get the words only."""
    return words[:1].upper() + words[1:] + ("." if words[-1:].isalnum() else "")
