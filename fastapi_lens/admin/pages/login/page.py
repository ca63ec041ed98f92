"""Signing in, and what those get who may not look. Plain POSTs and redirects."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import (
    Authenticator,
    Entry,
    Refusal,
    Wait,
    safe_next,
)
from fastapi_lens.admin.access.credentials import is_given_by_person
from fastapi_lens.admin.access.cross_site import is_own_form
from fastapi_lens.admin.context import Place
from fastapi_lens.admin.http.forms import read_form
from fastapi_lens.admin.refusals import for_people, refused_page, wait_page

WRONG_KEY = "Wrong key."
FORGED = "This form was not sent from this page. Please try again."
ENDED = "ended"
NOTICES = {"everywhere": "All sessions of this key have ended."}
TOO_LARGE = "This is too long for a key."


async def login_page(request: Request, place: Place, authenticator: Authenticator) -> Response:
    """The login form; a redirect for visitors who already have access."""
    target = safe_next(request.query_params.get("next", ""), place.base)
    entry = await authenticator.access(request, place.lens.clock())
    if isinstance(entry, Entry):
        return RedirectResponse(target, 303)
    entry = for_people(entry)
    if isinstance(entry, Wait):
        return wait_page(request, place, entry, target=target)
    if entry is not Refusal.KEY:
        return refused_page(request, place, entry)
    said = NOTICES.get(request.query_params.get(ENDED, ""), "")
    return templates.login_page(request, place.lens, place.base, target=target, said=said)


async def sign_in(request: Request, place: Place, authenticator: Authenticator) -> Response:
    """Check the key of the form; 303 with a session, or the form again with one sentence."""
    if not authenticator.takes_keys:
        return await login_page(request, place, authenticator)
    form = await read_form(request)
    target = safe_next((form or {}).get("next", ""), place.base)
    error = _sign_in_error(request, place, form)
    name = None
    if form is not None and error is None:
        name = await authenticator.holder(request, form.get("key", ""), place.lens.clock())
    if isinstance(name, Wait):
        return wait_page(request, place, name, target=target)
    if name is not None:
        return await _signed_in(request, place, authenticator, name, target)
    error = error or WRONG_KEY
    status = 403 if error is FORGED else 422
    return templates.login_page(
        request, place.lens, place.base, target=target, said=error, status=status
    )


async def exchange_key(
    request: Request, place: Place, authenticator: Authenticator, key: str
) -> Response:
    """Exchange a key in the URL for a session; drop a wrong key.

    A key is also dropped if another site may have directed the browser here: it could make users
    try keys unknowingly, or sign them in as somebody else.
    """
    query = request.url.query
    target = safe_next(place.back + (f"?{query}" if query else ""), place.base)
    if not is_given_by_person(request):
        return _away(target)
    name = await authenticator.holder(request, key, place.lens.clock())
    if isinstance(name, Wait):
        return wait_page(request, place, name, target=target)
    if name is not None:
        return await _signed_in(request, place, authenticator, name, target)
    # Without the key, which would stay in the history of the browser.
    return _away(f"{place.base}/login?{urlencode({'next': target})}")


def _sign_in_error(request: Request, place: Place, form: dict[str, str] | None) -> str | None:
    if not is_own_form(request, place.lens.config.trusted_origins):
        return FORGED
    return TOO_LARGE if form is None else None


async def _signed_in(
    request: Request, place: Place, authenticator: Authenticator, name: str, target: str
) -> Response:
    response = _away(target)
    cookie = await authenticator.sign_in(request, name, place.lens.clock())
    authenticator.cookie.set(response, request, place.base, cookie)
    return response


def _away(target: str) -> Response:
    """A redirect from an address that may contain a key: no referrer, not cached."""
    headers = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(target, 303, headers=headers)
