import sys
import zoneinfo
from datetime import UTC, datetime
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.display.times import IN_UTC, Times

pytestmark = pytest.mark.unit

AT = 1_775_225_525.9
DAY = 86_400
BERLIN = Times.of("Europe/Berlin")
NEW_YORK = Times.of("America/New_York")


def test_times_are_utc_or_local_and_say_so() -> None:
    assert IN_UTC.moment(AT) == "2026-04-03 14:12:05 UTC"
    assert BERLIN.moment(AT) == "2026-04-03 16:12:05 CEST"
    assert (IN_UTC.time_of_day(AT), NEW_YORK.time_of_day(AT)) == ("14:12:05", "10:12:05")
    assert IN_UTC.minute(AT) == "3 Apr 2026 14:12 UTC"
    assert Times.of("America/Sao_Paulo").minute(AT) == "3 Apr 2026 11:12 -03"
    assert (IN_UTC.zone_words, BERLIN.zone_words) == ("UTC", "local time")


def test_a_part_of_time_names_a_day_once() -> None:
    assert IN_UTC.between(0, 3_600) == "1 Jan 1970 00:00 – 01:00 UTC"
    assert IN_UTC.between(0, DAY) == "1 Jan 1970 00:00 – 2 Jan 1970 00:00 UTC"
    # 22:30 to 23:30 in UTC is one day there, and two in Berlin.
    late = datetime(2026, 4, 3, 21, 30, tzinfo=UTC).timestamp()
    assert IN_UTC.between(late, late + 3_600) == "3 Apr 2026 21:30 – 22:30 UTC"
    assert BERLIN.between(late, late + 3_600) == "3 Apr 2026 23:30 – 4 Apr 2026 00:30 CEST"


def test_only_beside_local_times_a_step_of_days_says_that_it_is_utc() -> None:
    assert BERLIN.step_note(DAY) == "Days begin at midnight UTC."
    assert (BERLIN.step_note(3_600), IN_UTC.step_note(DAY)) == ("", "")


def test_a_part_of_time_over_the_end_of_summer_time_names_both_zones() -> None:
    end = datetime(2026, 10, 25, 1, 0, tzinfo=UTC).timestamp()
    shown = BERLIN.between(end - 3_600, end + 3_600)
    assert shown == "25 Oct 2026 02:00 CEST – 03:00 CET"


def test_steps_of_days_are_days_in_utc() -> None:
    assert IN_UTC.step_label(AT, 3_600) == "3 Apr 14:12"
    assert NEW_YORK.step_label(AT, 3_600) == "3 Apr 10:12"
    midnight = AT // DAY * DAY
    assert NEW_YORK.step_label(midnight, DAY) == "3 Apr 2026"
    assert NEW_YORK.step_head(DAY) == "From (UTC)"
    assert NEW_YORK.step_head(3_600) == "From (local time)"


@pytest.mark.parametrize(
    "name",
    ["", "UTC", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "x" * 65, "a\0b", "Ä"],
)
def test_a_zone_that_is_not_known_is_utc(name: str) -> None:
    times = Times.of(name)
    assert times.moment(AT) == "2026-04-03 14:12:05 UTC"
    assert times.name == "UTC"


def test_a_system_without_a_database_of_zones_has_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tzdata", None)
    zoneinfo.reset_tzpath(to=())
    try:
        assert Times.of("Antarctica/Troll") == IN_UTC
    finally:
        zoneinfo.reset_tzpath()


@given(
    st.integers(0, 4_000_000_000 // 60).map(lambda minutes: minutes * 60),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_a_field_of_a_form_gives_back_the_minute_that_it_was_filled_with(
    at: int, name: str
) -> None:
    times = Times.of(name)
    text = times.field(at)
    found = times.typed(text)
    assert found is not None
    # When summer time ends, an hour comes twice.
    assert found in (at, at - 3_600)
    assert times.field(found) == text


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("1970-01-01T01:00", 0),
        ("1970-01-01 01:00", 0),
        ("1970-01-01T01:00:30", 30),
        ("1970-01-01T00:00Z", 0),
        ("0001-01-01T00:00", -62_135_600_008),
        ("9999-12-31T23:59", 253_402_297_140),
        ("noon", None),
        ("", None),
    ],
)
def test_what_was_typed_is_read_in_the_zone_of_the_page(text: str, epoch: int | None) -> None:
    assert BERLIN.typed(text) == epoch


@given(st.text(max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    IN_UTC.typed(text)
    Times.of(text)


def test_the_zones_of_browsers_are_known() -> None:
    assert {"Europe/Berlin", "America/New_York"} <= available_timezones()
