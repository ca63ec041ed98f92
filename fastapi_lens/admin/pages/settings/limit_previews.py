"""Previews of other retention periods and thresholds, in words. No HTML, no SQL."""

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.labels import STATUS_LABELS
from fastapi_lens.admin.pages.settings.reply import Group, Item, Preview
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.period import DEFAULT_WINDOW
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.config.setting import Section
from fastapi_lens.reporting.change_preview import Limits, StatusChange, preview_limits
from fastapi_lens.settings.status import Thresholds
from fastapi_lens.storage.retention.preview import MOST_COUNTED, expired
from fastapi_lens.storage.retention.pruner import Retention

PREVIEWED = (Section.RETENTION, Section.THRESHOLDS)
"""The sections of which a change can be previewed, besides the rules."""


def preview_of(context: Context, section: str, other: LensConfig) -> Preview:
    """The effect of saving a section.

    Args:
        context: The request.
        section: One of `PREVIEWED`; of others there is nothing to say.
        other: A configuration with the values in question.

    Raises:
        StorageError: The database cannot be read.
    """
    if section == Section.RETENTION:
        return Preview([Group(_retention_sentence(context, other.ttl_days))])
    return _limits(context, other) if section == Section.THRESHOLDS else Preview()


def _retention_sentence(context: Context, ttl_days: int | None) -> str:
    lens = context.lens
    then = Retention(ttl_days)
    found = expired(lens.database, lens.retention, then, app=lens.app_name, now=context.now)
    if not found.rows or found.before is None:
        return "Deletes nothing. History that is already deleted does not come back."
    rows = formats.plural(found.rows, "row")
    if found.more:
        rows = f"more than {MOST_COUNTED:,} rows"
    days = formats.plural(found.days, "day")
    return f"Deletes {days} of history, everything before {formats.day(found.before)}: {rows}."


def _limits(context: Context, other: LensConfig) -> Preview:
    settings = context.lens.settings
    changed = preview_limits(
        context.lens.reader.endpoints(window=DEFAULT_WINDOW.window, now=context.now),
        Limits(settings.thresholds, settings.slow_threshold_ms),
        Limits(
            Thresholds(other.cold_threshold_days, other.dead_threshold_days),
            other.slow_threshold_ms,
        ),
        now=context.now,
    )
    if not changed:
        return Preview([Group("No endpoint would change.")])
    some = formats.plural(len(changed), "endpoint")
    items = [_item(context, one) for one in changed]
    return Preview([Group.of(f"{some} would change:", items)])


def _item(context: Context, change: StatusChange) -> Item:
    endpoint = change.endpoint
    notes: list[str] = []
    if change.before is not change.after:
        notes.append(f"{STATUS_LABELS[change.before]} → {STATUS_LABELS[change.after]}")
    if change.was_slow != change.is_slow:
        notes.append("becomes slow" if change.is_slow else "no longer slow")
    href = EndpointQuery().url(context.url(f"/endpoints/{endpoint.key}"))
    return Item(endpoint.method, endpoint.path, href, ", ".join(notes))
