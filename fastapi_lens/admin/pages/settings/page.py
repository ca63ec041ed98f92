"""Settings: forms, who records, what the lens uses, and what the database comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Visit
from fastapi_lens.admin.display.audit_lines import CHANGES, AuditLine, audit_lines
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.pages.settings.limit_previews import PREVIEWED
from fastapi_lens.admin.pages.settings.reply import Preview, Reply
from fastapi_lens.admin.pages.settings.rules_section import edited, rules_section
from fastapi_lens.reporting.model import WorkerState
from fastapi_lens.settings.fields import SECTIONS, Field, fields
from fastapi_lens.settings.settings import RULES
from fastapi_lens.storage.records.audit import read_audit

STATE_CLASSES = {
    WorkerState.RUNNING: "active",
    WorkerState.SILENT: "cold",
    WorkerState.ENDED: "never_called",
    WorkerState.KILLED: "dead",
}
"""The dots of the endpoints' statuses mean the same here."""

LATEST = 5
"""Entries of the audit log at the foot of the settings."""


@dataclass(frozen=True, slots=True)
class Form:
    """A section of settings as a form.

    Attributes:
        version: Of the section that is shown.
        error: By setting, what is wrong with it.
        sentence: What is wrong with none of them.
        preview: What a change would do; None where nothing was asked.
        previews: Whether there is anything to preview.
    """

    name: str
    version: int
    fields: Sequence[Field]
    error: Mapping[str, str]
    sentence: str
    preview: Preview | None
    previews: bool


def settings_page(visit: Visit, reply: Reply | None = None, status: int = 200) -> Response:
    """``GET /settings``: the page or its fragment; after a form, with what came of it."""
    params = visit.request.query_params
    reply = reply or edited(visit, params.get("rule", ""))
    context = {
        **_now(visit),
        **_forms(visit, reply),
        "forms": [_form(visit, name, reply) for name in SECTIONS],
        "rules": rules_section(visit, reply),
        "unusable": visit.lens.settings.unusable,
        "saved": params.get("saved") in (*SECTIONS, RULES),
        "tabs": settings_tabs(visit, "settings"),
    }
    response = templates.page(visit, "settings.html", context, headers=_headers(visit))
    response.status_code = status
    return response


def section_page(visit: Visit, reply: Reply, status: int = 200) -> Response:
    """What came of a form: the whole page, or for htmx its section alone."""
    if not wants_fragment(visit.request):
        return settings_page(visit, reply, status)
    context: dict[str, object] = {**_forms(visit, reply), "form": None, "rules": None}
    if reply.section == RULES:
        context["rules"] = rules_section(visit, reply)
    else:
        context["form"] = _form(visit, reply.section, reply)
    response = templates.page(visit, "settings_section.html", context, headers=_headers(visit))
    response.status_code = status
    return response


def opened_section(visit: Visit) -> Response:
    """``GET /settings/{section}``: a section alone for htmx, as it is; else the page with it."""
    section = visit.request.path_params["section"]
    if section not in (*SECTIONS, RULES):
        return no_section(visit)
    if not wants_fragment(visit.request):
        return RedirectResponse(visit.url(f"/settings#{section}"), 303)
    reply = edited(visit, visit.request.query_params.get("rule", ""))
    return section_page(visit, reply or Reply(section=section))


def no_section(visit: Visit) -> Response:
    """For a section that there is not."""
    return templates.not_found_page(
        visit.request, visit.base, message="There is no such section of the settings."
    )


def now_page(visit: Visit) -> Response:
    """``GET /settings/now``: what changes by itself, apart from the forms that people fill in."""
    if not wants_fragment(visit.request):
        return RedirectResponse(visit.url("/settings"), 303)
    return templates.page(visit, "settings_now.html", _now(visit), headers=_headers(visit))


def preview_page(visit: Visit, reply: Reply) -> Response:
    """What a change would do: the whole page, or for htmx that alone."""
    if not wants_fragment(visit.request):
        return settings_page(visit, reply)
    context = {"preview": reply.preview}
    return templates.page(visit, "settings_preview.html", context, headers=_headers(visit))


def settings_tabs(visit: Visit, current: str) -> list[Link]:
    """The pages of the settings; what tells of people is for those alone who may change them."""
    pages = [("Settings", "settings", "/settings")]
    if visit.may_change:
        pages += [("Audit log", "audit", "/settings/audit")]
        pages += [("Danger zone", "danger", "/settings/danger")]
    return [Link(label, visit.url(path), name == current, name) for label, name, path in pages]


def _headers(visit: Visit) -> dict[str, str]:
    return {"HX-Push-Url": "false"} if wants_fragment(visit.request) else {}


def _forms(visit: Visit, reply: Reply | None) -> dict[str, object]:
    """What each of the sections needs."""
    return {
        "may_change": visit.may_change,
        "csrf_token": visit.csrf_token,
        "reply": reply,
        "flush_interval": visit.lens.config.flush_interval,
        "audit": _latest(visit),
        "audit_href": visit.url("/settings/audit"),
    }


def _latest(visit: Visit) -> list[AuditLine]:
    if not visit.may_change:
        return []
    lens = visit.lens
    return audit_lines(read_audit(lens.database, lens.app_name, actions=CHANGES, limit=LATEST))


def _form(visit: Visit, section: str, reply: Reply | None) -> Form:
    mine = reply if reply is not None and reply.section == section else Reply(section=section)
    settings = visit.lens.settings
    return Form(
        name=section,
        version=settings.versions.get(section, 0),
        fields=fields(
            section, settings, visit.lens.config, typed=mine.typed, conflict=mine.conflict
        ),
        error={mine.field: mine.sentence} if mine.field else {},
        sentence="" if mine.field else mine.sentence,
        preview=mine.preview,
        previews=section in PREVIEWED,
    )


def _now(visit: Visit) -> dict[str, object]:
    workers = visit.lens.reader.workers(visit.now)
    return {
        "current": "Settings",
        "heading": "Settings",
        "address": visit.url("/settings/now"),
        "workers": workers,
        "running": sum(worker.state is WorkerState.RUNNING for worker in workers),
        "some_killed": any(worker.state is WorkerState.KILLED for worker in workers),
        "some_clock_off": any(worker.clock_is_off for worker in workers),
        "state_classes": STATE_CLASSES,
        "forecast": visit.lens.forecaster.forecast(visit.now),
        "ttl_days": visit.lens.retention.ttl_days,
    }
