"""Numbers into SVG. Knows no endpoints, no windows, no colours: those are classes of the CSS.

Shapes only: what is to be read (scales, legends, tables) is HTML around them, so that a chart
may be stretched to any width. Curves are never smoothed. All styling is by classes and
presentation attributes, because the content security policy allows no style attribute.
"""

from collections.abc import Sequence
from math import floor, log10

from markupsafe import Markup

SPARK_HEIGHT = 20
BAR_WIDTH = 100
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""What an error bar may be as long as."""

STEP = 10
HEIGHT = 100
"""Units of a chart: each step is as wide, and the whole as high, before it is stretched."""


def sparkline(counts: Sequence[int], words: str) -> Markup:
    """Calls per step as a silhouette of bars; the last step, still filling, is paler.

    Args:
        counts: Oldest first. Any call at all is at least one unit high.
        words: What is counted, for example ``calls in the last 7 days``.
    """
    peak = max(counts, default=0)
    heights = [_height(count, peak, SPARK_HEIGHT) for count in counts]
    title = f"{words}, peak {peak:,}" if peak else f"no {words}"
    return Markup(
        '<svg class="spark" role="img" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        '<title>{}</title><path d="{}"/><path class="now" d="{}"/></svg>'
    ).format(
        max(1, len(counts)),
        SPARK_HEIGHT,
        title,
        _silhouette(heights[:-1], start=0),
        _silhouette(heights[-1:], start=len(heights) - 1),
    )


def error_scale(shares: Sequence[float]) -> float:
    """What share a full error bar stands for, so that the largest of these fits in."""
    largest = max(shares, default=0.0)
    return next((scale for scale in SCALES if largest <= scale), SCALES[-1])


def error_bar(share_4xx: float, share_5xx: float, scale: float, words: str) -> Markup:
    """5xx (full height) and then 4xx (half height) as parts of a bar that stands for `scale`."""
    long_5xx = _length(share_5xx, scale)
    long_4xx = min(_length(share_4xx, scale), BAR_WIDTH - long_5xx)
    return Markup(
        '<svg class="errs" role="img" viewBox="0 0 {} 8" preserveAspectRatio="none">'
        '<title>{}</title><path class="e5" d="M0 0h{}v8h-{}z"/><path class="e4" d="M{} 2h{}v4h-{}z"/></svg>'
    ).format(BAR_WIDTH, words, *(_n(x) for x in (long_5xx, long_5xx, long_5xx, long_4xx, long_4xx)))


def nice_ceiling(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten that is not below a value; 1 for none."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10, 20) if step * power >= value)


def stacked_bars(
    columns: Sequence[Sequence[float]],
    *,
    classes: Sequence[str],
    peak: float,
    hints: Sequence[str],
    title: str,
) -> Markup:
    """One bar for each step, its parts one upon the other.

    Args:
        columns: For each step as many values as there are classes, the lowest part first.
        classes: CSS class of each part.
        peak: The value at the upper edge.
        hints: Text of each step, shown under the pointer.
        title: What the chart says.
    """
    paths = []
    for index, name in enumerate(classes):
        pieces = []
        for at, column in enumerate(columns):
            bottom, top = _level(sum(column[:index]), peak), _level(sum(column[: index + 1]), peak)
            if top < bottom:
                pieces.append(f"M{at * STEP + 1} {_n(bottom)}V{_n(top)}h{STEP - 2}V{_n(bottom)}z")
        paths.append(Markup('<path class="{}" d="{}"/>').format(name, "".join(pieces)))
    return _chart(len(columns), Markup("").join(paths), hints, title)


def lines(
    series: Sequence[Sequence[float | None]],
    *,
    classes: Sequence[str],
    peak: float,
    hints: Sequence[str],
    title: str,
) -> Markup:
    """One line for each series through the middle of each step, straight from value to value.

    Args:
        series: For each line as many values as there are steps; ``None`` leaves a gap.
        classes: CSS class of each line.
        peak: The value at the upper edge.
        hints: Text of each step, shown under the pointer.
        title: What the chart says.
    """
    paths = [
        Markup('<path class="{}" vector-effect="non-scaling-stroke" d="{}"/>').format(
            name, _line(values, peak)
        )
        for name, values in zip(classes, series, strict=True)
    ]
    return _chart(len(hints), Markup("").join(paths), hints, title)


def _chart(steps: int, shapes: Markup, hints: Sequence[str], title: str) -> Markup:
    columns = Markup("").join(
        Markup('<path d="M{} 0h{}v{}h-{}z"><title>{}</title></path>').format(
            at * STEP, STEP, HEIGHT, STEP, hint
        )
        for at, hint in enumerate(hints)
    )
    return Markup(
        '<svg class="plot" role="img" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        '<title>{}</title>{}<g class="hits">{}</g></svg>'
    ).format(max(1, steps) * STEP, HEIGHT, title, shapes, columns)


def _line(values: Sequence[float | None], peak: float) -> str:
    pieces = []
    open_line = False
    for at, value in enumerate(values):
        if value is None:
            open_line = False
            continue
        x, y = at * STEP + STEP // 2, _n(_level(value, peak))
        # A line of no length: its round caps make a dot of a value between two gaps.
        pieces.append(f"L{x} {y}" if open_line else f"M{x} {y}h0")
        open_line = True
    return "".join(pieces)


def _silhouette(heights: Sequence[int], *, start: int) -> str:
    """Bars of width 1 without gaps; empty where all heights are 0."""
    if not any(heights):
        return ""
    pieces = [f"M{start} {SPARK_HEIGHT}"]
    level, run = 0, 0
    for height in heights:
        if height != level:
            pieces += [f"h{run}"] if run else []
            pieces.append(f"v{level - height}")
            level, run = height, 0
        run += 1
    return "".join([*pieces, f"h{run}", f"V{SPARK_HEIGHT}z"])


def _height(count: int, peak: int, full: int) -> int:
    return max(1, round(count / peak * full)) if count > 0 else 0


def _level(value: float, peak: float) -> float:
    """How far below the upper edge a value lies."""
    return HEIGHT - min(1.0, value / peak) * HEIGHT if peak > 0 else float(HEIGHT)


def _length(share: float, scale: float) -> float:
    """Of a full bar; errors that are there are never too short to be seen."""
    return min(float(BAR_WIDTH), max(2.0, share / scale * BAR_WIDTH)) if share > 0 else 0.0


def _n(value: float) -> str:
    """A coordinate without needless digits."""
    return f"{value:.1f}".removesuffix(".0")
