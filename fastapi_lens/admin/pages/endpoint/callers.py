"""The callers on the page of an endpoint: their table, and the burn-down by week. No HTML."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.callers import (
    UseFigures,
    is_off,
    is_weekly,
    ledger_sentence,
    share_words,
    weeks_of,
    who_of,
)
from fastapi_lens.admin.display.charts import Chart, Line, Table
from fastapi_lens.admin.tables.callers import ENDPOINT_COLUMNS
from fastapi_lens.admin.tables.column import Head, heads
from fastapi_lens.reporting.ledger.callers import CallerUse
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.writing.callers import MOST_CALLERS

MOST_COLOURS = 5
"""Callers with a colour of their own in the burn-down; all further ones share one."""

MOST_ROWS = 25
"""Callers that the page lists; the rest are counted, and exported."""

MORE = "others"
TICKS = 4


@dataclass(frozen=True, slots=True)
class BurnDown:
    """Calls per week and caller.

    Attributes:
        ticks: Weeks below the chart, evenly spaced.
        table: The same numbers, the latest week first.
    """

    chart: Chart
    ticks: Sequence[str]
    table: Table


@dataclass(frozen=True, slots=True)
class CallersSection:
    """The callers of an endpoint, as the page shows them.

    Attributes:
        sentence: The completeness of the ledger.
        is_off: True if callers are not recorded at present.
        rows: The latest callers, at most `MOST_ROWS`.
        more: Number of further ones.
        noisy: Number of callers that are health checks or bots.
        is_weekly: True if the calls per week are kept.
        burn_down: None for an endpoint that is not deprecated, or without weeks.
    """

    sentence: str
    is_off: bool
    heads: Sequence[Head]
    rows: Sequence[UseFigures]
    more: int
    noisy: int
    is_weekly: bool
    burn_down: BurnDown | None


def callers_section(context: Context, endpoint: Endpoint) -> CallersSection:
    """The section of an endpoint.

    Raises:
        StorageError: The database cannot be read.
    """
    found = context.lens.reader.callers.callers_of(endpoint.key, now=context.now)
    off = is_off(context.lens.settings.config.caller_source)
    return CallersSection(
        sentence=ledger_sentence(found, records=not off, limit=MOST_CALLERS),
        is_off=off,
        heads=heads(ENDPOINT_COLUMNS),
        rows=[_row(context, use) for use in found.uses[:MOST_ROWS]],
        more=max(0, len(found.uses) - MOST_ROWS),
        noisy=sum(use.caller.is_noise for use in found.uses),
        is_weekly=is_weekly(found.uses),
        burn_down=_burn_down(found.uses, now=context.now) if endpoint.deprecated else None,
    )


def _row(context: Context, use: CallerUse) -> UseFigures:
    who = who_of(context, use.caller)
    return UseFigures(
        use=use,
        who=who,
        key=use.caller.key,
        href=who.href,
        refused=share_words(use.refused, use.calls),
        failed=share_words(use.errors_5xx, use.calls),
        weeks=weeks_of(use),
    )


def _burn_down(uses: Sequence[CallerUse], *, now: float) -> BurnDown | None:
    """The calls of each week, by caller; None where none are kept."""
    weekly = sorted(
        (use for use in uses if use.weeks), key=lambda use: sum(use.weeks), reverse=True
    )
    if not weekly:
        return None
    steps = len(weekly[0].weeks)
    first = next((at for at in range(steps) if any(use.weeks[at] for use in weekly)), steps)
    # Two weeks at least: a single bar shows no course.
    first = max(0, min(first, steps - 2))
    named, rest = weekly[:MOST_COLOURS], weekly[MOST_COLOURS:]
    names = [use.caller.name for use in named] + ([MORE] if rest else [])
    columns = [
        (*(use.weeks[at] for use in named), *([sum(use.weeks[at] for use in rest)] if rest else []))
        for at in range(first, steps)
    ]
    this_week = int(now) // Tier.WEEK
    labels = [formats.day((this_week - (steps - 1 - at)) * Tier.WEEK) for at in range(first, steps)]
    peak = svg.nice_ceiling(max((sum(column) for column in columns), default=0))
    classes = [f"b{number + 1}" for number in range(len(names))]
    chart = Chart(
        name="burn-down",
        heading="Calls per week and caller",
        svg=svg.stacked_bars(
            columns,
            classes=classes,
            peak=peak,
            title=f"Calls per week by caller, {sum(map(sum, columns)):,} in all",
        ),
        legend=list(zip(names, classes, strict=True)),
        scale=(f"{peak:,.0f}", "0"),
    )
    few = len(labels) < TICKS
    ticks = labels if few else [labels[len(labels) * tick // TICKS] for tick in range(TICKS)]
    return BurnDown(chart, ticks, _table(names, columns, labels))


def _table(names: Sequence[str], columns: Sequence[Sequence[int]], labels: Sequence[str]) -> Table:
    lines = [
        Line(label, "", [formats.number(calls) for calls in (sum(column), *column)])
        for label, column in zip(labels, columns, strict=True)
    ]
    head = ("Week from (UTC)", "Calls", *names)
    return Table("burn-down", "As a table, per week", head, lines[::-1])
