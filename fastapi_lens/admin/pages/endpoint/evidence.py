"""The evidence box of an endpoint's page: may it be deleted, and why or why not. No HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.verdicts import (
    Chip,
    Line,
    chips_of,
    exclusion_words,
    judged_headline,
    level_css,
    lines_of,
    releases_words,
    removed_line,
    weeks_strip,
)
from fastapi_lens.admin.urls.cleanup import REMOVED, CleanupQuery
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.settings.settings import KEEPS


@dataclass(frozen=True, slots=True)
class EvidenceBox:
    """A verdict with its evidence, as the page shows it.

    Attributes:
        css: The class of the verdict's mark.
        headline: The verdict with its date.
        lines: The evidence, sentence by sentence.
        chips: The cadences of use, excluded or not.
        excluded: The same in words.
        weeks: Its uses as bars.
        releases: The releases that had it and were called; may be empty.
        is_kept: True if an admin keeps it on purpose, or kept it until a past day.
        can_keep: False for an endpoint that is no longer in the routes.
        version: The version of the settings' section that a form changes.
        keep_href: The form to keep it.
        cleanup_href: The list of endpoints with the same verdict.
    """

    css: str
    headline: str
    lines: Sequence[Line]
    chips: Sequence[Chip]
    excluded: str
    weeks: Markup
    releases: str
    is_kept: bool
    can_keep: bool
    version: int
    keep_href: str
    cleanup_href: str


def evidence_box(context: Context, judged: Judged) -> EvidenceBox:
    """The box of a judged endpoint; of a removed one its calls since then."""
    endpoint, verdict, settings = judged.endpoint, judged.verdict, context.lens.settings
    is_removed = judged.removed_at is not None
    keep = CleanupQuery(chosen=(endpoint.key,)).url(context.url("/cleanup/keep"))
    tab = REMOVED if is_removed else verdict.level.value
    return EvidenceBox(
        css=level_css(judged),
        headline=judged_headline(judged),
        lines=[removed_line(judged.gone)] if is_removed else lines_of(verdict),
        chips=[] if is_removed else chips_of(judged),
        excluded="" if is_removed else exclusion_words(judged),
        weeks=weeks_strip(judged.weeks),
        releases=releases_words(judged),
        is_kept=endpoint.id in settings.keeps,
        can_keep=not is_removed,
        version=settings.versions.get(KEEPS, 0),
        keep_href=f"{keep}&back=endpoint",
        cleanup_href=CleanupQuery(tab=tab).url(context.url("/cleanup")),
    )
