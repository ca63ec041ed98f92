"""Saving a section of the settings: what was typed is checked, compared, stored and noted."""

import json
import re
from typing import Any

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin.context import Visit
from fastapi_lens.admin.display.audit_lines import SAVE, changed_by
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.pages.settings.limit_previews import preview_of
from fastapi_lens.admin.pages.settings.page import (
    no_section,
    preview_page,
    section_page,
)
from fastapi_lens.admin.pages.settings.reply import Preview, Reply
from fastapi_lens.errors import ConfigError
from fastapi_lens.settings.fields import SECTIONS, changes, chosen, text_of, typed_in
from fastapi_lens.settings.settings import NAMES
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.records.audit import read_audit
from fastapi_lens.storage.records.settings import AuditEntry, Stored, write_section

NOTHING_NEW = "Nothing to save: it is so already."
STAYS = "Your values are still in the form: save once more to let them win."


def save_section(visit: Visit) -> Response:
    """``POST /settings/{section}``: 303 when saved; else the page, with what was typed."""
    section = visit.request.path_params["section"]
    if section not in SECTIONS:
        return no_section(visit)
    if visit.form.get("do") == "preview":
        return section_page(visit, _previewed(visit, section, typed_in(section, visit.form)))
    resets = visit.form.get("reset") in NAMES[section]
    return _reset(visit, section) if resets else _save(visit, section)


def preview_section(visit: Visit) -> Response:
    """``GET /settings/{section}/preview``: what a change would do."""
    section = visit.request.path_params["section"]
    if section not in SECTIONS:
        return no_section(visit)
    typed = typed_in(section, visit.request.query_params)
    return preview_page(visit, _previewed(visit, section, typed))


def _previewed(visit: Visit, section: str, typed: dict[str, str]) -> Reply:
    try:
        preview = preview_of(visit, section, chosen(visit.lens.config, typed))
    except ConfigError as error:
        preview = Preview(error=f"{error.field} {error.problem}")
    return Reply(section=section, typed=typed, preview=preview)


def _save(visit: Visit, section: str) -> Response:
    typed, code = typed_in(section, visit.form), visit.lens.config
    try:
        values = changes(code, chosen(code, typed), section)
    except ConfigError as error:
        return _wrong(visit, section, typed, error)
    before, after = _texts(visit, section, values)
    if before == after:
        return saved(visit, Reply(section=section, said=NOTHING_NEW))
    if not write(visit, section, values, before, after):
        return _conflict(visit, section, typed)
    return saved(visit, Reply(section=section, said=_said(visit)))


def _reset(visit: Visit, section: str) -> Response:
    """One value goes back to the code's; what else was typed stays typed, and is not saved."""
    name, code, settings = visit.form["reset"], visit.lens.config, visit.lens.settings
    typed = typed_in(section, visit.form)
    in_force = {one: settings.value(one) for one in NAMES[section]}
    values = {n: v for n, v in in_force.items() if n != name and v != getattr(code, n)}
    try:
        code.with_values(values)
    except ConfigError as error:
        return _wrong(visit, section, typed, error)
    if not write(visit, section, values, *_texts(visit, section, values)):
        return _conflict(visit, section, typed)
    typed = {n: text for n, text in typed.items() if n != name and text != text_of(in_force[n])}
    reply = Reply(section=section, typed=typed, said=_said(visit))
    return section_page(visit, reply) if typed else saved(visit, reply)


def _wrong(visit: Visit, section: str, typed: dict[str, str], error: ConfigError) -> Response:
    field = error.field if error.field in typed else ""
    sentence = error.problem if field else f"{error.field} {error.problem}"
    reply = Reply(section=section, typed=typed, field=field, sentence=sentence)
    return section_page(visit, reply, 422)


def _conflict(visit: Visit, section: str, typed: dict[str, str]) -> Response:
    sentence = f"{who_changed(visit, section)}. {STAYS}"
    reply = Reply(section=section, typed=typed, sentence=sentence, conflict=True)
    return section_page(visit, reply, 409)


def _said(visit: Visit) -> str:
    return f"Saved. Every worker goes by it within {visit.lens.config.flush_interval:g} s."


def _texts(visit: Visit, section: str, values: dict[str, Any]) -> tuple[str, str]:
    """The section before and after, for the audit log."""
    code, settings = visit.lens.config, visit.lens.settings
    before = {name: settings.value(name) for name in NAMES[section]}
    after = {**{name: getattr(code, name) for name in before}, **values}
    return json.dumps(before), json.dumps(after)


def write(visit: Visit, section: str, values: dict[str, Any], before: str, after: str) -> bool:
    """Store a section, and take it in this worker; False where somebody else was quicker.

    Args:
        visit: Whose form names the version that it is a change of.
        section: Its name.
        values: All of it.
        before: For the audit log.
        after: For the audit log.

    Raises:
        StorageError: The database cannot be written.
    """
    version = visit.form.get("version", "")
    known = int(version) if re.fullmatch("[0-9]{1,9}", version) else -1
    entry = AuditEntry(
        at_us=microseconds(visit.now),
        actor=visit.actor,
        client=visit.client,
        action=SAVE,
        target=section,
        before=before,
        after=after,
    )
    lens = visit.lens
    written = write_section(lens.database, lens.app_name, section, Stored(values, known), entry)
    # Also after a conflict: the form is to say what the setting says now.
    lens.refresh_settings()
    return written


def who_changed(visit: Visit, section: str) -> str:
    """Who was quicker, as a sentence without its full stop.

    Raises:
        StorageError: The database cannot be read.
    """
    lens = visit.lens
    last = read_audit(lens.database, lens.app_name, target=section, limit=1)
    return changed_by(next(iter(last), None), now=visit.now)


def saved(visit: Visit, reply: Reply) -> Response:
    """A change was made: its section for htmx, else the way back to the page."""
    if wants_fragment(visit.request):
        return section_page(visit, reply)
    return RedirectResponse(visit.url(f"/settings?saved={reply.section}#{reply.section}"), 303)
