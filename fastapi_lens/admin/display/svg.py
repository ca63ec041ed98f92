"""Numbers into SVG. Knows no endpoints, no windows, no colours: those are classes of the CSS.

Shapes only: what is to be read (scales, legends, tables) is HTML around them, so that a chart
may be stretched to any width. Curves are never smoothed. All styling is by classes and
presentation attributes, because the content security policy allows no style attribute.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import groupby
from math import ceil, exp, floor, log, log10

from markupsafe import Markup

SPARK_HEIGHT = 10
SPARK_STEP = 4
SPARK_BARS = 31
"""Of a sparkline: levels, pixels of a bar, and how many bars it has at most.

Few levels, which the stylesheet makes two pixels high: a page has fifty of them, and so a height
is one digit.
"""

BAR_WIDTH = 72
"""Pixels of a full error bar."""

_CUT = f"M{BAR_WIDTH - 8} 6L{BAR_WIDTH - 4} 0"

SCALES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Shares of the calls that a full error bar can stand for."""

_ROUND = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)

STEP = 10
HEIGHT = 100
"""Units of a chart: each step is as wide, and the whole as high, before it is stretched."""

_THIN = "c4"
"""Class of 4xx, which a colour alone would not distinguish from 5xx for every reader."""

DASH = 4
"""Width of the line of a value between two gaps."""


WEEK_STEP = 4
WEEK_HEIGHT = 16
LEAST_WEEK = 4
"""Of a strip of weeks: pixels of a week, of the highest bar, and of the lowest one."""

LEAST_HOLE = 0.004
"""The narrowest hole of a band, as a share of its width: less could not be seen."""

MIDDLE = 0.5
"""Place of a mark from which on its name stands at its left."""

MARK_LINE, MARK_LINES = 12, 3
"""Pixels of a line of names of marks, and how many there are."""

NEAR = 0.2
"""Distance of marks whose names would overlap on one line, as a share of the width."""

HEAT_LEVELS = 5
"""Colours of a heat map."""


