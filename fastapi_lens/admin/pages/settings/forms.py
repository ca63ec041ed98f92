"""Saving a section of the settings: what was typed is checked, compared, stored and noted."""

import json
from typing import Any

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin.audit import SAVE
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.pages.settings.limit_previews import preview_of
from fastapi_lens.admin.pages.settings.page import (
    no_section,
    preview_page,
    section_page,
)
from fastapi_lens.admin.pages.settings.reply import Reply
from fastapi_lens.admin.section_changes import latest_change, save_values
from fastapi_lens.errors import ConfigError
from fastapi_lens.settings.fields import (
    changes,
    chosen,
    sentence_of,
    text_of,
    typed_in,
    values_of,
)
from fastapi_lens.settings.settings import SECTIONS

NOTHING_NEW = "No changes to save."
STAYS = "Your values are still in the form: save again to overwrite."


def save_section(context: Context) -> Response:
    """``POST /settings/{section}``: 303 when saved; otherwise the page with the submission."""
    section = context.request.path_params["section"]
    if section not in SECTIONS:
        return no_section(context)
    # Without JavaScript, the preview is a button of the same form.
    if context.form.get("do") == "preview":
        reply = _previewed(context, section, typed_in(section, context.form))
        return section_page(context, reply, 422 if reply.field else 200)
    names = [setting.name for setting in SECTIONS[section]]
    resets = context.form.get("reset") in names
    return _reset(context, section) if resets else _save(context, section)


def preview_section(context: Context) -> Response:
    """``GET /settings/{section}/preview``: the effect of a change."""
    section = context.request.path_params["section"]
    if section not in SECTIONS:
        return no_section(context)
    typed = typed_in(section, context.request.query_params)
    return preview_page(context, _previewed(context, section, typed))


def _previewed(context: Context, section: str, typed: dict[str, str]) -> Reply:
    try:
        preview = preview_of(context, section, chosen(context.lens.config, typed))
    except ConfigError as error:
        return _wrong(section, typed, error)
    return Reply(section=section, typed=typed, preview=preview)


def _save(context: Context, section: str) -> Response:
    typed, code = typed_in(section, context.form), context.lens.config
    try:
        values = changes(code, chosen(code, typed), section)
    except ConfigError as error:
        return section_page(context, _wrong(section, typed, error), 422)
    before, after = _texts(context, section, values)
    # An entry of the audit log without a change would mislead.
    if before == after:
        return saved(context, Reply(section=section, said=NOTHING_NEW))
    if not write(context, section, values, before, after):
        return _conflict(context, section, typed)
    return saved(context, Reply(section=section, said=_said(context)))


def _reset(context: Context, section: str) -> Response:
    """Reset one value to the code's; other submitted values stay in the form, and are not saved."""
    name, code, settings = context.form["reset"], context.lens.config, context.lens.settings
    typed = typed_in(section, context.form)
    active = values_of(settings.config, section)
    values = {n: v for n, v in active.items() if n != name and v != getattr(code, n)}
    # The default may contradict a value that stays, such as dead before cold.
    try:
        code.with_values(values)
    except ConfigError as error:
        return section_page(context, _wrong(section, typed, error), 422)
    if not write(context, section, values, *_texts(context, section, values)):
        return _conflict(context, section, typed)
    typed = {n: text for n, text in typed.items() if n != name and text != text_of(active[n])}
    reply = Reply(section=section, typed=typed, said=_said(context))
    return section_page(context, reply) if typed else saved(context, reply)


def _wrong(section: str, typed: dict[str, str], error: ConfigError) -> Reply:
    return Reply(section=section, typed=typed, field=error.field, sentence=sentence_of(error))


def _conflict(context: Context, section: str, typed: dict[str, str]) -> Response:
    sentence = f"{who_changed(context, section)}. {STAYS}"
    reply = Reply(section=section, typed=typed, sentence=sentence, conflict=True)
    return section_page(context, reply, 409)


def _said(context: Context) -> str:
    return f"Saved. Applies to all workers within {context.lens.config.flush_interval:g} s."


def _texts(context: Context, section: str, values: dict[str, Any]) -> tuple[str, str]:
    """The section before and after, for the audit log."""
    code, settings = context.lens.config, context.lens.settings
    before = values_of(settings.config, section)
    after = {**values_of(code, section), **values}
    return json.dumps(before), json.dumps(after)


def write(context: Context, section: str, values: dict[str, Any], before: str, after: str) -> bool:
    """Store a section, and apply it in this worker; false if somebody else changed it meanwhile.

    Args:
        context: The request, whose form names the version that it changes.
        section: Its name.
        values: All values of the section.
        before: Former values as text, for the audit log.
        after: New values as text, for the audit log.

    Raises:
        StorageError: The database cannot be written.
    """
    entry = context.author.did(SAVE, target=section, before=before, after=after)
    return save_values(context, section, values, entry)


def who_changed(context: Context, section: str) -> str:
    """The author of the latest change, as a sentence without its full stop.

    Raises:
        StorageError: The database cannot be read.
    """
    return latest_change(context, target=section)


def saved(context: Context, reply: Reply) -> Response:
    """The response after a change: its section for htmx, otherwise a redirect to the page."""
    if wants_fragment(context.request):
        return section_page(context, reply)
    return RedirectResponse(context.url(f"/settings?saved={reply.section}#{reply.section}"), 303)
