import re

import pytest

from fastapi_lens.admin.display.comparison import Figure, comparison, figures
from fastapi_lens.reporting.model import FEWEST_CALLS, Before, Usage
from tests.admin.make import DAY, NOW, endpoint, usage

pytestmark = pytest.mark.unit


def before(used: Usage, *, days: float = 7, ends: float = NOW - 7 * DAY) -> Before:
    return Before(int(ends - days * DAY), int(ends), 7 * DAY, used)


def of(now: Usage, then: Usage | None, *, slow: bool = False) -> dict[str, Figure]:
    found = figures(now, None if then is None else before(then), slow=slow)
    return {figure.name: figure for figure in found}


@pytest.mark.parametrize(
    ("now", "then", "change"),
    [
        (100, 100, "±0%"),
        (112, 100, "+12%"),
        (92, 100, "−8%"),
        (1_200, 100, "×12"),
        (5, 0, "new"),
    ],
)
def test_calls_change_by_percent_or_by_a_factor(now: int, then: int, change: str) -> None:
    calls = of(usage(now), usage(then))["Calls"]
    assert (calls.change, calls.before) == (change, f"{then:,}")
    assert calls.kind == ("few" if min(now, then) < FEWEST_CALLS else "")


def test_without_calls_in_both_periods_nothing_has_changed() -> None:
    found = of(usage(), usage())
    assert found["Calls"].change == ""
    assert (found["p95"].value, found["p95"].change) == ("–", "")
    assert of(usage(3), usage())["Server errors"].change == ""
    assert of(usage(3), usage())["p50"].change == ""


def test_calls_are_compared_as_if_both_periods_were_as_long() -> None:
    longer = before(usage(120), days=7 * 1.05)
    (calls, *_) = figures(usage(100), longer, slow=False)
    assert calls.before == "114"
    assert calls.change == "−12%"


def test_errors_change_by_points_and_slower_is_worse() -> None:
    worse = of(usage(100, errors_5xx=5, ms=20), usage(100, errors_5xx=1, ms=10))
    server = worse["Server errors"]
    assert (server.value, server.detail) == ("5.0%", "5 × 5xx")
    assert (server.change, server.kind, server.before) == ("+4.0 points", "worse", "1.0%")
    assert (worse["Client errors"].value, worse["Client errors"].change) == ("0%", "±0 points")
    assert (worse["p95"].change, worse["p95"].kind, worse["p95"].before) == (
        "+100%",
        "worse",
        "9.9 ms",
    )
    better = of(usage(100, ms=10), usage(100, errors_4xx=1, ms=20), slow=True)
    client = better["Client errors"]
    assert (client.change, client.kind) == ("−1.0 points", "better")
    assert (better["p50"].change, better["p50"].kind) == ("−50%", "better")
    assert better["p95"].slow
    same = of(usage(100, errors_5xx=1), usage(100, errors_5xx=1))
    assert same["Server errors"].change == "±0 points"
    assert same["p95"].kind == ""


def test_a_websocket_that_is_open_for_longer_is_not_worse() -> None:
    now, then = usage(100, errors_5xx=1, ms=90), before(usage(100, ms=10))
    found = {one.name: one for one in figures(now, then, slow=False, is_timed=False)}
    assert [found[name].kind for name in ("p50", "p95", "Server errors")] == ["", "", "worse"]
    assert found["p95"].change.startswith("+")


@pytest.mark.parametrize(("now", "then"), [(99, 100), (100, 99), (1, 1)])
def test_few_calls_in_one_of_the_periods_are_neither_better_nor_worse(now: int, then: int) -> None:
    found = of(usage(now, errors_5xx=1, ms=90), usage(then, ms=10))
    assert found["Server errors"].change.startswith("+")
    assert re.fullmatch(r"\+80\d%", found["p95"].change)
    assert {figure.kind for figure in found.values() if figure.change} == {"few"}
    assert found["Mean"].kind == ""


def test_without_a_period_before_there_is_no_change() -> None:
    assert {figure.change for figure in of(usage(9), None).values()} == {""}


def test_a_sentence_says_what_is_compared_or_why_nothing_is() -> None:
    seen = endpoint()
    text = comparison(seen, before(usage(1)), everything=False)
    assert text.startswith("Compared with the 7 days before: 20 Mar 2026 ")
    assert "has expired" in comparison(seen, None, everything=False)
    idle = comparison(endpoint(), before(usage()), everything=False)
    assert idle == "No calls in the 7 days before either."
    assert "All time" in comparison(seen, None, everything=True)
    older = before(usage(1), ends=NOW - 100 * DAY)
    assert "first seen 3 Jan 2026 " in comparison(seen, older, everything=False)
