"""The actions of the audit log, one object each, and their entries. No SQL, no HTML.

`Author.did` makes the entry of an action. It is stored together with the change that it tells of
where there is one, else by `storage.records.audit.add_audit_entry`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.records.audit import AuditEntry

MAX_CLIENT = 64
"""Characters of a client's address that an entry holds."""


class AuditGroup(StrEnum):
    """Actions that are shown together; its value is its name in addresses."""

    CHANGES = "changes"
    ACCESS = "access"
    EXPORTS = "exports"

    @property
    def label(self) -> str:
        """Its name on the page."""
        return _LABELS[self]

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of its actions."""
        return tuple(one.name for one in ACTIONS.values() if one.group is self)


_LABELS = MappingProxyType(
    {
        AuditGroup.CHANGES: "Changes",
        AuditGroup.ACCESS: "Sign-ins",
        AuditGroup.EXPORTS: "Exports",
    }
)


@dataclass(frozen=True, slots=True)
class Action:
    """A kind of action that the audit log lists.

    Attributes:
        name: Name in the database; never changed.
        sentence: Text on the page between the actor and the target: ``changed``.
    """

    name: str
    sentence: str
    group: AuditGroup


SAVE = Action("save", "changed", AuditGroup.CHANGES)
KEEP = Action("keep", "kept on purpose", AuditGroup.CHANGES)
END_KEEP = Action("end_keep", "no longer keeps", AuditGroup.CHANGES)
PURGE = Action("purge", "deleted history of", AuditGroup.CHANGES)
LABEL_CALLER = Action("label_caller", "labelled the caller", AuditGroup.CHANGES)
FORGET_CALLER = Action("forget_caller", "forgot the caller", AuditGroup.CHANGES)
FORGET_CALLERS = Action("forget_callers", "forgot callers:", AuditGroup.CHANGES)
TEST_MESSAGE = Action("test_message", "sent a test message", AuditGroup.CHANGES)
SIGN_IN = Action("sign_in", "signed in", AuditGroup.ACCESS)
SIGN_OUT = Action("sign_out", "signed out", AuditGroup.ACCESS)
SIGN_OUT_EVERYWHERE = Action("sign_out_everywhere", "signed out everywhere", AuditGroup.ACCESS)
WRONG_KEY = Action("wrong_key", "entered a wrong key", AuditGroup.ACCESS)
EXPORT = Action("export", "exported", AuditGroup.EXPORTS)

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        one.name: one
        for one in (
            *(SAVE, KEEP, END_KEEP, PURGE, TEST_MESSAGE),
            *(LABEL_CALLER, FORGET_CALLER, FORGET_CALLERS),
            *(SIGN_IN, SIGN_OUT, SIGN_OUT_EVERYWHERE, WRONG_KEY),
            EXPORT,
        )
    }
)


def sentence_of(name: str) -> str:
    """The sentence of an action; its name in words for one of another release."""
    known = ACTIONS.get(name)
    return name.replace("_", " ") if known is None else known.sentence


@dataclass(frozen=True, slots=True)
class Author:
    """The author of an action.

    Attributes:
        actor: The name of the key or person.
        client: The address; empty where it is unknown.
        now: Epoch seconds.
    """

    actor: str
    client: str
    now: float

    def did(
        self, action: Action, *, target: str = "", before: str = "", after: str = ""
    ) -> AuditEntry:
        """The entry of an action.

        Args:
            action: The action.
            target: The object of the action.
            before: The value before, as text; empty if that would say nothing.
            after: The value after.
        """
        return AuditEntry(
            at_us=microseconds(self.now),
            actor=self.actor,
            client=self.client[:MAX_CLIENT],
            action=action.name,
            target=target,
            before=before,
            after=after,
        )
