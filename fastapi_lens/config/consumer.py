"""Settings that say by which name a caller is known: types, labels and checks. Calls no hook.

The hook `consumer` is called once for each call, after the response, with its ASGI scope. It
returns the name of the caller, or None if it does not know it. It must not wait: until it returns,
the server's event loop does nothing else.
"""

import string
from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, Literal, TypeAlias

from fastapi_lens.errors import ConfigError

Consumer: TypeAlias = Callable[[Any], str | None]
"""A function of the ASGI scope that returns the name of the caller; None if it has none."""

Callers: TypeAlias = Literal["off", "hook", "key", "agent"]
"""The source of the names of callers; each one includes those before it."""

CALLERS: Mapping[str, str] = {
    "off": "Off",
    "hook": "The application's own (consumer)",
    "key": "And API keys, as keyed hashes",
    "agent": "And User-Agents",
}
"""Label of each source."""

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
