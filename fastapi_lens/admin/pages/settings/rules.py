"""Ignore rules: adding, changing, pausing, resuming and deleting them, and what each would do."""

import secrets
from dataclasses import replace

from starlette.responses import Response

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.formats import plural
from fastapi_lens.admin.pages.settings.forms import STAYS, saved, who_changed, write
from fastapi_lens.admin.pages.settings.page import preview_page, section_page
from fastapi_lens.admin.pages.settings.reply import Reply
from fastapi_lens.admin.pages.settings.rules_section import preview_of, with_rule, without_rule
from fastapi_lens.admin.urls.rules import RuleForm
from fastapi_lens.errors import ConfigError
from fastapi_lens.settings.ignore_rules import MAX_RULES, PATTERN, Rule, Rules
from fastapi_lens.settings.settings import RULES

GONE = "This rule no longer exists."
_NEW = "new"
"""The id of a rule that has none yet."""


def save_rules(context: Context) -> Response:
    """``POST /settings/rules``: 303 when done; otherwise the page with the submitted values."""
    form, do = RuleForm.read(context.form), context.form.get("do", "save")
    if do in ("pause", "resume", "delete"):
        return _without_form(context, form.id, do)
    try:
        rule = _checked(context, form)
    except ConfigError as error:
        return section_page(context, _wrong(form, error), 422)
    if do == "preview":
        preview = preview_of(context, rule)
        return section_page(context, Reply(section=RULES, rule=form, preview=preview))
    now = context.lens.settings.rules
    before = next((str(one) for one in now.all if one.id == rule.id), "")
    if form.id and not before:
        # The edited rule is gone: it cannot be changed, but it can be added again.
        lost = replace(form, id="")
        sentence = f"{GONE} {who_changed(context, RULES)}. {STAYS}"
        return section_page(context, Reply(section=RULES, rule=lost, sentence=sentence), 409)
    if not form.id:
        rule = replace(rule, id=secrets.token_hex(4))
    if not _written(context, with_rule(now, rule), before, str(rule)):
        return _conflict(context, form)
    return saved(context, Reply(section=RULES, said=_said(context, rule)))


def preview_rule(context: Context) -> Response:
    """``GET /settings/rules/preview``: the effect of a rule while it is typed."""
    form = RuleForm.read(context.request.query_params)
    if not form.pattern:
        return preview_page(context, Reply(section=RULES, rule=form))
    try:
        preview = preview_of(context, _checked(context, form))
    except ConfigError as error:
        return preview_page(context, _wrong(form, error))
    return preview_page(context, Reply(section=RULES, rule=form, preview=preview))


def _checked(context: Context, form: RuleForm) -> Rule:
    """The submitted rule.

    Raises:
        ConfigError: It cannot work, another rule is the same, or there are too many.
    """
    rule, others = form.rule(form.id or _NEW), without_rule(context.lens.settings.rules, form.id)
    meant = (rule.pattern, rule.methods, rule.statuses)
    if any((one.pattern, one.methods, one.statuses) == meant for one in others.all):
        raise ConfigError(PATTERN, "is used by another rule with the same methods and responses")
    if len(others.all) >= MAX_RULES:
        raise ConfigError(PATTERN, f"cannot be added: the maximum is {plural(MAX_RULES, 'rule')}")
    return rule


def _without_form(context: Context, identity: str, do: str) -> Response:
    """Pause, resume or delete a rule."""
    now = context.lens.settings.rules
    rule = next((one for one in now.all if one.id == identity), None)
    if rule is None:
        sentence = f"{GONE} {who_changed(context, RULES)}."
        return section_page(context, Reply(section=RULES, sentence=sentence), 409)
    if do == "delete":
        then, after, said = without_rule(now, identity), "", "Deleted"
    else:
        changed = replace(rule, paused=do == "pause")
        then, after, said = with_rule(now, changed), str(changed), f"{do.capitalize()}d"
    if not _written(context, then, str(rule), after):
        return _conflict(context, None)
    return saved(context, Reply(section=RULES, said=f"{said}: {rule}."))


def _written(context: Context, rules: Rules, before: str, after: str) -> bool:
    values = {"rules": [rule.as_stored() for rule in rules.all]}
    return write(context, RULES, values, before, after)


def _conflict(context: Context, form: RuleForm | None) -> Response:
    stays = STAYS if form is not None else "Check the rules and try again."
    sentence = f"{who_changed(context, RULES)}. {stays}"
    return section_page(context, Reply(section=RULES, rule=form, sentence=sentence), 409)


def _wrong(form: RuleForm, error: ConfigError) -> Reply:
    return Reply(section=RULES, rule=form, field=error.field, sentence=_sentence(error))


def _sentence(error: ConfigError) -> str:
    return f"The {error.field} {error.problem}."


def _said(context: Context, rule: Rule) -> str:
    found = preview_of(context, rule)
    return f"Saved. {found.sentence.rstrip(':')}."
