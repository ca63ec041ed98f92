"""Numbers to SVG: horizontal bars on a logarithmic scale. Reads and writes no file.

The picture brings its own background, so it is readable wherever it is shown, and follows the
reader's choice of a light or dark scheme.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, log10

WIDTH = 800
LABEL_WIDTH = 330
VALUE_WIDTH = 90
TOP = 62
ROW = 26
BAR = 16
FOOT = 40
WHOLE_FROM = 100
LEAST = 0.1
"""The left edge; a logarithmic scale has no zero."""

STYLE = """
  .ground { fill: #ffffff; stroke: #d8dee4 }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .middle { text-anchor: middle }
  .end { text-anchor: end }
  .quiet { fill: #59636e; font-size: 12px }
  .line { stroke: #d8dee4 }
  .budget { stroke: #9a6700; stroke-dasharray: 4 3 }
  .bar { fill: #8c959f }
  .ours { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .line { stroke: #3d444d }
    .budget { stroke: #d29922 }
    .bar { fill: #656c76 }
    .ours { fill: #3fb950 }
  }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row.

    Attributes:
        value: In the chart's unit.
        ours: True for a bar that stands out.
    """

    label: str
    value: float
    ours: bool = False


def bar_chart(bars: Sequence[Bar], *, title: str, unit: str, budget: float) -> str:
    """An SVG document.

    Args:
        bars: From top to bottom; at least one.
        title: Above the bars.
        unit: Of the values.
        budget: Drawn as a dashed line.
    """
    decades = max(1, ceil(log10(max(LEAST, *(bar.value for bar in bars)) / LEAST)))
    plot = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    bottom = TOP + ROW * len(bars)

    def x(value: float) -> float:
        return LABEL_WIDTH + plot * max(0.0, log10(max(value, LEAST) / LEAST)) / decades

    ticks = [(x(LEAST * 10**step), LEAST * 10**step) for step in range(decades + 1)]
    parts = [
        _rect("ground", (0.5, 0.5), (WIDTH - 1, bottom + FOOT - 1)),
        _text("title", (16, 26), title),
        _text("quiet", (16, 46), f"{unit}, logarithmic: each line is ten times the one before"),
        *(_line("line", at, bottom) for at, _ in ticks),
        *(_text("quiet middle", (at, bottom + 17), f"{value:,g}") for at, value in ticks),
        _line("budget", x(budget), bottom),
        _text("quiet middle", (x(budget), bottom + 34), f"budget {budget:g}"),
    ]
    for index, bar in enumerate(bars):
        parts.extend(_row(bar, TOP + ROW * index, x(bar.value)))
    lines = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + FOOT}" '
        f'width="{WIDTH}" height="{bottom + FOOT}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{STYLE}</style>\n{lines}\n</svg>\n"
    )


def _row(bar: Bar, top: int, end: float) -> list[str]:
    kind = "bar ours" if bar.ours else "bar"
    value = f"{bar.value:,.1f}" if abs(bar.value) < WHOLE_FROM else f"{bar.value:,.0f}"
    return [
        _text("end", (LABEL_WIDTH - 10, top + 17), bar.label),
        _rect(kind, (LABEL_WIDTH, top + 5), (max(1.0, end - LABEL_WIDTH), BAR)),
        _text("value", (end + 6, top + 17), value),
    ]


def _text(kind: str, at: tuple[float, float], words: str) -> str:
    return f'<text class="{kind}" x="{at[0]:.1f}" y="{at[1]:.1f}">{escape(words)}</text>'


def _rect(kind: str, at: tuple[float, float], size: tuple[float, float]) -> str:
    place = f'x="{at[0]:.1f}" y="{at[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}"'
    return f'<rect class="{kind}" {place}/>'


def _line(kind: str, at: float, bottom: int) -> str:
    return f'<line class="{kind}" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{bottom}"/>'
