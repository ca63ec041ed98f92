"""A host's own check of who may look: what `LensConfig(authorize=…)` may be, and what it says.

Pure: no HTTP, no storage. The admin asks the hook, see `fastapi_lens.admin.access.authorize_hook`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from fastapi_lens.config.keys import Scope

UNNAMED = "authorize"
"""Name in the audit log if the hook gives none."""

MAX_NAME = 200
"""Length of a name in the audit log, in characters."""


@dataclass(frozen=True, slots=True)
class Access:
    """Result of a hook with a name, in place of a scope alone.

    Attributes:
        scope: Scope of this person.
        name: Name of the person, for the header of the pages and for the audit log.
    """

    scope: Scope
    name: str = UNNAMED

    def __post_init__(self) -> None:
        """Convert the scope, and limit the name to printable characters.

        Raises:
            ValueError: The scope is neither ``read`` nor ``admin``.
        """
        object.__setattr__(self, "scope", Scope(self.scope))
        # A name comes from the host's users; a line break in it could forge a line of a log.
        printable = "".join(letter if letter.isprintable() else " " for letter in str(self.name))
        object.__setattr__(self, "name", printable.strip()[:MAX_NAME] or UNNAMED)


Verdict: TypeAlias = Scope | Access | None
Authorize: TypeAlias = Callable[[Any], Verdict | Awaitable[Verdict]]
"""A function of Starlette's request, without its body; None refuses access."""


def access_of(verdict: object) -> Access | None:
    """The access that a hook has granted.

    Raises:
        TypeError: The result has another type.
    """
    if verdict is None or isinstance(verdict, Access):
        return verdict
    if isinstance(verdict, Scope):
        return Access(verdict)
    raise TypeError(
        f"authorize must return a Scope, an Access or None, not {type(verdict).__name__}"
    )
