"""A host's own check of who may look: what `LensConfig(authorize=…)` may be, and what it says.

Pure: no HTTP, no storage. The admin asks the hook, see `fastapi_lens.admin.access.authorize_hook`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias, cast

from fastapi_lens.config.keys import Scope
from fastapi_lens.errors import ConfigError

UNNAMED = "authorize"
"""In the audit log, of those whose name the hook does not tell."""

MAX_NAME = 200
"""Characters of a name that the audit log holds."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a hook may answer instead of a scope alone.

    Attributes:
        scope: What this person may do.
        name: Who it is, for the header of the pages and for the audit log.
    """

    scope: Scope
    name: str = UNNAMED

    def __post_init__(self) -> None:
        """Bring both to what pages and tables can take.

        Raises:
            ValueError: The scope is neither ``read`` nor ``admin``.
        """
        object.__setattr__(self, "scope", Scope(self.scope))
        printable = "".join(letter if letter.isprintable() else " " for letter in str(self.name))
        object.__setattr__(self, "name", printable.strip()[:MAX_NAME] or UNNAMED)


Verdict: TypeAlias = Scope | Access | None
Authorize: TypeAlias = Callable[[Any], Verdict | Awaitable[Verdict]]
"""Takes Starlette's request, without its body; None lets nobody in."""


def access_of(verdict: object) -> Access | None:
    """What a hook has said.

    Raises:
        TypeError: It is none of what a hook may say.
    """
    if verdict is None or isinstance(verdict, Access):
        return verdict
    if isinstance(verdict, Scope):
        return Access(verdict)
    raise TypeError(
        f"authorize has to give a Scope, an Access or None, not {type(verdict).__name__}"
    )


def hook_of(name: str, value: object) -> Authorize:
    """The hook itself; text (as the environment has it) names one as ``module:name``.

    Args:
        name: Of the setting.
        value: A callable, or text.

    Raises:
        ConfigError: It is neither, or there is nothing of this name.
    """
    found = _imported(name, value) if isinstance(value, str) else value
    if not callable(found):
        raise ConfigError(
            name,
            "must be something to call with the request that gives a Scope or None, "
            f"not {type(found).__name__}",
        )
    return cast("Authorize", found)


def _imported(name: str, text: str) -> object:
    module, _, attribute = text.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            name, f"names {text!r}, which cannot be imported; write it like myapp.security:may_look"
        ) from error
