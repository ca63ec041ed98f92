import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.display import formats

pytestmark = pytest.mark.unit

DAY = 86_400


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (0.00001, "<0.1%"),
        (0.001, "0.1%"),
        (0.056, "5.6%"),
        (0.9999, "99.9%"),
        (1.0, "100%"),
    ],
)
def test_none_and_all_are_never_the_outcome_of_rounding(share: float, text: str) -> None:
    assert formats.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text", "with_unit"),
    [
        (0.0, "<1", "<1 ms"),
        (0.99, "<1", "<1 ms"),
        (1.0, "1.0", "1.0 ms"),
        (62.14, "62.1", "62.1 ms"),
        (211.4, "211", "211 ms"),
        (1_770.0, "1,770", "1,770 ms"),
        (125_000.0, "125 s", "125 s"),
    ],
)
def test_durations_have_as_many_digits_as_one_reads(
    value: float, text: str, with_unit: str
) -> None:
    assert formats.milliseconds(value) == text
    assert formats.duration(value) == with_unit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (0.9, "just now"),
        (1, "1 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (DAY - 1, "23 h ago"),
        (33 * DAY, "33 d ago"),
        (729 * DAY, "729 d ago"),
        (730 * DAY, "2 y ago"),
    ],
)
def test_ages_are_rounded_down(seconds: float, text: str) -> None:
    assert formats.ago(1e9, 1e9 + seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 seconds"),
        (1, "1 second"),
        (90, "1 minute"),
        (7_200, "2 hours"),
        (DAY, "1 day"),
        (33.9 * DAY, "33 days"),
    ],
)
def test_spans_are_words(seconds: float, text: str) -> None:
    assert formats.span(seconds) == text


def test_moments_are_utc() -> None:
    at = 1_775_225_525.9
    assert formats.timestamp(at) == "2026-04-03T14:12:05Z"
    assert formats.moment(at) == "2026-04-03 14:12:05 UTC"
    assert formats.time_of_day(at) == "14:12:05"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (60, "minute"),
        (300, "5 minutes"),
        (21_600, "6 hours"),
        (DAY, "day"),
        (14 * DAY, "2 weeks"),
        (45, "45 seconds"),
    ],
)
def test_steps_have_a_length_in_words(seconds: int, text: str) -> None:
    assert formats.step_length(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 byte"),
        (640, "640 bytes"),
        (1_000, "1.0 kB"),
        (3_100_000, "3.1 MB"),
        (999_960, "1.0 MB"),
        (5 * 10**12, "5.0 TB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes_have_a_unit(count: int, text: str) -> None:
    assert formats.size(count) == text


def test_nouns_agree_with_their_number() -> None:
    assert formats.plural(1, "endpoint") == "1 endpoint"
    assert formats.plural(1_200, "endpoint") == "1,200 endpoints"
    assert formats.plural(2, "match", "matches") == "2 matches"
    assert (formats.days(1), formats.days(0.5), formats.days(30.0)) == (
        "1 day",
        "0.5 days",
        "30 days",
    )


@given(st.text(alphabet="/{}abc_-:."))
def test_the_parts_of_a_path_are_the_path(path: str) -> None:
    assert "".join(part.text for part in formats.path_parts(path)) == path


@given(st.text(alphabet="/ab?"))
def test_a_path_may_go_on_in_another_line_after_each_slash(path: str) -> None:
    found = formats.pieces(path)
    assert "".join(found) == path
    assert all("/" not in piece[:-1] for piece in found)


def test_parameters_are_told_from_text() -> None:
    assert formats.path_parts("/a/{id}/b-{x:path}") == [
        ("/a/", False),
        ("{id}", True),
        ("/b-", False),
        ("{x:path}", True),
    ]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("app/routers/users.py:41", "routers/users.py:41"),
        ("users.py:41", "users.py:41"),
        ("application/partnership_api.py:41", "partnership_api.py:41"),
        ("", ""),
    ],
)
def test_a_handlers_file_is_named_without_the_folders_above(source: str, shown: str) -> None:
    assert formats.last_parts(source) == shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (7 * 86_400 + 1_800, "7 days"),
        (86_400, "1 day"),
        (25 * 3_600, "25 hours"),
        (3_600, "1 hour"),
        (90 * 60, "90 minutes"),
        (60, "1 minute"),
        (90, "90 seconds"),
    ],
)
def test_a_length_of_time_is_told_in_the_largest_unit_that_is_near(seconds: int, text: str) -> None:
    assert formats.lasting(seconds) == text


@pytest.mark.parametrize(
    ("value_ms", "text"),
    [
        (11_400, "open for 11 s"),
        (400, "open for <1 s"),
        (3_600_000, "open for 1 h"),
        (2 * 365 * 86_400_000, "open for 2 y"),
    ],
)
def test_a_websocket_has_no_duration_but_was_open_for_a_time(value_ms: float, text: str) -> None:
    assert formats.open_for(value_ms) == text


def test_a_day_of_another_year_has_its_year() -> None:
    third_of_april = 1_775_224_800.0
    assert formats.short_day(third_of_april, third_of_april + DAY) == "3 Apr"
    assert formats.short_day(third_of_april, third_of_april + 365 * DAY) == "3 Apr 2026"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("Show a product.", [("Show a product.", False)]),
        (
            "``only`` leaves `x` out",
            [("only", True), (" leaves ", False), ("x", True), (" out", False)],
        ),
        ("a ` alone", [("a ` alone", False)]),
    ],
)
def test_code_in_a_line_is_found_between_backticks(
    text: str, parts: list[tuple[str, bool]]
) -> None:
    assert formats.code_parts(text) == parts
