import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from fastapi_lens.admin.display import svg

pytestmark = pytest.mark.unit

# Everything that a chart may be built of: straight lines, no curves.
STRAIGHT = re.compile(r"[MLHVhvz0-9 .-]*")
HOSTILE = '"><script>alert(1)</script>'


def parsed(drawn: Markup) -> ET.Element:
    """The tree of a chart that keeps all that was promised for every chart."""
    root = ET.fromstring(drawn)  # noqa: S314  Our own.
    assert root.attrib["role"] == "img"
    title = root[0]
    assert title.tag == "title"
    assert title.text
    for element in root.iter():
        assert "style" not in element.attrib
        assert STRAIGHT.fullmatch(element.attrib.get("d", ""))
    return root


def bars(drawn: Markup) -> list[int]:
    """The height of each bar of a sparkline."""
    path = parsed(drawn).findall("path")[0].attrib["d"]
    level, heights = 0, []
    for command, value in re.findall(r"([Vh])(\d+)", path):
        if command == "V":
            level = svg.SPARK_HEIGHT - int(value)
        else:
            count, rest = divmod(int(value), svg.SPARK_STEP)
            assert rest == 0
            heights += [level] * count
    return heights


@given(st.lists(st.integers(0, 10**9), max_size=svg.SPARK_BARS))
def test_a_sparkline_shows_every_step_in_proportion(counts: list[int]) -> None:
    drawn = svg.sparkline(counts)
    peak = max(counts, default=0)
    if not peak:
        assert drawn == ""
        return
    assert parsed(drawn)[0].text == f"Peak {peak:,}"
    for count, height in zip(counts, bars(drawn), strict=True):
        assert (height == 0) == (count == 0)
        assert abs(height - count / peak * svg.SPARK_HEIGHT) <= 1


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=200))
def test_many_steps_are_put_together_from_the_last_one_on(counts: list[int]) -> None:
    drawn = svg.sparkline(counts)
    found = bars(drawn)
    assert len(found) <= svg.SPARK_BARS
    group = len(counts) // len(found)
    sums = [sum(counts[max(0, end - group) : end]) for end in range(len(counts), 0, -group)]
    assert parsed(drawn)[0].text == f"Peak {max(sums[: len(found)]):,}"
    assert parsed(drawn).attrib["width"] == str(len(found) * svg.SPARK_STEP)


@given(st.lists(st.floats(0, 1), max_size=5))
def test_every_error_bar_of_a_few_fits_their_scale(shares: list[float]) -> None:
    scale = svg.error_scale(shares)
    assert all(share <= scale for share in shares)
    assert scale in svg.SCALES


def test_one_in_ten_error_bars_does_not_make_the_others_dots() -> None:
    assert svg.error_scale([0.0] * 50 + [0.04] * 9 + [0.9]) == 0.05


@pytest.mark.parametrize(
    ("share", "paths"),
    [
        (0.05, [("c5", "M0 3h36")]),
        (0.0001, [("c5", "M0 3h1")]),
        (0.1, [("c5", "M0 3h72")]),
        (0.3, [("c5", "M0 3h72"), ("cut", "M64 6L68 0")]),
    ],
)
def test_an_error_bar_is_cut_where_it_exceeds_its_scale(
    share: float, paths: list[tuple[str, str]]
) -> None:
    root = ET.fromstring(svg.error_bar(share, 0.1, "c5"))  # noqa: S314  Our own.
    assert [(path.attrib["class"], path.attrib["d"]) for path in root.findall("path")] == paths


@given(st.floats(1e-6, 1e12))
def test_a_scale_ends_with_a_round_number_not_far_above(value: float) -> None:
    ceiling = svg.nice_ceiling(value)
    assert value <= ceiling <= value * 1.5 * (1 + 1e-9)
    assert float(f"{ceiling:.2g}") == pytest.approx(ceiling)


def test_without_values_a_scale_ends_with_one() -> None:
    assert svg.nice_ceiling(0) == 1.0


def test_bars_are_stacked_from_the_lowest_part_up() -> None:
    drawn = svg.stacked_bars(
        [(6, 2), (0, 0), (10, 0)],
        classes=["c2", "c5"],
        peak=10,
        title="three steps",
    )
    root = parsed(drawn)
    low, high = root.findall("path")
    assert low.attrib == {"class": "c2", "d": "M1 100V40h8V100zM21 100V0h8V100z"}
    assert high.attrib == {"class": "c5", "d": "M1 40V20h8V40z"}


def test_the_part_of_4xx_is_thin_so_that_it_differs_from_5xx_without_colours() -> None:
    drawn = svg.stacked_bars([(5, 5)], classes=["c4", "c5"], peak=10, title="one step")
    thin, thick = parsed(drawn).findall("path")
    assert thin.attrib["d"] == "M3 100V50h4V100z"
    assert thick.attrib["d"] == "M1 50V0h8V50z"


def test_lines_are_straight_and_leave_gaps_where_nothing_was_measured() -> None:
    drawn = svg.lines([(0, 5, None, 10, None)], classes=["p50"], peak=10, title="one line")
    (line,) = parsed(drawn).findall("path")
    # A value between two gaps is a dash.
    assert line.attrib["d"] == "M5 100L15 50M33 0h4"
    assert line.attrib["class"] == "p50"


