"""Functions of the host that settings name: callables, or texts that import one. Calls none."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from fastapi_lens.config.setting import Setting
from fastapi_lens.errors import ConfigError


def hook_of(setting: Setting, value: object) -> Callable[..., Any]:
    """The hook itself; text, for example from the environment, names one as ``module:name``.

    Args:
        setting: Metadata of the setting; its noun says what the hook is, its example names one.
        value: A callable, or text.

    Raises:
        ConfigError: It is neither, or there is nothing of this name.
    """
    found = _imported(setting, value) if isinstance(value, str) else value
    if not callable(found):
        raise ConfigError(setting.name, f"must be {setting.noun}, not {type(found).__name__}")
    return cast("Callable[..., Any]", found)


def _imported(setting: Setting, text: str) -> object:
    module, _, attribute = text.partition(":")
    try:
        return getattr(import_module(module), attribute)
    # An empty name of a module raises the ValueError.
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            setting.name,
            f"names {text!r}, which cannot be imported; write it like {setting.example}",
        ) from error
