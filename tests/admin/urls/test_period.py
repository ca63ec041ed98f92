import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fastapi_lens.admin.urls.period import DEFAULT_PERIOD, Period, WindowChoice, is_named
from fastapi_lens.admin.urls.query_string import address, fields_of
from fastapi_lens.reporting.model import Window
from tests.admin.make import NOW
from tests.admin.urls.make import MOMENTS, periods

pytestmark = pytest.mark.unit


def read(query: str) -> Period:
    """The period of an address with this query."""
    return Period.of(fields_of(f"?{query}"))


@given(periods)
def test_an_address_gives_back_the_period_that_it_was_made_of(period: Period) -> None:
    url = address("/lens/", period.pairs)
    assert Period.of(fields_of(url)) == period
    assert is_named(fields_of(url))


@given(st.text())
def test_whatever_stands_in_the_address_is_a_period_and_its_form_is_stable(text: str) -> None:
    period = read(text)
    assert Period.of(fields_of(address("/", period.pairs))) == period


@given(st.sampled_from(WindowChoice), st.none() | st.tuples(MOMENTS, MOMENTS))
@example(WindowChoice.DAY, (0, 1))
def test_a_part_consists_of_whole_minutes(
    choice: WindowChoice, part: tuple[int, int] | None
) -> None:
    period = Period(choice, part)
    if period.part is None or part is None:
        assert period.window == choice.window
        return
    start, end = period.part
    assert (start % 60, end % 60) == (0, 0)
    assert start <= part[0] < part[1] <= end
    assert period.window == Window.between(start, end)
    assert read(f"days={choice}&from={start // 60}&to={end // 60}") == period


@given(periods, st.integers(0, 4_000_000_000))
def test_earlier_and_later_undo_each_other(period: Period, now: int) -> None:
    period = period.whole() if period.part is None else period.between(*period.part)
    # What is not over yet has no window that follows it.
    assume(period.part is None or period.part[1] < now // 60 * 60)
    if (earlier := period.earlier(now)) is not None:
        assert earlier.later(now) == period
    if (later := period.later(now)) is not None:
        assert later.part is None or later.earlier(now) == period
        assert (later.window.begin(now) or 0) <= now


@given(periods, st.integers(0, 4_000_000_000))
def test_the_period_before_and_after_is_as_long(period: Period, now: int) -> None:
    for other in (period.earlier(now), period.later(now)):
        assert other is None or other.window.seconds == period.window.seconds
        assert other is None or other.choice is period.choice


def test_all_time_has_no_period_before_or_after() -> None:
    everything = Period(WindowChoice.ALL)
    assert everything.earlier(NOW) is None
    assert everything.later(NOW) is None
    assert DEFAULT_PERIOD.later(NOW) is None


def test_what_is_not_over_has_nothing_after_it() -> None:
    start = int(NOW) // 60 * 60 - 600
    assert Period(part=(start, start + 660)).later(NOW) is None
    assert Period(part=(start - 600, start)).later(NOW) == Period(part=(start, start + 600))
    # The last one that has begun may not be over.
    half = Period(part=(start - 900, start + 300)).later(NOW)
    assert half == Period(part=(start + 300, start + 1_500))


def test_the_window_up_to_now_follows_on_the_last_part_of_its_length() -> None:
    day = Period(WindowChoice.DAY)
    earlier = day.earlier(NOW)
    assert earlier is not None
    assert earlier.later(NOW) == day
    # Some minutes later there is a whole part between the two.
    between = earlier.later(NOW + 600)
    assert between is not None
    assert between.part is not None
    assert between.later(NOW + 600) == day


def test_a_part_of_time_reads_like_a_time() -> None:
    part = (1_775_224_800, 1_775_228_400)
    url = address("/x", Period(part=part).pairs)
    assert url == "/x?days=7&from=2026-04-03T14:00Z&to=2026-04-03T15:00Z"


@pytest.mark.parametrize(
    "garbage",
    [
        "days=0",
        "days=-7",
        "days=365",
        "days=",
        "days=%00",
        "from=2026-04-03T14:00Z",
        "from=2026-04-03T14:00Z&to=2026-04-03T14:00Z",
        "from=2026-04-03T14:00Z&to=2026-04-03T13:00Z",
        "from=1960-04-03T14:00Z&to=2026-04-03T13:00Z",
        "from=0&to=999999999",
        "from=2026-13-03T14:00Z&to=2026-14-03T13:00Z",
        "from=-1&to=1.5",
        "start=%00%ff&end=",
    ],
)
def test_garbage_falls_back_to_the_default(garbage: str) -> None:
    assert read(garbage) == DEFAULT_PERIOD


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("1h", Window(3_600)),
        ("1H", Window(3_600)),
        ("24h", Window(86_400)),
        ("1", Window(86_400)),
        ("1d", Window(86_400)),
        ("7", Window(604_800)),
        ("7d", Window(604_800)),
        ("30", Window(2_592_000)),
        ("90d", Window(7_776_000)),
        ("all", Window(None)),
        ("", Window(604_800)),
    ],
)
def test_windows_are_understood_as_people_write_them(text: str, window: Window) -> None:
    assert read(f"days={text}").window == window


def test_periods_have_a_label_and_words() -> None:
    labels = [Period(choice).label for choice in WindowChoice]
    assert labels == ["1h", "24h", "7d", "30d", "90d", "All"]
    assert Period(WindowChoice.HOUR).words == "the last hour"
    assert Period(WindowChoice.QUARTER).words == "the last 90 days"
    part = Period(part=(0, 60))
    assert (part.label, part.words) == ("From – to", "the chosen period")
    assert part.key != DEFAULT_PERIOD.key
