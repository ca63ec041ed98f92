from dataclasses import replace
from typing import Any

import pytest

from fastapi_lens.admin.pages.overview.figures import Numbers, Part, figures, sentence
from fastapi_lens.changes.change import Change, Kind, Measured
from fastapi_lens.reporting.changes import EndpointChange
from fastapi_lens.reporting.model import Before, Usage
from tests.admin.make import NOW, endpoint, usage

pytestmark = pytest.mark.unit

DAY = 86_400


def numbers(
    used: Usage, before: Usage | None = None, *, exceptions: tuple[int, int, int] = (0, 0, 0)
) -> Numbers:
    end = int(NOW) - 7 * DAY
    past = None if before is None else Before(end - 7 * DAY, end, 7 * DAY, before)
    return Numbers(used, used, past, exceptions, (), before)


def change(kind: Kind, **facts: Any) -> Change:
    made = Change(
        kind=kind,
        measured=Measured.P95_MS,
        since=int(NOW) // DAY * DAY,
        before=100.0,
        after=157.0,
        calls_before=9_000,
        calls_after=900,
    )
    return replace(made, **facts)


def told(
    found: Numbers,
    changes: list[EndpointChange] | None = None,
    candidates: int = 0,
    unused: int = 0,
) -> list[Part]:
    hrefs = [f"/{one.endpoint.key}" for one in changes or ()]
    return sentence(
        found,
        changes,
        hrefs=hrefs,
        candidates=(candidates, unused, "/cleanup"),
        length="the 7 days before",
    )


def text(parts: list[Part]) -> str:
    return "".join(part.text for part in parts)


def test_each_figure_has_its_change_and_its_former_value() -> None:
    found = numbers(
        usage(1_500, errors_5xx=30, errors_4xx=15),
        usage(1_000, errors_5xx=10, errors_4xx=10, ms=20),
    )
    calls, server, client, p95, _ = figures(found, slow_ms=500)
    assert (calls.value, calls.change, calls.before, calls.kind) == ("1,500", "+50%", "1,000", "")
    assert (server.value, server.detail) == ("2.0%", "30 × 5xx")
    assert (server.change, server.before, server.kind) == ("+1.0 points", "1.0%", "worse")
    assert (client.value, client.detail, client.change) == ("1.0%", "15 × 4xx", "±0 points")
    assert (p95.value, p95.slow) == ("9.9 ms", False)
    assert (p95.change, p95.before, p95.kind) == ("−50%", "19.8 ms", "better")


def test_a_period_with_nothing_before_it_has_no_changes() -> None:
    found = figures(numbers(usage(50, errors_5xx=1), exceptions=(9, 3, 1)), slow_ms=5)
    assert [one.change for one in found] == ["", "", "", "", "1 new"]
    assert found[3].slow
    assert (found[4].value, found[4].detail) == ("9", "3 types")
    without, old = (
        figures(numbers(usage(50), exceptions=counts), slow_ms=5)[4]
        for counts in ((0, 0, 0), (2, 1, 0))
    )
    assert (without.value, without.detail, old.change) == ("0", "", "")


def test_a_period_without_calls_has_nothing_but_a_zero() -> None:
    assert [(one.name, one.value) for one in figures(numbers(usage()), slow_ms=5)] == [
        ("Calls", "0"),
        ("Server errors", "–"),
        ("Client errors", "–"),
        ("p95", "–"),
    ]
    assert text(told(numbers(usage()))) == "No calls in this period."


def test_too_few_calls_before_say_nothing_of_p95() -> None:
    found = numbers(usage(1_500), usage(1_000))
    few = replace(found, timed_before=usage(99))
    unknown = replace(found, timed_before=None)
    for each in (few, unknown, replace(found, before=None)):
        assert figures(each, slow_ms=500)[3].change == ""


def test_websockets_alone_have_no_p95() -> None:
    found = Numbers(replace(usage(200), histogram=None), Usage(), None, (0, 0, 0), ())
    assert figures(found, slow_ms=5)[3].value == "–"


@pytest.mark.parametrize(
    ("now", "was", "words"),
    [
        (150, 100, "Traffic is up 50% on the 7 days before; 0% of calls"),
        (100, 200, "Traffic is down 50% on the 7 days before; "),
        (104, 100, "Traffic is about the same as in the 7 days before; "),
        (150, None, "150 calls; 0% of calls failed with a server error."),
        (1, None, "1 call; 0% of calls failed with a server error."),
    ],
)
def test_the_sentence_begins_with_traffic(now: int, was: int | None, words: str) -> None:
    before = None if was is None else usage(was)
    assert text(told(numbers(usage(now), before))).startswith(words)


def test_the_largest_change_to_the_worse_is_named_with_its_release_or_its_day() -> None:
    one, two = endpoint("/search"), endpoint("/pay", method="POST")
    slower = EndpointChange(one, change(Kind.SLOWER, release="2.14.0"))
    failing = EndpointChange(two, change(Kind.FAILING_MORE))
    parts = told(numbers(usage(500)), [slower, failing])
    assert text(parts).endswith(" GET /search is 57% slower since release 2.14.0.")
    assert [part.href for part in parts if part.href] == [f"/{one.key}"]
    # The order is that of the kinds, the largest first.
    assert " POST /pay fails more often since 3 Apr 2026." in text(
        told(numbers(usage(500)), [failing, slower])
    )


def test_a_rise_from_nothing_has_no_percentage() -> None:
    slower = EndpointChange(endpoint("/a"), change(Kind.SLOWER, before=0.0))
    assert "GET /a is slower since 3 Apr 2026." in text(told(numbers(usage(500)), [slower]))


def test_what_went_cold_and_what_can_be_deleted_is_counted() -> None:
    kinds = (Kind.WENT_COLD, Kind.WENT_DEAD, Kind.FASTER)
    changes = [EndpointChange(endpoint(f"/{kind}"), change(kind)) for kind in kinds]
    parts = told(numbers(usage(500)), changes, candidates=1_200, unused=1_300)
    assert text(parts).endswith(
        "2 endpoints went cold or dead. "
        "1,200 of 1,300 unused endpoints can be looked at for deletion."
    )
    assert parts[-2].href == "/cleanup"
    every = told(numbers(usage(500)), candidates=1, unused=1)
    assert text(every).endswith(" 1 unused endpoint can be looked at for deletion.")