def test_charts_of_nothing_are_empty_charts() -> None:
    assert len(parsed(svg.lines([()], classes=["p50"], peak=1, title="none"))) > 0
    bars_of_nothing = svg.stacked_bars([(0,)], classes=["c2"], peak=0, title="none")
    assert parsed(bars_of_nothing)[1].attrib["d"] == ""


@given(st.lists(st.integers(0, 10**6), max_size=40))
def test_a_heat_map_has_five_colours_at_most_and_each_value_one(values: list[int]) -> None:
    limits = svg.heat_limits(values)
    assert limits == sorted(set(limits))
    assert len(limits) <= svg.HEAT_LEVELS
    if any(values):
        assert limits[-1] == max(values)
        assert svg.heat_level(max(values), limits) == svg.HEAT_LEVELS
    levels = [svg.heat_level(value, limits) for value in sorted(values) if value]
    assert levels == sorted(levels)
    assert all(1 <= level <= svg.HEAT_LEVELS for level in levels)


def test_neighbours_of_one_colour_are_one_shape() -> None:
    drawn = svg.heat_map([(9, 0), (9, 1), (0, 9)], limits=[1, 9], title="cells")
    root = parsed(drawn)
    assert root.attrib["viewBox"] == "0 0 3 2"
    assert [(path.attrib["class"], path.attrib["d"]) for path in root.findall("path")] == [
        ("h4", "M1 0h1v1H1z"),
        ("h5", "M0 1h2v1H0zM2 0h1v1H2z"),
    ]


def test_shares_without_whole_numbers_have_limits_between() -> None:
    assert svg.heat_limits([0.5, 8.0])[0] == pytest.approx(0.5 * 16**0.2)


def test_a_share_is_a_part_of_a_full_bar() -> None:
    assert 'd="M0 10h36"' in svg.share_bar(0.5, "c2")


def test_columns_are_links_for_the_pointer_only() -> None:
    drawn = svg.columns_of(["?a&b", ""])
    assert drawn.count("<rect") == 2
    assert '<a href="?a&amp;b" tabindex="-1"><rect x="0"/></a><rect x="1"/>' in drawn
    assert 'aria-hidden="true"' in drawn


def test_words_in_charts_are_escaped() -> None:
    for drawn in (
        svg.lines([(1,)], classes=["p50"], peak=1, title=HOSTILE),
        svg.stacked_bars([(1,)], classes=["c2"], peak=1, title=HOSTILE),
    ):
        assert parsed(drawn)[0].text == HOSTILE
        assert "<script" not in drawn


def test_a_week_with_a_single_use_is_a_bar_and_weeks_before_the_first_are_empty() -> None:
    strip = svg.week_strip([0, 5, None, 1, 100, 0], first=1, title="t")
    assert 'width="24"' in strip
    assert '<path class="ground" d="M4 16H24"/>' in strip
    assert '<path class="hole" d="M10 16V0"/>' in strip
    assert '<path class="use" d="M6 16v-5M14 16v-4M18 16v-16"/>' in strip
    assert svg.week_strip([], first=0, title="t").count("<path") == 0


def test_a_band_shows_even_a_short_hole_and_keeps_it_inside() -> None:
    band = svg.band(1000, [(10, 29), (999, 999)], title="t")
    assert '<path class="seen" d="M0 0h1000v1H0z"/>' in band
    assert '<path class="hole" d="M10 0h20v1h-20zM996 0h4v1h-4z"/>' in band
    assert "hole" not in svg.band(3, [], title="t")


def test_a_mark_has_its_name_at_the_side_with_more_room() -> None:
    drawn = svg.marks([(0.25, "a"), (0.75, HOSTILE)])
    left, right = parsed(drawn).findall("text")
    assert (left.text, left.attrib["x"], left.attrib["text-anchor"]) == ("a", "25%", "start")
    assert (right.text, right.attrib["x"], right.attrib["text-anchor"]) == (HOSTILE, "75%", "end")
    assert parsed(drawn)[0].text == f"a, {HOSTILE}"


def test_names_of_marks_that_are_near_each_other_are_on_lines_of_their_own() -> None:
    places = (0.0, 0.1, 0.2, 0.25, 0.5, 0.9)
    found = parsed(svg.marks([(place, "x") for place in places])).findall("text")
    assert [one.attrib["y"] for one in found] == ["11", "23", "35", "11", "11", "11"]


@pytest.mark.parametrize(("places", "lines"), [([0.5], 1), ([0.1, 0.2], 2), ([0.1, 0.2, 0.3], 3)])
def test_marks_say_how_many_lines_their_names_need(places: list[float], lines: int) -> None:
    drawn = svg.marks([(place, "x") for place in places])
    assert parsed(drawn).attrib["class"] == f"marks marks-{lines}"


def test_a_line_over_bars_has_its_own_class() -> None:
    drawn = svg.stacked_bars([(1,), (2,)], classes=["c2"], peak=4, title="t", line=[2, 4])
    assert 'class="prev"' in drawn
    assert 'd="M5 50L15 0"' in drawn
    assert "prev" not in svg.stacked_bars([(1,)], classes=["c2"], peak=4, title="t")
