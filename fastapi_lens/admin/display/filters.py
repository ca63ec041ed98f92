"""Filters of the templates, and the sanitizing of every value before output."""

from collections.abc import Callable, Mapping

from markupsafe import escape

from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.labels import actor_label
from fastapi_lens.text.escaping import visible_lines

FILTERS: Mapping[str, Callable[..., object]] = {
    "actor": actor_label,
    "ago": formats.ago,
    "code_parts": formats.code_parts,
    "day": formats.day,
    "days": formats.days,
    "duration": formats.duration,
    "exact": escape,
    "moment": formats.moment,
    "ms": formats.milliseconds,
    "name_parts": formats.name_parts,
    "number": formats.number,
    "path_parts": formats.path_parts,
    "pieces": formats.pieces,
    "percent": formats.percent,
    "plural": formats.plural,
    "short_day": formats.short_day,
    "size": formats.size,
    "span": formats.span,
    "time_of_day": formats.time_of_day,
    "timestamp": formats.timestamp,
}


def seen(value: object) -> object:
    """A value as a page shows it: text with invisible characters escaped, HTML unchanged."""
    # Markup is a subclass of str, and is ours already.
    return visible_lines(value) if type(value) is str else value
