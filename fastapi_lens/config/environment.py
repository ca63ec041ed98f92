"""Settings from environment variables. Knows no setting by name and checks no value."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import wraps
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from fastapi_lens.errors import ConfigError

ENV_PREFIX = "LENS_"
_NOTHING = frozenset({"", "none", "null"})

_Config = TypeVar("_Config")


def env_name(setting: str) -> str:
    """The environment variable of a setting: ``LENS_FLUSH_INTERVAL`` of ``flush_interval``."""
    return ENV_PREFIX + setting.upper()


def from_environment(*, removed: Mapping[str, str]) -> Callable[[type[_Config]], type[_Config]]:
    """Class decorator for a dataclass: arguments that are left out come from the environment.

    The signature and the defaults stay those of the dataclass.

    Args:
        removed: Fields of earlier releases, each with what to do instead.
    """

    def decorate(config: type[_Config]) -> type[_Config]:
        init = config.__init__
        hints = get_type_hints(config)
        names = {one.name for one in fields(cast("Any", config)) if one.init}

        @wraps(init)
        def init_from_environment(self: _Config, **given: Any) -> None:
            for name in given.keys() & removed.keys():
                raise ConfigError(name, removed[name])
            for name in names - given.keys():
                text = os.environ.get(env_name(name))
                if text is not None:
                    given[name] = _parsed(text, hints[name])
            init(self, **given)

        type.__setattr__(config, "__init__", init_from_environment)
        return config

    return decorate


def _parsed(text: str, hint: Any) -> Any:
    """The text of a variable, split or decoded if the field has several values."""
    kinds = {get_origin(kind) for kind in (hint, *get_args(hint))}
    if NoneType in get_args(hint) and text.lower() in _NOTHING:
        return None
    if Sequence in kinds:
        return [part.strip() for part in text.split(",") if part.strip()]
    if Mapping in kinds:
        try:
            return json.loads(text)
        except ValueError:
            # The text itself is refused by the field's own check, without repeating it.
            return text
    return text
