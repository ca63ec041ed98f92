"""Forgetting all callers of the application, once its name is typed."""

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import Refusal
from fastapi_lens.admin.audit import FORGET_CALLERS
from fastapi_lens.admin.context import Context, Place
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.pages.settings.page import settings_tabs
from fastapi_lens.admin.refusals import refused_page
from fastapi_lens.storage.records.audit import add_audit_entry
from fastapi_lens.storage.retention.caller_deletion import forget_callers
from fastapi_lens.storage.schema.models import OTHERS_ID
from fastapi_lens.text.escaping import visible

EVERYBODY = "all"


def forget_callers_page(context: Context) -> Response:
    """``GET /settings/danger/callers``: asks for the app's name; ``POST`` forgets all callers."""
    # Checked here, because the router asks for the scope of POSTs only.
    if not context.may_change:
        return refused_page(context.request, Place(context.base, context.lens), Refusal.READ_ONLY)
    if context.request.method != "POST":
        return _page(context)
    lens = context.lens
    # The name with invisible characters escaped, as the page shows it, or unchanged.
    if context.form.get("confirm", "").strip() not in (lens.app_name, visible(lens.app_name)):
        wrong = f"This is not {lens.app_name}. Nobody was forgotten."
        return _page(context, wrong=wrong, status=422)
    entry = context.author.did(FORGET_CALLERS, target=EVERYBODY, before=_words(context))
    # Audited before the deletion, which may take long and end early.
    add_audit_entry(lens.database, lens.app_name, entry)
    forget_callers(lens.database, lens.app_name)
    return RedirectResponse(context.url("/settings/danger/callers?done=1"), 303)


def _page(context: Context, *, wrong: str = "", status: int = 200) -> Response:
    values = {
        "current": "Settings",
        "heading": "Forget all callers",
        "tabs": settings_tabs(context, "danger"),
        "words": _words(context),
        "done": bool(context.request.query_params.get("done", "")),
        "wrong": wrong,
        "typed": context.form.get("confirm", ""),
        "csrf_token": context.csrf_token,
        "app_name": context.lens.app_name,
        "list_href": context.url("/callers"),
    }
    return templates.page(context, "settings/forget_callers.html", values, status=status)


def _words(context: Context) -> str:
    """The number of callers that can be forgotten."""
    found = context.lens.reader.callers.callers()
    return formats.plural(sum(one.caller.id != OTHERS_ID for one in found), "caller")
