"""Values of settings as the types of their fields, from arguments or from the environment.

Knows the types, not what a value means.
"""

import math
import os
import types
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin

from fastapi_lens.config.authorize import hook_of
from fastapi_lens.config.keys import KeyConfig, named_keys
from fastapi_lens.errors import ConfigError

ENV_PREFIX = "LENS_"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_NOTHING = frozenset({"", "none", "null"})


def env_name(setting: str) -> str:
    """The environment variable of a setting: ``LENS_FLUSH_INTERVAL`` of ``flush_interval``."""
    return ENV_PREFIX + setting.upper()


def typed(name: str, value: Any, hint: Any) -> Any:
    """Bring a value to the type of its field; text (of the environment) is parsed.

    Args:
        name: Of the setting.
        value: As it was given.
        hint: The type of the field.

    Raises:
        ConfigError: It is of another type.
    """
    optional = get_origin(hint) in (Union, types.UnionType)
    if optional:
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
        if value is None or (_from_environment(name, value) and value.lower() in _NOTHING):
            return None
    return _MAKERS[get_origin(hint) or hint](name, value)


def _from_environment(name: str, value: Any) -> bool:
    """Whether the value is text as the environment has it (an explicit one may equal it)."""
    return isinstance(value, str) and value == os.environ.get(env_name(name))


def _as_strings(name: str, value: Any) -> tuple[str, ...]:
    if _from_environment(name, value):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ConfigError(name, f"must be a list of text, for example [{value!r}]")
    items: list[str] = []
    for item in cast("Iterable[object]", value):
        if not isinstance(item, str | Path) or not str(item):
            raise ConfigError(name, f"must hold text only, not {item!r}")
        items.append(str(item))
    return tuple(items)


def _as_bool(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ConfigError(name, f"must be true or false, not {value!r}")


def _as_number(name: str, value: Any, kind: type[int] | type[float]) -> int | float:
    what = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError(name, f"must be {what}, not {value!r}")
    try:
        number = kind(value)
        usable = math.isfinite(number) and (kind is float or number == float(value))
    except (ValueError, OverflowError) as error:
        raise ConfigError(name, f"must be {what}, not {value!r}") from error
    if not usable:
        raise ConfigError(name, f"must be {what}, not {value!r}")
    return number


def _as_keys(name: str, value: Any) -> dict[str, KeyConfig]:
    return named_keys(value, as_json=_from_environment(name, value))


def _as_text(name: str, value: Any) -> str:
    if not isinstance(value, str | Path):
        # Only the type is told: the value may be a secret.
        raise ConfigError(name, f"must be text, not {type(value).__name__}")
    return str(value)


_MAKERS: Mapping[Any, Callable[[str, Any], Any]] = {
    bool: _as_bool,
    int: partial(_as_number, kind=int),
    float: partial(_as_number, kind=float),
    str: _as_text,
    tuple: _as_strings,
    Mapping: _as_keys,
    Callable: hook_of,
}
"""By the type of a field, or what its type is made of."""
