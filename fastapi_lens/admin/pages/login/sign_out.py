"""Signing out: of this browser, or of all that have signed in with the same key."""

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin.access.audit_events import SIGN_OUT, SIGN_OUT_EVERYWHERE, entry_of
from fastapi_lens.admin.access.cookies import session_cookie_of
from fastapi_lens.admin.access.sessions import sessions_of
from fastapi_lens.admin.context import Visit
from fastapi_lens.admin.pages.login.page import ENDED


def sign_out(visit: Visit) -> Response:
    """``POST /logout``: the session is over, in whatever browser somebody may have put it."""
    if visit.session is not None:
        entry = entry_of(visit.request, SIGN_OUT, actor=visit.actor, now=visit.now)
        sessions_of(visit.lens).end(visit.session, entry, visit.now)
    return _signed_out(visit, "/login")


def sign_out_everywhere(visit: Visit) -> Response:
    """``POST /logout/everywhere``: all sessions of the key are over, this one among them."""
    if visit.session is not None:
        entry = entry_of(visit.request, SIGN_OUT_EVERYWHERE, actor=visit.actor, now=visit.now)
        sessions_of(visit.lens).end_all(visit.session.key, entry)
    return _signed_out(visit, f"/login?{ENDED}=everywhere")


def _signed_out(visit: Visit, path: str) -> Response:
    response = RedirectResponse(visit.url(path), 303)
    if visit.session is not None:
        session_cookie_of(visit.lens).forget(response, visit.request, visit.base)
    return response