def sparkline(counts: Sequence[int]) -> Markup:
    """Calls per step as a silhouette of bars; the last step is not over.

    Steps are put together, counted from the last one, until there are few enough; an odd one
    at the beginning is left out, because a bar of fewer steps would look like a dip.

    Args:
        counts: Oldest first. Any call at all is at least one level high; without any there is
            nothing to show.
    """
    group = -(-len(counts) // SPARK_BARS) or 1
    bars = [sum(counts[at : at + group]) for at in range(len(counts) % group, len(counts), group)]
    peak = max(bars, default=0)
    if not peak:
        return Markup("")
    heights = [max(1, round(bar / peak * SPARK_HEIGHT)) if bar else 0 for bar in bars]
    return Markup(
        '<svg class="spark" role="img" width="{}"><title>{}</title><path d="{}"/></svg>'
    ).format(len(bars) * SPARK_STEP, f"Peak {peak:,}", _silhouette(heights))


def error_scale(shares: Sequence[float]) -> float:
    """The share of a full error bar, such that nine in ten of the bars with errors fit.

    One that fails always would make all others dots.
    """
    erring = sorted(share for share in shares if share > 0)
    large = erring[ceil(len(erring) * 0.9) - 1] if erring else 0.0
    return next((scale for scale in SCALES if large <= scale), SCALES[-1])


def error_bar(share: float, scale: float, name: str) -> Markup:
    """A share of failed calls as a bar that stands for `scale`; the number is shown over it.

    One that would be longer is cut through near its end.

    Args:
        share: Of the calls, from 0 to 1.
        scale: The share that a full bar stands for.
        name: CSS class of its colour and shape: ``c5`` or ``c4``.
    """
    cut = Markup('<path class="cut" d="{}"/>').format(_CUT) if share > scale else ""
    return Markup(
        '<svg class="err" aria-hidden="true"><path class="{}" d="M0 3h{}"/>{}</svg>'
    ).format(name, _length(share, scale), cut)


def share_bar(share: float, name: str) -> Markup:
    """A share of a whole as a bar; the number is shown beside it.

    Args:
        share: From 0 to 1.
        name: CSS class of its colour.
    """
    return Markup(
        '<svg class="errs" aria-hidden="true"><path class="{}" d="M0 10h{}"/></svg>'
    ).format(name, _length(share, 1.0))


def nice_ceiling(value: float) -> float:
    """The next round number at or above a value; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in _ROUND if step * power >= value)


def stacked_bars(
    columns: Sequence[Sequence[float]],
    *,
    classes: Sequence[str],
    peak: float,
    title: str,
    line: Sequence[float] = (),
) -> Markup:
    """One stacked bar for each step; parts of `_THIN` are half as wide as the others.

    Args:
        columns: For each step as many values as there are classes, the lowest part first.
        classes: CSS class of each part.
        peak: The value at the upper edge.
        title: Text of the chart.
        line: Values of a line over the bars, of class ``prev``; empty for none.
    """
    paths: list[Markup] = []
    for index, name in enumerate(classes):
        pieces: list[str] = []
        side = 3 if name == _THIN else 1
        wide = STEP - 2 * side
        for at, column in enumerate(columns):
            bottom, top = _level(sum(column[:index]), peak), _level(sum(column[: index + 1]), peak)
            if top < bottom:
                pieces.append(f"M{at * STEP + side} {_n(bottom)}V{_n(top)}h{wide}V{_n(bottom)}z")
        paths.append(Markup('<path class="{}" d="{}"/>').format(name, "".join(pieces)))
    if line:
        paths.append(_stroke("prev", _line(line, peak)))
    return _plot(len(columns) * STEP, HEIGHT, Markup("").join(paths), title)


def lines(
    series: Sequence[Sequence[float | None]],
    *,
    classes: Sequence[str],
    peak: float,
    title: str,
) -> Markup:
    """One line for each series, straight between the middles of the steps.

    Args:
        series: For each line as many values as there are steps; ``None`` leaves a gap.
        classes: CSS class of each line.
        peak: The value at the upper edge.
        title: Text of the chart.
    """
    paths = [
        _stroke(name, _line(values, peak)) for name, values in zip(classes, series, strict=True)
    ]
    steps = max((len(values) for values in series), default=0)
    return _plot(steps * STEP, HEIGHT, Markup("").join(paths), title)


def marks(flags: Sequence[tuple[float, str]]) -> Markup:
    """Vertical lines over charts with their names, which are not stretched with them.

    Args:
        flags: Place from the left edge, as a share from 0 to 1, and name of each, ascending; one
            at least.
    """
    lines = _lines_of_marks(flags)
    shapes = Markup("").join(
        Markup(
            '<line x1="{0}%" x2="{0}%" y1="0" y2="100%"/><text x="{0}%" y="{1}" dx="{2}"'
            ' text-anchor="{3}">{4}</text>'
        ).format(
            _n(place * 100),
            MARK_LINE * (line + 1) - 1,
            *((-4, "end") if place > MIDDLE else (4, "start")),
            name,
        )
        for line, (place, name) in zip(lines, flags, strict=True)
    )
    return Markup('<svg class="marks marks-{}" role="img"><title>{}</title>{}</svg>').format(
        max(lines) + 1, ", ".join(name for _, name in flags), shapes
    )


def _lines_of_marks(flags: Sequence[tuple[float, str]]) -> list[int]:
    """The line of each name: below that of the mark before it if that is near."""
    found: list[int] = []
    before = -1.0
    for place, _ in flags:
        found.append((found[-1] + 1) % MARK_LINES if place - before < NEAR and found else 0)
        before = place
    return found


def heat_limits(values: Iterable[float]) -> list[float]:
    """The largest value of each colour of a heat map, the palest first; empty without values.

    They grow by the same factor, because calls differ by powers of ten.
    """
    positive = [value for value in values if value > 0]
    if not positive:
        return []
    least, peak = min(positive), max(positive)
    factor = exp(log(peak / least) / HEAT_LEVELS)
    limits = {least * factor**level for level in range(1, HEAT_LEVELS)}
    whole = all(float(value).is_integer() for value in positive)
    # Calls are whole numbers, so limits that are equal when rounded down share a colour.
    return sorted({float(floor(limit)) if whole else limit for limit in limits} | {float(peak)})


def heat_level(value: float, limits: Sequence[float]) -> int:
    """The number of a value's colour: 1 for the palest, the last for the darkest."""
    return bisect_left(limits, value) + 1 + HEAT_LEVELS - len(limits)


def heat_map(columns: Sequence[Sequence[float]], *, limits: Sequence[float], title: str) -> Markup:
    """A cell for each step and band with calls, drawn as one shape for each colour.

    Args:
        columns: For each step a value for each band, the lowest band first; none is ``0``.
        limits: See `heat_limits`.
        title: Text of the chart.
    """
    bands = max((len(column) for column in columns), default=0)
    pieces: dict[int, list[str]] = {}
    for band in range(bands):
        levels = [heat_level(c[band], limits) if c[band] else 0 for c in columns]
        at = 0
        # Runs, because a shape for each cell would make the page long.
        for level, run in groupby(levels):
            length = len(list(run))
            if level:
                top = bands - 1 - band
                pieces.setdefault(level, []).append(f"M{at} {top}h{length}v1H{at}z")
            at += length
    paths = [
        Markup('<path class="h{}" d="{}"/>').format(level, "".join(pieces[level]))
        for level in sorted(pieces)
    ]
    return _plot(len(columns), bands, Markup("").join(paths), title)


def week_strip(weeks: Sequence[int | None], *, first: int, title: str) -> Markup:
    """Weeks as bars, one path for each kind: those with uses, those without, unobserved ones.

    Any use is a bar of some height, because a single one counts as much as many.

    Args:
        weeks: Uses of each week, the oldest first; None for one that was not observed.
        first: Number of the first week that has a place at all; nothing is drawn before it.
        title: Text of the strip.
    """
    peak = max((uses or 0 for uses in weeks), default=0)
    bars: list[str] = []
    holes: list[str] = []
    for at, uses in enumerate(weeks):
        # The middle, because a stroke lies on both sides of its path.
        x = at * WEEK_STEP + WEEK_STEP // 2
        if at < first:
            continue
        if uses is None:
            holes.append(f"M{x} {WEEK_HEIGHT}V0")
        elif uses:
            height = LEAST_WEEK + round(uses / peak * (WEEK_HEIGHT - LEAST_WEEK))
            bars.append(f"M{x} {WEEK_HEIGHT}v-{height}")
    width = len(weeks) * WEEK_STEP
    ground = f"M{first * WEEK_STEP} {WEEK_HEIGHT}H{width}" if first < len(weeks) else ""
    paths = [
        Markup('<path class="{}" d="{}"/>').format(name, path)
        for name, path in (("ground", ground), ("hole", "".join(holes)), ("use", "".join(bars)))
        if path
    ]
    return Markup(
        '<svg class="weeks" role="img" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'preserveAspectRatio="none"><title>{2}</title>{3}</svg>'
    ).format(width, WEEK_HEIGHT + 1, title, Markup("").join(paths))


def band(days: int, holes: Sequence[tuple[int, int]], *, title: str) -> Markup:
    """A time with its holes, from left to right.

    Args:
        days: Length of the time.
        holes: First and last days of each, counted from 0, ascending.
        title: Text of the band.
    """
    least = days * LEAST_HOLE
    pieces: list[str] = []
    for first, last in holes:
        length = max(last - first + 1, least)
        # A short hole at the end is widened to the left, or it would be cut off.
        pieces.append(f"M{_n(min(first, days - length))} 0h{_n(length)}v1h-{_n(length)}z")
    shapes = Markup('<path class="seen" d="M0 0h{0}v1H0z"/>').format(days)
    if pieces:
        shapes += Markup('<path class="hole" d="{}"/>').format("".join(pieces))
    return Markup(
        '<svg class="band" role="img" viewBox="0 0 {} 1" preserveAspectRatio="none">'
        "<title>{}</title>{}</svg>"
    ).format(max(1, days), title, shapes)


def columns_of(links: Sequence[str]) -> Markup:
    """Columns over charts for the pointer, one for each step, most of them links.

    Not for the keyboard and not read aloud, because the table of the charts has the same links
    and all numbers; `lens.js` shows those of one step below the charts.

    Args:
        links: Address of each step; empty where it leads nowhere.
    """
    shapes: list[Markup] = []
    for at, link in enumerate(links):
        # The stylesheet makes it as wide and high as its step.
        shape = Markup('<rect x="{}"/>').format(at)
        if link:
            shape = Markup('<a href="{}" tabindex="-1">{}</a>').format(link, shape)
        shapes.append(shape)
    return Markup(
        '<svg class="hits" aria-hidden="true" viewBox="0 0 {} 1" preserveAspectRatio="none">'
        "{}</svg>"
    ).format(max(1, len(links)), Markup("").join(shapes))


def _plot(width: int, height: int, shapes: Markup, title: str) -> Markup:
    # At least 1: a view box without width or height disables the whole drawing.
    return Markup(
        '<svg class="plot" role="img" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        "<title>{}</title>{}</svg>"
    ).format(max(1, width), max(1, height), title, shapes)


def _stroke(name: str, path: str) -> Markup:
    # A chart is stretched to any width, and its lines must keep theirs.
    return Markup('<path class="{}" vector-effect="non-scaling-stroke" d="{}"/>').format(name, path)


def _line(values: Sequence[float | None], peak: float) -> str:
    pieces: list[str] = []
    points = [
        None if value is None else (at * STEP + STEP // 2, _n(_level(value, peak)))
        for at, value in enumerate(values)
    ]
    for before, point, after in zip((None, *points), points, (*points[1:], None), strict=False):
        if point is None:
            continue
        x, y = point
        if before is None and after is None:
            pieces.append(f"M{x - DASH // 2} {y}h{DASH}")  # A dot would hardly be visible.
        else:
            pieces.append(f"{'M' if before is None else 'L'}{x} {y}")
    return "".join(pieces)


def _silhouette(heights: Sequence[int]) -> str:
    """Bars without gaps."""
    runs = [(SPARK_HEIGHT - height, len(list(run))) for height, run in groupby(heights)]
    steps = "".join(f"V{top}h{SPARK_STEP * bars}" for top, bars in runs)
    return f"M0 {SPARK_HEIGHT}{steps}V{SPARK_HEIGHT}z"


def _level(value: float, peak: float) -> float:
    """The distance of a value from the upper edge."""
    return HEIGHT - min(1.0, value / peak) * HEIGHT if peak > 0 else float(HEIGHT)


def _length(share: float, scale: float) -> int:
    """Width of a part of an error bar in pixels; at least one for any errors."""
    return min(BAR_WIDTH, max(1, round(share / scale * BAR_WIDTH))) if share > 0 else 0


def _n(value: float) -> str:
    """A coordinate without trailing zeros."""
    return f"{value:.1f}".removesuffix(".0")
