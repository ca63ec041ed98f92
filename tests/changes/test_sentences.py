from dataclasses import replace

import pytest

from fastapi_lens.changes.change import Change, Kind, Measured
from fastapi_lens.changes.rows import DAY
from fastapi_lens.changes.sentences import (
    DURATION_RULE,
    FAILURE_RULE,
    TRAFFIC_RULE,
    sentence,
    title,
)

pytestmark = pytest.mark.unit

NOVEMBER_25 = 20_782 * DAY
SLOWER = Change(Kind.SLOWER, Measured.P95_MS, NOVEMBER_25, 180.2, 282.9, 20_000, 4_000)
FAILING = Change(
    Kind.FAILING_MORE, Measured.FAILED_SHARE, NOVEMBER_25 + 50_400, 0.167, 0.214, 9, 630
)
COLD = Change(
    Kind.WENT_COLD, Measured.CALLS, NOVEMBER_25, 3, 0, 3, 0, last_call=NOVEMBER_25 - 7 * DAY
)
DEPRECATED = Change(Kind.DEPRECATED_BUT_CALLED, Measured.CALLS, NOVEMBER_25, 518, 413, 518, 413)

CASES = (
    (
        replace(SLOWER, release="2026.11.3"),
        "p95 180 → 283 ms, +57%, since 25 Nov (release 2026.11.3)",
    ),
    (
        replace(SLOWER, kind=Kind.FASTER, measured=Measured.TYPICAL_MS, before=9.96, after=7.04),
        "typical duration 10.0 → 7.0 ms, −29%, since 25 Nov",
    ),
    (FAILING, "5xx 16.7% → 21.4% of 630 calls, since 25 Nov 14:00"),
    (
        replace(FAILING, kind=Kind.RECOVERED, until=NOVEMBER_25 + 54_000, calls_after=1),
        "5xx 21.4% of 1 call on 25 Nov 14:00–15:00, usually 16.7%; recovered",
    ),
    (
        replace(FAILING, kind=Kind.RECOVERED, until=NOVEMBER_25 + DAY + 3_600, release="7"),
        "5xx 21.4% of 630 calls on 25 Nov 14:00–26 Nov 01:00, usually 16.7%; recovered (release 7)",
    ),
    (COLD, "last call 18 Nov; cold since 25 Nov"),
    (replace(COLD, kind=Kind.WENT_DEAD, last_call=None), "dead since 25 Nov"),
    (DEPRECATED, "518 → 413 calls, −20%"),
    (
        replace(DEPRECATED, before=413, last_call=NOVEMBER_25),
        "413 → 413 calls, ±0%; last call 25 Nov",
    ),
    (replace(DEPRECATED, before=0, after=1, last_call=NOVEMBER_25), "1 call; last call 25 Nov"),
    (replace(DEPRECATED, calls_after=0, last_call=NOVEMBER_25), "last call 25 Nov"),
    (
        Change(Kind.MORE_TRAFFIC, Measured.CALLS_A_DAY, NOVEMBER_25, 0, 1_200.4, 0, 2_400),
        "calls a day 0 → 1,200, since 25 Nov",
    ),
)


@pytest.mark.parametrize(("change", "text"), CASES)
def test_a_sentence_says_the_numbers_and_since_when(change: Change, text: str) -> None:
    assert sentence(change) == text


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_a_title(kind: Kind) -> None:
    assert title(kind)


def test_the_rules_are_two_sentences_each_and_say_their_numbers() -> None:
    assert DURATION_RULE == (
        "Slower: on a day with at least 100 calls the typical duration was at least 15%, or p95 at "
        "least 25%, above what is usual on that weekday, and it has stayed so. Usual is what the 8 "
        "weeks before show (at least 7 days); the rise must be 3.5 times as large as this "
        "endpoint's usual variation from day to day."
    )
    assert "at least 0.5 points and 1.3 times above the usual" in FAILURE_RULE
    assert "at least 10 points above the usual" in FAILURE_RULE
    assert "at least 2 times the usual" in TRAFFIC_RULE
    assert all(rule.count(". ") <= 1 for rule in (DURATION_RULE, FAILURE_RULE, TRAFFIC_RULE))
