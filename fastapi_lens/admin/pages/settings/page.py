"""Settings: forms, who records, what the lens uses, and what the database comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.audit import AuditGroup
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.audit_lines import AuditLine, audit_lines
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.pages.settings.limit_previews import PREVIEWED
from fastapi_lens.admin.pages.settings.reply import Preview, Reply
from fastapi_lens.admin.pages.settings.rules_section import edited, rules_section
from fastapi_lens.config.lens_config import SETTINGS
from fastapi_lens.config.setting import Section
from fastapi_lens.reporting.model import WorkerState
from fastapi_lens.settings.fields import Field, fields
from fastapi_lens.settings.ignore_rules import METHODS, PATTERN, STATUSES
from fastapi_lens.settings.settings import RULES, SECTIONS
from fastapi_lens.storage.records.audit import read_audit

STATE_CLASSES = {
    WorkerState.RUNNING: "active",
    WorkerState.SILENT: "cold",
    WorkerState.ENDED: "never_called",
    WorkerState.KILLED: "dead",
}
"""The dots of the endpoints' statuses mean the same here."""

RULE_FIELDS = (PATTERN, METHODS, STATUSES)
"""The fields of the form of a rule that something can be wrong with."""

LATEST = 5
"""Entries of the audit log at the foot of the settings."""


@dataclass(frozen=True, slots=True)
class Form:
    """A section of settings as a form.

    Attributes:
        version: Of the section that is shown.
        error: By setting, what is wrong with it.
        sentence: A fault that belongs to no single setting.
        preview: Effect of a change; None if no preview was requested.
        previews: True if the section has a preview.
        notes: Sentences above its fields.
        tests: True if a test message can be sent.
    """

    name: str
    version: int
    fields: Sequence[Field]
    error: Mapping[str, str]
    sentence: str
    preview: Preview | None
    previews: bool
    notes: Sequence[str] = ()
    tests: bool = False


def settings_page(context: Context, reply: Reply | None = None, status: int = 200) -> Response:
    """``GET /settings``: the page or its fragment; after a form, with its result."""
    params = context.request.query_params
    reply = reply or edited(context, params.get("rule", ""))
    values = {
        **_now(context),
        **_forms(context, reply),
        "forms": [_form(context, name, reply) for name in SECTIONS],
        "rules": rules_section(context, reply),
        "unusable": context.lens.settings.unusable,
        "saved": params.get("saved") in (*SECTIONS, RULES),
        "tabs": settings_tabs(context, "settings"),
    }
    return templates.page(
        context, "settings/page.html", values, headers=_headers(context), status=status
    )


def section_page(context: Context, reply: Reply, status: int = 200) -> Response:
    """The result of a form: the whole page, or for htmx its section only."""
    if not wants_fragment(context.request):
        return settings_page(context, reply, status)
    values: dict[str, object] = {**_forms(context, reply), "form": None, "rules": None}
    if reply.section == RULES:
        values["rules"] = rules_section(context, reply)
    else:
        values["form"] = _form(context, reply.section, reply)
    return templates.page(
        context, "settings/section.html", values, headers=_headers(context), status=status
    )


def opened_section(context: Context) -> Response:
    """``GET /settings/{section}``: a section alone for htmx, as it is; else the page with it."""
    section = context.request.path_params["section"]
    if section not in (*SECTIONS, RULES):
        return no_section(context)
    if not wants_fragment(context.request):
        return RedirectResponse(context.url(f"/settings#{section}"), 303)
    reply = edited(context, context.request.query_params.get("rule", ""))
    return section_page(context, reply or Reply(section=section))


def no_section(context: Context) -> Response:
    """The page for an unknown section."""
    return templates.not_found_page(
        context.request, context.base, message="No such section of the settings."
    )


def now_page(context: Context) -> Response:
    """``GET /settings/now``: the parts that update themselves, apart from the forms."""
    if not wants_fragment(context.request):
        return RedirectResponse(context.url("/settings"), 303)
    return templates.page(context, "settings/now.html", _now(context), headers=_headers(context))


