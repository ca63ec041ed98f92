"""The evidence box of an endpoint's page: may it be deleted, and why or why not. No HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.verdicts import (
    Chip,
    Line,
    chips_of,
    css_of,
    exclusion_words,
    lines_of,
    releases_words,
)
from fastapi_lens.admin.urls.cleanup import CleanupQuery
from fastapi_lens.reporting.evidence import Judged
from fastapi_lens.settings.settings import KEEPS
from fastapi_lens.verdict.sentences import headline


@dataclass(frozen=True, slots=True)
class EvidenceBox:
    """A verdict with its evidence, as the page shows it.

    Attributes:
        css: The class of the verdict's mark.
        headline: The verdict with its date.
        lines: The evidence, sentence by sentence.
        chips: The cadences of use, excluded or not.
        excluded: The same in words.
        releases: The releases that had it and were called; may be empty.
        is_kept: True if an admin keeps it on purpose, or kept it until a past day.
        version: The version of the settings' section that a form changes.
        keep_href: The form to keep it.
        cleanup_href: The list of endpoints with the same verdict.
    """

    css: str
    headline: str
    lines: Sequence[Line]
    chips: Sequence[Chip]
    excluded: str
    releases: str
    is_kept: bool
    version: int
    keep_href: str
    cleanup_href: str


def evidence_box(context: Context, judged: Judged) -> EvidenceBox:
    """The box of a judged endpoint."""
    endpoint, verdict, settings = judged.endpoint, judged.verdict, context.lens.settings
    keep = CleanupQuery(chosen=(endpoint.key,)).url(context.url("/cleanup/keep"))
    return EvidenceBox(
        css=css_of(verdict.level),
        headline=headline(verdict),
        lines=lines_of(verdict),
        chips=chips_of(judged),
        excluded=exclusion_words(judged),
        releases=releases_words(judged),
        is_kept=endpoint.id in settings.keeps,
        version=settings.versions.get(KEEPS, 0),
        keep_href=f"{keep}&back=endpoint",
        cleanup_href=CleanupQuery(tab=verdict.level.value).url(context.url("/cleanup")),
    )
