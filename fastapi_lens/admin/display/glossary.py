"""Glossary: the words of a page and their meanings, with the limits in use. No I/O, no HTML."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.labels import STATUS_LABELS, status_meanings
from fastapi_lens.admin.display.verdicts import LEVEL_LABELS, LEVEL_MEANINGS, css_of
from fastapi_lens.admin.tables.column import Head
from fastapi_lens.settings.status import Thresholds


class Term(NamedTuple):
    """A word of a page.

    Attributes:
        css: Class of its mark; empty for a word without one.
    """

    css: str
    label: str
    meaning: str


class Glossary(NamedTuple):
    """The words of the help.

    Attributes:
        here: Those of the page, in the order of their importance to it.
        elsewhere: All others.
    """

    here: Sequence[Term]
    elsewhere: Sequence[Term]


_TERMS = {
    "errors": (
        "4xx, 5xx",
        (
            "4xx are client errors: the request was refused. 5xx are server errors: the "
            "application failed. They are never added up."
        ),
    ),
    "change": (
        "Change, points",
        (
            "Against the period before, which is as long; grey if one of them has fewer than 100 "
            "calls. Points are the difference of two shares: from 1% to 3% are 2 points."
        ),
    ),
    "bars": (
        "Bars",
        (
            "Trend: calls over time; the last bar is still filling. 5xx (solid) and 4xx (dashed): "
            "share of the calls; a cut bar exceeds the scale in its column header."
        ),
    ),
    "weeks": (
        "57 weeks",
        (
            "A bar for each week with uses, the present one last; grey for weeks that were not "
            "observed."
        ),
    ),
    "observed": (
        "Observed",
        (
            "Minutes that a worker has recorded and written. A day with 60 others in a row is "
            "not observed, and no verdict counts it as silence."
        ),
    ),
    "silent": (
        "Silent, use",
        (
            "A use is a call that was answered, not refused, and not by a health check, "
            "monitor or bot. An endpoint has been silent since its last use."
        ),
    ),
    "excluded": (
        "Excluded: D W M Q Y",
        "Daily, weekly, monthly, quarterly and yearly use: filled where the silence excludes it.",
    ),
    "caller": (
        "Caller",
        (
            "Who calls, by the application's own name, an API key, or a User-Agent; only where "
            "callers are recorded."
        ),
    ),
    "noise": (
        "Health check or bot",
        "A caller whose calls are counted, but not as use: monitors, crawlers, scanners, tests.",
    ),
    "release": (
        "Release",
        "The version that the application names. A dashed line in a chart is its first minute.",
    ),
    "ignored": ("Ignored", "A rule of the settings covers it: its calls are not counted."),
    "deprecated": ("Deprecated", "Marked with deprecated=True in the application's code."),
    "heat": (
        "Duration distribution",
        "Time from left to right, duration from below; darker: more.",
    ),
    "kept": (
        "Kept because",
        "The log keeps each server error, the slowest requests, and a share of all others.",
    ),
    "location": ("Location", "The last line of the application's own code in the traceback."),
    "unwritten": (
        "Not yet written",
        (
            "Calls that are counted in a worker's memory, and are in the database after its "
            "next flush."
        ),
    ),
    "worker": (
        "Worker",
        (
            "A process of the application. A silent one has not reported for a minute, a "
            "killed one never reported its end."
        ),
    ),
    "lost": (
        "Calls lost",
        (
            "Counted, but never written to the database, for example after a very long outage. "
            "They are missing from all numbers."
        ),
    ),
}
"""Labels and meanings of words that no setting changes."""

_STATUSES = tuple(status.value for status in STATUS_LABELS)
_VERDICTS = tuple(level.value for level in LEVEL_LABELS)

_OF_PAGES: Mapping[str, Sequence[str]] = {
    "overview": (
        *("percentiles", "errors", "change", *_STATUSES, "safe_to_remove", "probably_unused"),
        *("observed", "silent", "release", "deprecated", "lost"),
    ),
    "endpoints": (*_STATUSES, "percentiles", "errors", "bars", "ignored", "deprecated", "lost"),
    "endpoint": (
        *(*_STATUSES, *_VERDICTS, "observed", "silent", "percentiles", "errors", "change", "heat"),
        *("caller", "release", "lost"),
    ),
    "cleanup": (*_VERDICTS, "observed", "silent", "weeks", "excluded", "caller", "noise"),
    "callers": ("caller", "noise", "silent", "weeks", *_STATUSES),
    "exceptions": ("errors", "location"),
    "requests": ("kept", "errors", "percentiles", "caller"),
    "settings": ("cold", "dead", "percentiles", "observed", "worker", "unwritten", "lost"),
}
"""The words of each page, by the folder of its template."""


def glossary(
    folder: str, heads: Iterable[Head], *, thresholds: Thresholds, slow_ms: float
) -> Glossary:
    """The words of a page and all others.

    Args:
        folder: Of the page's template.
        heads: Of its table; the columns with a title are words of the page.
        thresholds: In use.
        slow_ms: The p95 above which an endpoint is slow.
    """
    terms = _terms(thresholds, slow_ms)
    names = _OF_PAGES.get(folder, ())
    columns = [Term("", one.column.header, one.column.title) for one in heads if one.column.title]
    known = {term.label for term in terms.values()}
    return Glossary(
        [*(terms[name] for name in names), *(one for one in columns if one.label not in known)],
        [term for name, term in terms.items() if name not in names],
    )


def _terms(thresholds: Thresholds, slow_ms: float) -> dict[str, Term]:
    statuses = {
        status.value: Term(status.value, STATUS_LABELS[status], meaning)
        for status, meaning in status_meanings(thresholds).items()
    }
    verdicts = {
        level.value: Term(css_of(level), label, LEVEL_MEANINGS[level])
        for level, label in LEVEL_LABELS.items()
    }
    percentiles = Term(
        "",
        "p50, p95, p99",
        "50%, 95% and 99% of all calls took at most this long. Estimated from every recorded "
        f"call, within 1.4% of the exact value. A p95 above {formats.duration(slow_ms)} is slow.",
    )
    others = {name: Term("", *words) for name, words in _TERMS.items()}
    return {**statuses, **verdicts, "percentiles": percentiles, **others}
