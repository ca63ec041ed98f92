"""Settings that say by which name a caller is known: types, labels and checks. Calls no hook.

The hook `consumer` is called once for each call, after the response, with its ASGI scope. It
returns the name of the caller, or None if it does not know it. It must not wait: until it returns,
the server's event loop does nothing else.
"""

import string
from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutinefunction
from typing import Any, Literal, TypeAlias

from fastapi_lens.config.setting import Setting
from fastapi_lens.errors import ConfigError

Consumer: TypeAlias = Callable[[Any], str | None]
"""A function of the ASGI scope that returns the name of the caller; None if it has none."""

Callers: TypeAlias = Literal["off", "hook", "key", "agent"]
"""The source of the names of callers; each one includes those before it."""

CALLERS: Mapping[str, str] = {
    "": "Consumer, if the code has one",
    "off": "Off",
    "hook": "Consumer",
    "key": "Consumer, API key",
    "agent": "Consumer, API key, User-Agent",
}
"""Label of each source; empty is the default."""

MAX_NOISE = 200
"""Most names of noise."""

MAX_NAME_LENGTH = 200
"""Length of the column of a caller's name."""

_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")
"""The characters of a header's name, see RFC 9110, section 5.6.2."""


def check_consumer(name: str, consumer: Consumer | None) -> None:
    """Refuse a coroutine function, which nobody would await.

    Args:
        name: Name of the setting.
        consumer: Its value.

    Raises:
        ConfigError: It is a coroutine function.
    """
    if iscoroutinefunction(consumer) or iscoroutinefunction(getattr(consumer, "__call__", None)):  # noqa: B004  Not whether, but what.
        raise ConfigError(
            name,
            "must be a plain function, as it is called after the response: define it with def, "
            "not async def, and let it return what the application has put into the scope",
        )


def noise_names(setting: Setting, names: Iterable[str]) -> tuple[str, ...]:
    """The names of noise without surrounding spaces.

    Args:
        setting: Metadata of the setting.
        names: Its value.

    Raises:
        ConfigError: A name is empty or too long, cannot be printed or has a comma, or there are too
            many.
    """
    stripped = tuple(name.strip() for name in names)
    problem = ""
    if len(stripped) > MAX_NOISE:
        problem = f"must have at most {MAX_NOISE} names"
    for name in stripped:
        if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable() or "," in name:
            problem = (
                f"must have names of 1 to {MAX_NAME_LENGTH} characters without commas and control "
                f"characters, like kube-probe, not {name!r}"
            )
    if problem:
        raise ConfigError(setting.name, problem, setting.noun)
    return stripped


def check_header(name: str, header: str) -> None:
    """Refuse a text that no header can have as its name.

    Args:
        name: Name of the setting.
        header: Its value.

    Raises:
        ConfigError: A character is not allowed in a header's name, or it is empty.
    """
    if not header or not _TOKEN.issuperset(header):
        raise ConfigError(
            name,
            f"must be the name of a header, like x-api-key, without spaces and colons, "
            f"not {header!r}",
        )
