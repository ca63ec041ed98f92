"""Conversion of a setting's value to the type of its field. Knows types, not what a value means."""

import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any, Literal, Union, cast, get_args, get_origin

from pydantic import SecretStr

from fastapi_lens.config.hooks import hook_of
from fastapi_lens.config.keys import named_keys
from fastapi_lens.config.setting import Setting
from fastapi_lens.errors import ConfigError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def typed(setting: Setting, value: Any, hint: Any) -> Any:
    """Convert a value to the type of its field; text (a variable, a form) is parsed.

    Args:
        setting: Metadata of the field.
        value: The value as it was given.
        hint: The type of the field.

    Raises:
        ConfigError: The value has another type, or is out of bounds.
    """
    # `X | None` and `Optional[X]` have different origins before Python 3.14.
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value is None and types.NoneType in kinds:
        return None
    convert = _CONVERTERS[get_origin(kinds[0]) or kinds[0]]
    return convert(setting, value, kinds[0])


def _wrong(setting: Setting, value: object, expected: str) -> ConfigError:
    either = f"{expected} or None" if setting.unset else expected
    return ConfigError(setting.name, f"must be {either}, not {value!r}", expected)


def _text(value: object) -> str | None:
    """A text, or the path of a path object; None for anything else."""
    if isinstance(value, PathLike):
        value = cast("PathLike[str]", value).__fspath__()
    return value if isinstance(value, str) else None


def _as_strings(setting: Setting, value: Any, _kind: Any) -> tuple[str, ...]:
    # Text is iterable, too, but as letters.
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(setting.name, f"must be a list of text, for example [{value!r}]")
    items: list[str] = []
    for item in cast("Iterable[object]", value):
        text = _text(item)
        if not text:
            raise ConfigError(setting.name, f"must contain text only, not {item!r}")
        items.append(text)
    return tuple(items)


def _as_bool(setting: Setting, value: Any, _kind: Any) -> bool:
    word = str(value).strip().lower() if isinstance(value, bool | str) else ""
    if word not in _TRUE | _FALSE:
        raise _wrong(setting, value, "true or false")
    return word in _TRUE


def _as_number(setting: Setting, value: Any, kind: type[int] | type[float]) -> int | float:
    # A bool is an int in Python, but no number of days.
    if not isinstance(value, bool) and isinstance(value, str | int | float):
        # Infinity overflows when it becomes an int.
        with suppress(ValueError, OverflowError):
            exact, number = float(value), kind(value)
            if math.isfinite(exact) and number == exact and _is_allowed(setting, number):
                return number
    raise _wrong(setting, value, _expected(setting, kind))


def _is_allowed(setting: Setting, number: float) -> bool:
    return (
        (setting.above is None or number > setting.above)
        and (setting.least is None or number >= setting.least)
        and (setting.most is None or number <= setting.most)
    )


def _expected(setting: Setting, kind: type[int] | type[float]) -> str:
    """The numbers that are allowed, in words: ``a whole number from 1 to 36,500``."""
    words = setting.noun or ("a whole number" if kind is int else "a number")
    if setting.above is not None:
        words += f" greater than {setting.above}"
    if setting.least is not None:
        words += f" from {setting.least:,}"
    if setting.most is not None:
        words += f" to {setting.most:,}" if setting.above is None else f", at most {setting.most:,}"
    return words


def _as_text(setting: Setting, value: Any, _kind: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    text = _text(value)
    if text is None:
        # Only the type is shown, because the value may be a secret.
        raise ConfigError(setting.name, f"must be text, not {type(value).__name__}")
    return text


def _as_choice(setting: Setting, value: Any, kind: Any) -> str:
    choices = get_args(kind)
    if value not in choices:
        raise _wrong(setting, value, f"{', '.join(choices[:-1])} or {choices[-1]}")
    return str(value)


_CONVERTERS: Mapping[Any, Callable[[Setting, Any, Any], Any]] = {
    bool: _as_bool,
    int: _as_number,
    float: _as_number,
    str: _as_text,
    Literal: _as_choice,
    Sequence: _as_strings,
    Mapping: lambda _setting, value, _kind: named_keys(value),
    Callable: lambda setting, value, _kind: hook_of(setting, value),
}
"""Converters by the type of a field, or by its generic type."""
