"""Signing out: of this browser, or of all that have signed in with the same key."""

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin.access.cookies import session_cookie_of
from fastapi_lens.admin.access.sessions import sessions_of
from fastapi_lens.admin.audit import SIGN_OUT, SIGN_OUT_EVERYWHERE
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.pages.login.page import ENDED


def sign_out(context: Context) -> Response:
    """``POST /logout``: ends the session, even in another browser that has a copy of its cookie."""
    if context.session is not None:
        entry = context.author.did(SIGN_OUT)
        sessions_of(context.lens).end(context.session, entry, context.now)
    return _signed_out(context, "/login")


def sign_out_everywhere(context: Context) -> Response:
    """``POST /logout/everywhere``: ends all sessions of the key, including this one."""
    if context.session is not None:
        entry = context.author.did(SIGN_OUT_EVERYWHERE)
        sessions_of(context.lens).end_all(context.session.key, entry)
    return _signed_out(context, f"/login?{ENDED}=everywhere")


def _signed_out(context: Context, path: str) -> Response:
    response = RedirectResponse(context.url(path), 303)
    if context.session is not None:
        session_cookie_of(context.lens).forget(response, context.request, context.base)
    return response
