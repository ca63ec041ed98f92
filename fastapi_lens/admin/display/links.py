"""Links as templates show them."""

from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.urls.rules import RuleForm
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.ignore_rules import Rule


@dataclass(frozen=True, slots=True)
class Link:
    """A choice that leads to another view of the same page.

    Attributes:
        title: Explains the label; may be empty.
    """

    label: str
    href: str
    current: bool
    name: str = ""
    count: int = 0
    title: str = ""


def rule_href(context: Context, rule: Rule) -> str:
    """The address of a rule, where it can be changed."""
    return context.url(f"/settings?rule={rule.id}#rules")


def new_rule_href(context: Context, endpoint: Endpoint) -> str:
    """The address of the form for a new rule for one endpoint."""
    form = RuleForm(pattern=endpoint.path, methods=(endpoint.method,))
    return f"{context.url('/settings/rules/preview')}?{urlencode(form.fields())}#rules"
