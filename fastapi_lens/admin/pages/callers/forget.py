"""Forgetting one caller: the confirmation, and the deletion of everything that names it."""

from collections.abc import Sequence

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import Refusal
from fastapi_lens.admin.audit import FORGET_CALLER
from fastapi_lens.admin.context import Context, Place
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.callers import who_of
from fastapi_lens.admin.pages.callers.caller import found_caller, no_caller
from fastapi_lens.admin.refusals import refused_page
from fastapi_lens.reporting.ledger.callers import CallerUse
from fastapi_lens.storage.records.audit import add_audit_entry
from fastapi_lens.storage.retention.caller_deletion import forget_caller


def forget_page(context: Context) -> Response:
    """``GET /callers/{key}/forget``: asks for a confirmation; ``POST`` forgets the caller."""
    # Checked here, because the router asks for the scope of POSTs only.
    if not context.may_change:
        return refused_page(context.request, Place(context.base, context.lens), Refusal.READ_ONLY)
    key = context.request.path_params["key"]
    found = found_caller(context)
    if found is None:
        return no_caller(context)
    caller = found.caller
    if context.request.method == "POST":
        # By its id: the audit log must not keep the name.
        entry = context.author.did(FORGET_CALLER, target=key, before=_words(found.uses))
        lens = context.lens
        # Audited before the deletion, which may take long and end early.
        add_audit_entry(lens.database, lens.app_name, entry)
        forget_caller(lens.database, lens.app_name, caller.id)
        return RedirectResponse(context.url("/callers?done=forgotten"), 303)
    values = {
        "current": "Endpoints",
        "heading": "Forget a caller",
        "who": who_of(context, caller),
        "words": _words(found.uses),
        "action": context.url(f"/callers/{key}/forget"),
        "cancel": context.url(f"/callers/{key}"),
        "csrf_token": context.csrf_token,
    }
    return templates.page(context, "callers/forget.html", values)


def _words(uses: Sequence[CallerUse]) -> str:
    """The amount of data about a caller."""
    calls = formats.plural(sum(use.calls for use in uses), "call")
    return f"{calls} of {formats.plural(len(uses), 'endpoint')}"
