from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.reporting.model import Bounds, Window
from fastapi_lens.reporting.windows import Span, bounds_of, cover, finest
from fastapi_lens.storage.retention.pruner import kept_seconds
from fastapi_lens.storage.schema.models import Tier

NOW = 1_775_000_123.75
DAY = 86_400
# What each tier is kept for without a configured retention.
REACH = {Tier.MINUTE: 6 * 3_600, Tier.HOUR: 35 * DAY, Tier.DAY: 400 * DAY}
EDGES = st.sampled_from(Tier).flatmap(
    lambda tier: st.integers(0, 1_900_000_000 // tier).map(lambda bucket: bucket * tier)
)
TTL_DAYS = st.none() | st.integers(1, 1_500)


def pieces(spans: list[Span], end: int) -> list[tuple[int, int]]:
    """Where the spans begin and end, in seconds, in order; the open one ends at the end."""
    return sorted(
        (span.first * span.tier, end if span.last is None else span.last * span.tier)
        for span in spans
    )


@given(EDGES, EDGES)
@example(0, 0)
@example(60, 120)
@example(604_800 - 60, 604_800 + 60)
def test_the_spans_of_a_closed_window_cover_it_exactly(one: int, two: int) -> None:
    start, end = sorted((one, two))
    covered = pieces(cover(start, end=end), end)
    assert all(first < last for first, last in covered)
    # Without gaps and without overlaps: each piece begins where the one before ends.
    assert [start, *(last for _, last in covered)] == [*(first for first, _ in covered), end]


@given(EDGES)
def test_the_spans_of_an_open_window_cover_everything_from_its_start(start: int) -> None:
    spans = cover(start)
    assert [span.last is None for span in spans].count(True) == 1
    end = start + 10**9
    covered = pieces(spans, end)
    assert [start, *(last for _, last in covered)] == [*(first for first, _ in covered), end]


@given(EDGES, EDGES)
def test_the_spans_are_as_few_rows_as_whole_weeks_and_days_allow(one: int, two: int) -> None:
    start, end = sorted((one, two))
    rows = sum((span.last or span.first) - span.first for span in cover(start, end=end))
    assert rows <= (end - start) // Tier.WEEK + 2 * (6 + 23 + 59)


def test_everything_is_all_weeks() -> None:
    assert cover(0) == [Span(Tier.WEEK, 0, None)]
    assert bounds_of(Window(), now=NOW, kept=lambda tier: kept_seconds(tier, None)) == Bounds()


@given(st.integers(0, 3_000 * DAY), TTL_DAYS, st.floats(1e9, 2e9))
@example(6 * 3_600, None, NOW)
@example(6 * 3_600 + 1, None, NOW)
@example(35 * DAY, None, NOW)
@example(400 * DAY, None, NOW)
@example(401 * DAY, None, NOW)
def test_a_window_begins_at_the_edge_of_the_finest_tier_that_still_has_its_start(
    seconds: int, ttl_days: int | None, now: float
) -> None:
    start = bounds_of(
        Window(seconds), now=now, kept=lambda tier: kept_seconds(tier, ttl_days)
    ).start
    assert start is not None
    wanted = int(now) - seconds
    limit = float("inf") if ttl_days is None else ttl_days * DAY
    age = int(now) - wanted
    reaching = [tier for tier, reach in REACH.items() if age <= min(reach, limit)]
    precision = reaching[0] if reaching else Tier.WEEK
    assert start % precision == 0
    assert start <= wanted < start + precision


@given(st.integers(0, 3_000 * DAY), TTL_DAYS, st.integers(10**9, 2 * 10**9))
def test_the_rows_that_a_window_begins_with_have_not_been_deleted(
    seconds: int, ttl_days: int | None, now: int
) -> None:
    start = bounds_of(
        Window(seconds), now=now, kept=lambda tier: kept_seconds(tier, ttl_days)
    ).start
    assert start is not None
    for span in cover(start):
        kept = kept_seconds(span.tier, ttl_days)
        oldest = 0 if kept is None else (now - kept) // span.tier
        assert span.first >= oldest or (span.tier is Tier.WEEK and ttl_days is not None)


def test_a_window_that_is_older_than_time_begins_with_it() -> None:
    def kept(tier: Tier) -> int | None:
        return kept_seconds(tier, None)

    assert bounds_of(Window(10**12), now=NOW, kept=kept) == Bounds(0)
    half_a_day = bounds_of(Window.of_days(0.5), now=NOW, kept=kept)
    assert half_a_day == Bounds((int(NOW) - 43_200) // 3_600 * 3_600)
    assert Window.of_days(None) == Window()


def test_no_tier_reaches_back_beyond_a_short_retention_but_the_weeks_answer() -> None:
    assert finest(0, now=NOW, kept=lambda _tier: 60) is Tier.WEEK
