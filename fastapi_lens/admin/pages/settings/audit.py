"""The audit log: who did what in the admin, newest first. Shows it, and changes nothing."""

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import Refusal
from fastapi_lens.admin.audit import AuditGroup
from fastapi_lens.admin.context import Context, Place
from fastapi_lens.admin.display.audit_lines import audit_lines
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.pages.settings.page import settings_tabs
from fastapi_lens.admin.refusals import refused_page
from fastapi_lens.admin.urls.audit import AuditQuery
from fastapi_lens.reporting.model import id_from_key, key_from_id
from fastapi_lens.storage.records.audit import AUDIT_KEPT_EACH, AUDIT_KEPT_SECONDS, read_audit

PAGE_SIZE = 50


def audit_page(context: Context) -> Response:
    """``GET /settings/audit``: only for visitors who may change something."""
    # Checked here, because the router asks for the scope of POSTs only.
    if not context.may_change:
        return refused_page(context.request, Place(context.base, context.lens), Refusal.READ_ONLY)
    query = AuditQuery.parse(f"?{context.request.url.query}")
    base, lens = context.url("/settings/audit"), context.lens
    found = read_audit(
        lens.database,
        lens.app_name,
        before=id_from_key(query.before) if query.before else None,
        actions=AuditGroup(query.group).actions if query.group else None,
        # One more than a page tells if there are older ones.
        limit=PAGE_SIZE + 1,
    )
    shown = found[:PAGE_SIZE]
    more = len(found) > PAGE_SIZE
    values = {
        "current": "Settings",
        "heading": "Audit log",
        "tabs": settings_tabs(context, "audit"),
        "groups": _groups(query, base),
        "lines": audit_lines(shown),
        "query": query,
        "newest": query.newest().url(base),
        "older": query.older(key_from_id(shown[-1].id)).url(base) if more else "",
        "kept_seconds": AUDIT_KEPT_SECONDS,
        "kept_each": AUDIT_KEPT_EACH,
    }
    return templates.page(context, "settings/audit.html", values)


def _groups(query: AuditQuery, base: str) -> list[Link]:
    every = Link("All", query.with_group("").url(base), not query.group, "all")
    return [
        every,
        *(
            Link(group.label, query.with_group(group).url(base), group == query.group, group)
            for group in AuditGroup
        ),
    ]
