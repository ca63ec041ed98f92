import inspect
from functools import partial, wraps
from typing import Any

import pytest

from fastapi_lens.recording.routes.handler_info import Handler, describe, layers, unwrapped

pytestmark = pytest.mark.unit


def documented() -> None:
    """Say what it does.

    And why.
    """


class Callable:
    """Answer requests."""

    def __call__(self) -> None: ...


class Silent(Callable):
    pass


def decorated(function: Any) -> Any:
    @wraps(function)
    def wrapper(*values: Any) -> Any:
        return function(*values)

    return wrapper


def line_of(source: str) -> int:
    file, _, line = source.partition(":")
    assert file == "tests/recording/routes/test_handler_info.py"
    return int(line)


def test_a_function_is_named_placed_and_summed_up() -> None:
    found = describe(documented)
    assert found.name.endswith("test_handler_info.documented")
    assert line_of(found.source) == inspect.getsourcelines(documented)[1]
    assert found.summary == "Say what it does."


def test_what_is_wrapped_is_looked_through() -> None:
    layered = partial(decorated(partial(decorated(documented))))
    assert unwrapped(layered) is documented
    assert describe(layered) == describe(documented)


def test_a_class_and_its_instances_are_placed_at_the_class() -> None:
    assert describe(Callable()) == describe(Callable)
    assert line_of(describe(Callable).source) < line_of(describe(Silent).source)
    assert describe(Callable).summary == "Answer requests."


def test_the_docstring_of_a_base_class_is_not_the_handlers() -> None:
    assert describe(Silent).summary == ""


def test_a_file_that_nothing_is_imported_from_is_named_alone() -> None:
    names: dict[str, Any] = {"__name__": "odd"}
    exec(compile("\ndef f(): ...", "/nowhere/odd.py", "exec"), names)  # noqa: S102
    assert describe(names["f"]).source == "odd.py:2"


def test_what_is_written_in_no_file_has_no_source() -> None:
    made = type("Made", (), {})
    made.__module__ = "builtins"
    assert describe(made) == Handler("builtins.Made", "", "")


class Everything:
    """Has any attribute, as some mocks and proxies do."""

    def __getattr__(self, name: str) -> "Everything":
        return Everything()


def its_own() -> None:
    """Its summary."""


its_own.__wrapped__ = its_own  # type: ignore[attr-defined]


def one() -> None: ...


def other() -> None: ...


one.__wrapped__, other.__wrapped__ = other, one  # type: ignore[attr-defined]


@pytest.mark.parametrize("endpoint", [its_own, one, Everything()])
def test_what_wraps_itself_is_unwrapped_to_an_end(endpoint: Any) -> None:
    assert 1 < len(list(layers(endpoint))) <= 100


def test_a_function_that_wraps_itself_is_described() -> None:
    assert describe(its_own).summary == "Its summary."
    assert describe(its_own).name.endswith("its_own")


def test_an_object_that_has_every_attribute_is_described_by_its_class() -> None:
    assert describe(Everything()) == describe(Everything)


@pytest.mark.parametrize(
    ("documentation", "summary"),
    [
        ("```http\nGET /items\n```\n\nList items.", "List items."),
        ("\n~~~\ncode\n~~~\nSay it.\n```\nmore\n```", "Say it."),
        ("```http\nGET /items\n```", ""),
        ("```GET /items``` lists items.", "```GET /items``` lists items."),
        ("Say it.\n```\ncode\n```", "Say it."),
    ],
)
def test_a_block_of_code_is_no_summary(documentation: str, summary: str) -> None:
    def handler() -> None: ...

    handler.__doc__ = documentation
    assert describe(handler).summary == summary
