"""Types of parsed JSON. Pure."""

from typing import Any, TypeGuard


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """True if the value is a list, as parsed from JSON; every type checker agrees on its type."""
    return isinstance(value, list)
