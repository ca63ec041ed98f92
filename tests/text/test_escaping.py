import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.text.escaping import visible, visible_json, visible_lines

pytestmark = pytest.mark.unit

DRAWN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
TRICKS = st.text(
    st.sampled_from(
        "ab\u0645é\u2764\n\r\t\x1b\x9b\u202e\u2066\u061c\u2800\u200b\u200d\u2028\ufe0f\ud800\\"
    )
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nINFO forged", "a\\nINFO forged"),
        ("\x1b[2K\x9b1A\x07", "\\x1b[2K\\x9b1A\\x07"),
        ("txt.\u202eexe", "txt.\\u202eexe"),
        ("\u2066a\u2069\u200e\u061c", "\\u2066a\\u2069\\u200e\\u061c"),
        ("ad\u200bmin\u2060\ufeff\xad", "ad\\u200bmin\\u2060\\ufeff\\xad"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("a\u200db\u200cc", "a\\u200db\\u200cc"),
        ("a\ufe0fb\u3164", "a\\ufe0fb\\u3164"),
        ("\ud83d x", "\\ud83d x"),
        ("\U000e0041", "\\U000e0041"),
        ("\u0645\u200d\ufe0f", "\u0645\\u200d\\ufe0f"),
        ("a\ufe0f\u200d\u0645", "a\\ufe0f\\u200d\u0645"),
        ("\u061c\u200d\u0645", "\\u061c\\u200d\u0645"),
        ("\u0645\u200d\u2800", "\u0645\\u200d\\u2800"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    ["/users/{id}", "שלום/עולם", "می\u200cخواهم", "क्\u200dष", "👩\u200d👩\u200d👧",
     "❤\ufe0f\u200d🔥",
     "1\ufe0f\u20e3", "葛\U000e0100",
     "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
     "日本 café", DRAWN],
)  # fmt: skip
def test_letters_of_every_script_stay_as_they_are(text: str) -> None:
    assert visible(text) == text


def test_every_control_and_format_character_is_written_out_between_letters() -> None:
    hidden = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    ]
    assert [one for one in hidden if visible(f"a{one}b") == f"a{one}b"] == list(DRAWN)


@given(TRICKS)
def test_a_text_is_one_line_of_what_can_be_encoded(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert visible(shown) == shown


@given(TRICKS)
def test_lines_stay_lines(text: str) -> None:
    assert visible_lines(text).count("\n") == text.count("\n")
    assert not {"\r", "\x1b", "\u202e", "\ud800"} & set(visible_lines(text))


@given(st.dictionaries(TRICKS, TRICKS))
def test_json_means_the_same(values: dict[str, str]) -> None:
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    shown = visible_json(text)
    assert json.loads(shown) == values
    assert not {"\x9b", "\u202e", "\u2028", "\ud800"} & set(shown)


class LiarError(Exception):
    """Its message begins lines of its own."""


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("saw %s", ("a\nINFO forged",)),
        ("saw %(path)s", ({"path": "a\nINFO forged"},)),
        ("saw %s of %d", (LiarError("a\r\nINFO forged"), 3)),
        ("saw %r", ("a\u2028INFO forged\u202e",)),
    ],
)
def test_nothing_in_a_record_begins_a_line(
    caplog: pytest.LogCaptureFixture, message: str, arguments: tuple[object, ...]
) -> None:
    logging.getLogger("fastapi_lens").warning(message, *arguments)
    (line,) = caplog.text.splitlines()
    assert "forged" in line


def test_no_line_of_a_traceback_begins_as_a_record_does(caplog: pytest.LogCaptureFixture) -> None:
    error = LiarError("a\nINFO forged\x1b[2K\r\u202e")
    logging.getLogger("fastapi_lens").error("failed", exc_info=error)
    first, *rest = caplog.text.splitlines()
    assert first.endswith("failed")
    assert "  INFO forged\\x1b[2K\\r\\u202e" in rest
    assert all(line.startswith("  ") for line in rest)
    assert caplog.records[0].exc_info


def test_a_record_without_an_exception_at_hand_is_let_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logging.getLogger("fastapi_lens").warning("plain", exc_info=(None, None, None))
    assert "plain" in caplog.text
