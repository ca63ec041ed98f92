import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastapi_lens.recording.log.exceptions import (
    LONGEST_MESSAGE,
    LONGEST_TEXT,
    MOST_FRAMES,
    is_host,
    place_of,
    place_text,
    raised,
    text_of,
    type_name,
    unwrapped,
)

pytestmark = pytest.mark.unit

HERE = "tests/recording/log/test_exceptions.py"


class OddError(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no text either")


def caught(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:  # noqa: BLE001  Whatever it is.
        return error
    raise AssertionError("nothing was raised")


def reads_bad_json() -> None:
    password = "hunter2"
    json.loads("{" + password)


def fails_because_of_it() -> None:
    try:
        reads_bad_json()
    except ValueError as error:
        raise LookupError("no order") from error


def fails_meanwhile() -> None:
    try:
        reads_bad_json()
    except ValueError:
        raise LookupError("no order")  # noqa: B904  That is what is tested.


def goes_deep(depth: int = 100) -> None:
    if depth:
        goes_deep(depth - 1)
    raise ValueError("x" * 100_000)


def test_the_place_is_the_innermost_line_of_the_hosts_own_code() -> None:
    place = place_of(caught(reads_bad_json))
    assert place_text(place).startswith(f"{HERE}:")
    assert place_text(place).endswith("in reads_bad_json")


def test_without_a_line_of_the_host_the_innermost_of_any_is_the_place() -> None:
    error = caught(lambda: eval(compile("1/0", "<made>", "eval")))  # noqa: S307  Made here.
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next
    while error.__traceback__ and is_host(error.__traceback__.tb_frame.f_code.co_filename):
        error.__traceback__ = error.__traceback__.tb_next
    assert place_text(place_of(error)) == "<made>:1 in <module>"
    assert place_text(place_of(ValueError("never raised"))) == ""


def test_the_traceback_has_the_hosts_lines_and_no_value_of_a_variable() -> None:
    text = text_of(raised(caught(reads_bad_json)))
    assert f'  File "{HERE}", line ' in text
    assert 'json.loads("{" + password)' in text
    assert "decoder.py" not in text
    assert "hunter2" not in text.replace('password = "hunter2"', "")
    assert text.splitlines()[-1].startswith("json.decoder.JSONDecodeError: Expecting")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (fails_because_of_it, "The above exception was the direct cause of the following"),
        (fails_meanwhile, "During handling of the above exception, another exception occurred"),
    ],
)
def test_the_traceback_tells_what_led_to_it(function: Callable[[], object], words: str) -> None:
    first, told, last = text_of(raised(caught(function))).partition(words)
    assert told
    assert "JSONDecodeError" in first
    assert last.endswith("LookupError: no order")


def test_an_exception_is_bounded_in_every_direction() -> None:
    found = raised(caught(goes_deep))
    assert len(found.frames) == MOST_FRAMES
    assert len(found.message) == LONGEST_MESSAGE
    assert len(text_of(found)) <= LONGEST_TEXT


def test_an_exception_that_leads_to_itself_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert text_of(raised(one)).count("ValueError: one") == 3


def test_an_exception_that_cannot_say_what_it_is_is_told_without_its_words() -> None:
    assert raised(OddError()).message == "(no message: its __str__ raised RuntimeError)"
    assert text_of(raised(ValueError())) == "ValueError"


def test_a_line_whose_source_cannot_be_read_is_told_by_its_number() -> None:
    code = compile("1/0", "/srv/gone/app.py", "eval")
    text = text_of(raised(caught(lambda: eval(code))))  # noqa: S307  Made here.
    assert text.splitlines()[-2:] == [
        '  File "app.py", line 1, in <module>',
        "ZeroDivisionError: division by zero",
    ]


def test_types_are_named_with_their_module() -> None:
    assert type_name(OddError()) == f"{__name__}.OddError"
    assert type_name(KeyError()) == "KeyError"


def test_the_only_exception_of_a_group_stands_for_it() -> None:
    inner = ValueError("inner")
    assert unwrapped(ExceptionGroup("outer", [ExceptionGroup("middle", [inner])])) is inner
    both = ExceptionGroup("both", [inner, KeyError()])
    assert unwrapped(both) is both


def test_python_and_installed_packages_and_the_lens_are_not_the_host() -> None:
    assert not is_host(json.__file__)
    assert not is_host(pytest.__file__)
    assert not is_host(sys.modules["fastapi_lens.recording.log.exceptions"].__file__ or "")
    assert not is_host("<string>")
    assert is_host(str(Path(__file__).parents[3] / "example_project" / "shop.py"))