def preview_page(context: Context, reply: Reply) -> Response:
    """The preview of a change: the whole page, or for htmx the preview only."""
    if not wants_fragment(context.request):
        return settings_page(context, reply)
    names = [one.name for one in SECTIONS.get(reply.section, ())] or RULE_FIELDS
    label = f"{SETTINGS[reply.field].label}: " if reply.field in SETTINGS else ""
    values = {
        "preview": reply.preview,
        "wrong": {name: reply.sentence if name == reply.field else "" for name in names},
        "told": f"{label}{reply.sentence}",
    }
    return templates.page(context, "settings/previewed.html", values, headers=_headers(context))


def settings_tabs(context: Context, current: str) -> list[Link]:
    """The pages of the settings; data about people is only for visitors who may change settings."""
    pages = [("Settings", "settings", "/settings", "Settings, ignore rules, workers and storage.")]
    if context.may_change:
        pages += [("Audit log", "audit", "/settings/audit", "Changes, sign-ins and exports.")]
        pages += [("Danger zone", "danger", "/settings/danger", "Delete history.")]
    return [
        Link(label, context.url(path), name == current, name, title=title)
        for label, name, path, title in pages
    ]


def _headers(context: Context) -> dict[str, str]:
    return {"HX-Push-Url": "false"} if wants_fragment(context.request) else {}


def _forms(context: Context, reply: Reply | None) -> dict[str, object]:
    """The template's values of each section."""
    return {
        "may_change": context.may_change,
        "csrf_token": context.csrf_token,
        "reply": reply,
        "flush_interval": context.lens.config.flush_interval,
        "audit": _latest(context),
        "audit_href": context.url("/settings/audit"),
    }


def _latest(context: Context) -> list[AuditLine]:
    if not context.may_change:
        return []
    lens = context.lens
    return audit_lines(
        read_audit(lens.database, lens.app_name, actions=AuditGroup.CHANGES.actions, limit=LATEST)
    )


def _form(context: Context, section: str, reply: Reply | None) -> Form:
    mine = reply if reply is not None and reply.section == section else Reply(section=section)
    settings, notifier = context.lens.settings, context.lens.notifier
    notifies = section == Section.NOTIFICATIONS
    return Form(
        name=section,
        version=settings.versions.get(section, 0),
        fields=fields(
            section, settings, context.lens.config, typed=mine.typed, conflict=mine.conflict
        ),
        error={mine.field: mine.sentence} if mine.field else {},
        sentence="" if mine.field else mine.sentence,
        preview=mine.preview,
        previews=section in PREVIEWED,
        notes=_delivery_notes(context, mine) if notifies else (),
        tests=notifies and notifier.is_on,
    )


def _delivery_notes(context: Context, reply: Reply) -> list[str]:
    """Sentences about the latest notifications, and about a test message."""
    notifier = context.lens.notifier
    if not notifier.is_on:
        return ["No webhook is set: LensConfig(webhook_url=…) or LENS_WEBHOOK_URL."]
    outcome, notes = notifier.outcome(), [reply.said] if reply.said else []
    if outcome.sent_at is None:
        notes.append("Nothing was sent yet.")
    else:
        notes.append(
            f"Last sent: {outcome.sent_kind}, {formats.ago(outcome.sent_at, context.now)}."
        )
    if outcome.failed_at is not None:
        failed = formats.ago(outcome.failed_at, context.now)
        notes.append(f"The latest attempt failed {failed}: {outcome.problem}.")
    return notes


def _now(context: Context) -> dict[str, object]:
    workers = context.lens.reader.workers(context.now)
    return {
        "current": "Settings",
        "heading": "Settings",
        "address": context.url("/settings/now"),
        "workers": workers,
        "running": sum(worker.state is WorkerState.RUNNING for worker in workers),
        "some_killed": any(worker.state is WorkerState.KILLED for worker in workers),
        "some_clock_off": any(worker.clock_is_off for worker in workers),
        "state_classes": STATE_CLASSES,
        "forecast": context.lens.forecaster.forecast(context.now),
        "ttl_days": context.lens.retention.ttl_days,
    }
