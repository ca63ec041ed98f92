"""The ignore rules as the settings show them, and what a rule would do, in words. No HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.filter_and_sort import METHOD_ORDER
from fastapi_lens.admin.display.links import rule_href
from fastapi_lens.admin.pages.settings.reply import Group, Item, Preview, Reply
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.admin.urls.rules import RuleForm
from fastapi_lens.reporting.change_preview import RulePreview, preview_rules
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.settings.ignore_rules import STATUS_CLASSES, Rule, Rules
from fastapi_lens.settings.settings import RULES

WINDOW_DAYS = 7
"""Of the calls that a preview gives the share of."""


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as a row of the table.

    Attributes:
        what: The endpoints that it ignores now.
        href: Where it is changed.
    """

    rule: Rule
    what: str
    href: str


@dataclass(frozen=True, slots=True)
class Section:
    """The section of the rules.

    Attributes:
        version: Of the rules that are shown.
        rows: The rules.
        form: Contents of the form.
        methods: Those to choose from.
        error: By field, what is wrong with what was typed.
        sentence: A fault that belongs to no single field.
        ignored: Number of endpoints that all rules together ignore now.
        ignored_href: The list with them.
    """

    version: int
    rows: Sequence[RuleRow]
    form: RuleForm
    methods: Sequence[str]
    error: Mapping[str, str]
    sentence: str
    preview: Preview | None
    ignored: int
    ignored_href: str
    statuses: Sequence[int] = STATUS_CLASSES


def rules_section(context: Context, reply: Reply | None) -> Section:
    """The section, with the result of its form.

    Raises:
        StorageError: The database cannot be read.
    """
    settings = context.lens.settings
    rules = settings.rules
    mine = reply if reply is not None and reply.section == RULES else Reply(section=RULES)
    form = mine.rule or RuleForm()
    # Without rules there is nothing to count, which saves the query.
    endpoints = all_endpoints(context) if rules.all else []
    return Section(
        version=settings.versions.get(RULES, 0),
        rows=[_row(context, rule, endpoints) for rule in rules.all],
        form=form,
        methods=[
            # A method that no route declares any more must stay in the form of its rule.
            *METHOD_ORDER,
            *sorted((context.lens.methods | {*form.methods}) - {*METHOD_ORDER}),
        ],
        error={mine.field: mine.sentence} if mine.field else {},
        sentence="" if mine.field else mine.sentence,
        preview=mine.preview,
        ignored=sum(rules.ignores(one.method, one.path) for one in endpoints),
        ignored_href=EndpointsQuery(ignored=True).url(context.url("/endpoints")),
    )


def all_endpoints(context: Context) -> list[Endpoint]:
    """All endpoints, ignored or not, with their calls of the last days.

    Raises:
        StorageError: The database cannot be read.
    """
    window = Window.of_days(WINDOW_DAYS)
    return context.lens.reader.endpoints(
        window=window, now=context.now, with_ignored=True, with_histograms=False
    )


def with_rule(rules: Rules, rule: Rule) -> Rules:
    """The rules with one added, or replaced if its id exists."""
    if all(one.id != rule.id for one in rules.all):
        return Rules((*rules.all, rule))
    return Rules(tuple(rule if one.id == rule.id else one for one in rules.all))


def without_rule(rules: Rules, identity: str) -> Rules:
    """The rules without one."""
    return Rules(tuple(one for one in rules.all if one.id != identity))


def preview_of(context: Context, rule: Rule) -> Preview:
    """The effect of a rule that is added or changed.

    Raises:
        StorageError: The database cannot be read.
    """
    now = context.lens.settings.rules
    found = preview_rules(all_endpoints(context), now, with_rule(now, rule), rule)
    others = without_rule(now, rule.id)
    items = [
        _item(context, one, "also by another rule" if others.ignores(one.method, one.path) else "")
        for one in found.covered
    ]
    groups = [Group.of(_sentence(rule, found), items)]
    if found.back:
        back = [_item(context, one, "") for one in found.back]
        groups.append(Group.of(f"{comes_back(len(back))}:", back))
    return Preview(groups)


def edited(context: Context, identity: str) -> Reply | None:
    """The form with an existing rule to change; None if there is no such rule.

    Raises:
        StorageError: The database cannot be read.
    """
    for rule in context.lens.settings.rules.all:
        if rule.id == identity:
            preview = preview_of(context, rule)
            return Reply(section=RULES, rule=RuleForm.of(rule), preview=preview)
    return None


def comes_back(count: int) -> str:
    """A sentence about endpoints that would be shown again."""
    return f"{formats.plural(count, 'endpoint')} {'comes' if count == 1 else 'come'} back"


def _sentence(rule: Rule, found: RulePreview) -> str:
    count, total = len(found.covered), formats.plural(found.total, "endpoint")
    if not count:
        return f"Matches none of the {total}."
    some = f"{count:,} of {total}"
    share = f"{formats.percent(found.share)} of the calls of the last {WINDOW_DAYS} days"
    if rule.statuses:
        said = f"leaves {_classes(rule)} responses of {some} uncounted; they stay visible:"
    else:
        said = f"hides {some}, {share}:"
    return f"Paused. Once resumed, it {said}" if rule.paused else said[0].upper() + said[1:]


def _row(context: Context, rule: Rule, endpoints: Sequence[Endpoint]) -> RuleRow:
    count = sum(rule.covers(one.method, one.path) for one in endpoints)
    some = formats.plural(count, "endpoint")
    what = f"{_classes(rule)} responses of {some}" if rule.statuses else some
    return RuleRow(rule, what, rule_href(context, rule))


def _classes(rule: Rule) -> str:
    return ", ".join(f"{one}xx" for one in rule.statuses)


def _item(context: Context, endpoint: Endpoint, note: str) -> Item:
    href = EndpointQuery().url(context.url(f"/endpoints/{endpoint.key}"))
    return Item(endpoint.method, endpoint.path, href, note)
