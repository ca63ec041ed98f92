"""Numbers and times as people read them. Pure text: no HTML, no clock, no locale."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
SECONDS_PER_YEAR = 365 * SECONDS_PER_DAY
NOTHING = "–"
"""Stands where there is no number: no call, no percentile."""

_LONG_MS = 100_000
_LONG_SOURCE = 24
# datetime knows no later year.
_LAST_SECOND = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_WORDS = re.compile("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=_)(?=[^_])")
"""Between the words of a name."""

_PARAMETER = re.compile(r"(\{[^{}/]*\})")


class PathPart(NamedTuple):
    """A piece of a path template: literal text, or a parameter in braces."""

    text: str
    is_parameter: bool


def number(value: int) -> str:
    """A count in groups of three digits: ``154,164``."""
    return f"{value:,}"


def plural(value: int, one: str, many: str = "") -> str:
    """A count with its noun: ``1 endpoint``, ``12 endpoints``."""
    return f"{number(value)} {one if value == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """A share from 0 to 1 in percent: ``5.6%``, ``<0.1%``; ``0%`` and ``100%`` are exact."""
    if share <= 0:
        return "0%"
    if share < 0.001:  # noqa: PLR2004  A tenth of a percent, the last digit that is shown.
        return "<0.1%"
    if share >= 1:
        return "100%"
    # 99.96 would be rounded to 100, which is said of exact values only.
    return f"{min(share * 100, 99.9):.1f}%"


def milliseconds(value: float) -> str:
    """A duration in milliseconds, without its unit: ``<1``, ``4.2``, ``62.1``, ``1,770``.

    Durations of 100 s and more, as WebSockets have them, are in seconds and say so.
    """
    if value >= _LONG_MS:
        return f"{value / 1000:,.0f} s"
    if value >= 100:  # noqa: PLR2004  Three digits are enough.
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else "<1"


def duration(value_ms: float) -> str:
    """A duration with its unit: ``62.1 ms``."""
    text = milliseconds(value_ms)
    return text if text.endswith("s") else f"{text} ms"


def ago(then: float, now: float) -> str:
    """The age of a time: ``35 s ago``, ``3 min ago``, ``5 h ago``, ``9 d ago``.

    Always rounded down. Less than a second, and a time that lies ahead (another host's clock),
    is ``just now``. `lens.js` says the same, so that nothing jumps when a page is fetched anew.
    """
    seconds = int(now - then)
    return "just now" if seconds < 1 else f"{short_span(seconds)} ago"


def open_for(value_ms: float) -> str:
    """The time that a WebSocket was open: ``open for 11 s``, ``open for <1 s``."""
    seconds = int(value_ms / 1000)
    return f"open for {short_span(seconds) if seconds else '<1 s'}"


def short_span(seconds: int) -> str:
    """A length of time in its largest unit, rounded down: ``35 s``, ``3 min``, ``5 h``, ``9 d``."""
    for limit, unit_seconds, unit in (
        (SECONDS_PER_MINUTE, 1, "s"),
        (SECONDS_PER_HOUR, SECONDS_PER_MINUTE, "min"),
        (SECONDS_PER_DAY, SECONDS_PER_HOUR, "h"),
        (2 * SECONDS_PER_YEAR, SECONDS_PER_DAY, "d"),
    ):
        if seconds < limit:
            return f"{seconds // unit_seconds} {unit}"
    return f"{seconds // SECONDS_PER_YEAR} y"


def span(seconds: float) -> str:
    """A length of time in words, rounded down: ``40 seconds``, ``1 hour``, ``33 days``."""
    whole = max(0, int(seconds))
    if whole < SECONDS_PER_MINUTE:
        return plural(whole, "second")
    if whole < SECONDS_PER_HOUR:
        return plural(whole // SECONDS_PER_MINUTE, "minute")
    if whole < SECONDS_PER_DAY:
        return plural(whole // SECONDS_PER_HOUR, "hour")
    return plural(whole // SECONDS_PER_DAY, "day")


def connections(count: int, seconds: float) -> str:
    """Open connections and their age in words: ``3 connections open, the oldest for 11 days``.

    Args:
        count: Number of connections, at least 1.
        seconds: Age of the oldest.
    """
    if count == 1:
        return f"1 connection open for {span(seconds)}"
    return f"{number(count)} connections open, the oldest for {span(seconds)}"


def days(value: float) -> str:
    """A configured number of days: ``7 days``, ``0.5 days``, ``1 day``."""
    return f"{value:g} day" if value == 1 else f"{value:g} days"


def timestamp(epoch: float) -> str:
    """A time for machines, in ``<time datetime>``: ``2026-04-03T14:02:05Z``."""
    return utc(epoch).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(epoch: float) -> str:
    """A time for people: ``2026-04-03 14:02:05 UTC``."""
    return utc(epoch).strftime("%Y-%m-%d %H:%M:%S UTC")


def time_of_day(epoch: float) -> str:
    """The time of day, for recent times: ``14:02:05``."""
    return utc(epoch).strftime("%H:%M:%S")


def day(epoch: float) -> str:
    """A day: ``3 Apr 2026``."""
    at = utc(epoch)
    return f"{at.day} {at:%b %Y}"


def short_day(epoch: float, now: float) -> str:
    """A day, with its year unless it is the present one: ``3 Apr``, ``3 Apr 2025``."""
    at = utc(epoch)
    return f"{at.day} {at:%b}" if at.year == utc(now).year else day(epoch)


def lasting(seconds: float) -> str:
    """A length of time in the largest sufficiently precise unit: ``7 days``, ``90 minutes``."""
    for unit_seconds, unit in (
        (SECONDS_PER_DAY, "day"),
        (SECONDS_PER_HOUR, "hour"),
        (SECONDS_PER_MINUTE, "minute"),
    ):
        # Windows are a little longer than their names, because rows begin before them.
        if seconds >= 2 * unit_seconds or seconds % unit_seconds == 0:
            return plural(round(seconds / unit_seconds), unit)
    return plural(round(seconds), "second")


def step_length(step_seconds: int) -> str:
    """The length of a chart's steps: ``5 minutes``, ``6 hours``, ``day``, ``2 weeks``."""
    for unit_seconds, unit in (
        (7 * SECONDS_PER_DAY, "week"),
        (SECONDS_PER_DAY, "day"),
        (SECONDS_PER_HOUR, "hour"),
        (SECONDS_PER_MINUTE, "minute"),
    ):
        count, rest = divmod(step_seconds, unit_seconds)
        if count and not rest:
            return unit if count == 1 else f"{count} {unit}s"
    return plural(step_seconds, "second")


def size(count: int) -> str:
    """A number of bytes: ``640 bytes``, ``3.1 MB`` (decimal units)."""
    if count < 1000:  # noqa: PLR2004  The first unit.
        return plural(count, "byte")
    for power, unit in enumerate(("kB", "MB", "GB"), start=1):
        value = count / 1000**power
        if value < 999.95:  # noqa: PLR2004  What would be shown as 1000.0.
            return f"{value:.1f} {unit}"
    return f"{count / 1e12:.1f} TB"


def last_parts(source: str) -> str:
    """The end of a handler's location, as people search for it: ``routers/users.py:41``.

    The file alone where it would be too long for its column.
    """
    last = "/".join(source.split("/")[-2:])
    return last if len(last) <= _LONG_SOURCE else source.rpartition("/")[2]


def short_name(name: str) -> str:
    """The end of a qualified name, as people know a handler: ``users.read_user``."""
    return ".".join(name.split(".")[-2:])


def pieces(path: str) -> list[str]:
    """A path split after its slashes, where a line break is allowed."""
    return re.findall(r"[^/]*/|[^/]+", path)


def name_parts(name: str) -> list[str]:
    """A name in code split before its words, where a line break is allowed."""
    return [part for part in _WORDS.split(name) if part]


def code_parts(text: str) -> list[tuple[str, bool]]:
    """Parts of a line of Markdown or reStructuredText; true for those between backticks."""
    parts = re.split("(`+)(.+?)\\1", text)
    # Text, backticks and code take turns.
    found = [(part, at % 3 == 2) for at, part in enumerate(parts) if at % 3 != 1]  # noqa: PLR2004
    return [one for one in found if one[0]]


def path_parts(path: str) -> list[PathPart]:
    """A path template split around its parameters; the joined texts are the path."""
    return [
        PathPart(text, bool(index % 2)) for index, text in enumerate(_PARAMETER.split(path)) if text
    ]


def utc(epoch: float) -> datetime:
    """A time, moved into the years that have four digits after the epoch."""
    return datetime.fromtimestamp(max(0.0, min(epoch, _LAST_SECOND)), UTC)
