"""Places of the admin that the search finds: pages, lists, sections of the settings, files.

Knows addresses and words alone: no I/O, no HTML.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.labels import STATUS_LABELS
from fastapi_lens.admin.display.verdicts import LEVEL_LABELS
from fastapi_lens.admin.tables.endpoints import STATUS_ORDER
from fastapi_lens.admin.urls.callers import CallersQuery
from fastapi_lens.admin.urls.cleanup import CleanupQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, Sort
from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.admin.urls.period import Period
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.reporting.parts import PartKind
from fastapi_lens.settings.settings import RULES, SECTIONS
from fastapi_lens.verdict.level import Level

PAGE, LIST, SECTION, FILE = "Page", "List", "Settings", "File"
"""Kinds of places."""


class Place(NamedTuple):
    """A place of the admin.

    Attributes:
        kind: Its kind in one word.
        words: Further words that find it.
    """

    label: str
    href: str
    kind: str
    words: str = ""

    def matches(self, words: Iterable[str]) -> bool:
        """True if each of these words, in lower case, begins one of its own."""
        own = f"{self.label} {self.words}".casefold().split()
        return all(any(one.startswith(word) for one in own) for word in words)


def places_of(context: Context, period: Period) -> list[Place]:
    """All places that the visitor may open, the pages first.

    Args:
        context: The request.
        period: The period of those that have one.
    """
    return [
        *_pages(context),
        *_lists(context, period),
        *_sections(context),
        *_files(context, period),
    ]


def _pages(context: Context) -> Iterator[Place]:
    for label, path in context.navigation:
        # As in the bar: without a period, an address leads to the remembered one.
        yield Place(label, context.url(path), PAGE)
    yield Place("Callers", context.url("/callers"), PAGE, "clients consumers")
    if context.may_change:
        yield Place("Audit log", context.url("/settings/audit"), PAGE, "history changes exports")
        yield Place("Danger zone", context.url("/settings/danger"), PAGE, "delete history")


def _lists(context: Context, period: Period) -> Iterator[Place]:
    everything, base = EndpointsQuery(window=period), context.url("/endpoints")

    def listed(label: str, query: EndpointsQuery, words: str = "") -> Place:
        return Place(label, query.url(base), LIST, words)

    for status in STATUS_ORDER:
        yield listed(f"{STATUS_LABELS[status]} endpoints", everything.with_status(status))
    failing, slowest = map(Sort.first_of, ("errors_5xx", "p95"))
    yield listed("Most failing endpoints", everything.with_sort(failing), "5xx errors")
    yield listed("Slowest endpoints", everything.with_sort(slowest), "p95 latency duration")
    yield listed("Deprecated endpoints", EndpointsQuery(window=period, deprecated=True))
    for kind, part in ((PartKind.TAG, "tag"), (PartKind.PREFIX, "path"), (PartKind.FILE, "file")):
        grouped = EndpointsQuery(window=period, group=kind)
        yield listed(f"Endpoints by {part}", grouped, "groups")
    for level in (Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED, Level.KEPT):
        href = CleanupQuery(tab=level).url(context.url("/cleanup"))
        yield Place(f"Cleanup: {LEVEL_LABELS[level]}", href, LIST, "endpoints delete unused")
    for status_class in ("5xx", "4xx"):
        href = RequestsQuery(status=status_class, window=period).url(context.url("/requests"))
        yield Place(f"Requests with {status_class}", href, LIST, "errors failing log")
    noise = CallersQuery(noise=True).url(context.url("/callers"))
    yield Place("Callers: health checks and bots", noise, LIST, "noise monitors")


def _sections(context: Context) -> Iterator[Place]:
    titles = {name: name.capitalize() for name in SECTIONS}
    titles |= {RULES: "Ignore rules", "workers": "Workers", "storage": "Storage"}
    for name, title in titles.items():
        words = " ".join(setting.label for setting in SECTIONS.get(name, ()))
        yield Place(f"Settings: {title}", context.url(f"/settings#{name}"), SECTION, words)


def _files(context: Context, period: Period) -> Iterator[Place]:
    endpoints, requests = EndpointsQuery(window=period).url(), RequestsQuery(window=period).url()
    files = (
        ("Endpoints as CSV", f"/endpoints.csv{endpoints}"),
        ("Endpoints as JSON", f"/endpoints.json{endpoints}"),
        ("Cleanup as CSV", "/cleanup.csv"),
        ("Cleanup as Markdown", "/cleanup.md"),
        ("Callers as CSV", "/callers.csv"),
        ("Exceptions as CSV", f"/exceptions.csv{ExceptionsQuery(window=period).url()}"),
        ("Requests as CSV", f"/requests.csv{requests}"),
        ("Requests as JSON", f"/requests.json{requests}"),
    )
    for label, path in files:
        yield Place(label, context.url(path), FILE, "export download")
