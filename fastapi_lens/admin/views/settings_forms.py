"""Saving a section of the settings: what was typed is checked, compared, stored and noted."""

import json
import re
from typing import Any

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import rendering
from fastapi_lens.admin.views.settings import Problem, settings_page
from fastapi_lens.admin.visit import Visit
from fastapi_lens.errors import ConfigError
from fastapi_lens.reporting.settings import NAMES, RETENTION, THRESHOLDS
from fastapi_lens.storage.settings import AuditEntry, Stored, write_section

EDITABLE = (RETENTION, THRESHOLDS)
CHANGED_MEANWHILE = (
    "Somebody changed this meanwhile. Your values are still in the form: save once more to let "
    "them win."
)


def save_section(visit: Visit) -> Response:
    """``POST /settings/{section}``: 303 when saved; else the page, with what was typed."""
    section = visit.request.path_params["section"]
    if section not in EDITABLE:
        return rendering.not_found_page(
            visit.request, visit.base, message="There is no such section of the settings."
        )
    typed = {name: visit.form.get(name, "").strip() for name in NAMES[section]}
    code = visit.lens.config
    try:
        chosen = code.with_values({name: text or None for name, text in typed.items()})
    except ConfigError as error:
        return settings_page(visit, Problem(section, typed, error.field, error.problem), 422)
    # What is as the code has it goes on following the code.
    values = {
        name: getattr(chosen, name)
        for name in NAMES[section]
        if getattr(chosen, name) != getattr(code, name)
    }
    if _write(visit, section, values):
        visit.lens.refresh_settings()
        return RedirectResponse(visit.url(f"/settings?saved={section}"), 303)
    visit.lens.refresh_settings()
    return settings_page(visit, Problem(section, typed, "", CHANGED_MEANWHILE), 409)


def _write(visit: Visit, section: str, values: dict[str, Any]) -> bool:
    version = visit.form.get("version", "")
    known = int(version) if re.fullmatch("[0-9]{1,9}", version) else -1
    settings = visit.lens.settings
    before = {name: settings.value(name) for name in NAMES[section]}
    entry = AuditEntry(
        at_us=round(visit.now * 1_000_000),
        actor=visit.actor,
        client=visit.client,
        action="save",
        target=section,
        before=json.dumps(before),
        after=json.dumps({**{n: getattr(visit.lens.config, n) for n in before}, **values}),
    )
    lens = visit.lens
    return write_section(lens.database, lens.app_name, section, Stored(values, known), entry)
