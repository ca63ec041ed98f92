"""Results of the settings' forms, and previews of changes, as pages show them. No HTML."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from fastapi_lens.admin.urls.rules import RuleForm

MOST_LISTED = 200
"""Endpoints that a preview lists; of more it says how many."""


@dataclass(frozen=True, slots=True)
class Item:
    """An endpoint of a preview.

    Attributes:
        href: Its own page.
        note: A remark; may be empty.
    """

    method: str
    path: str
    href: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints with the same effect.

    Attributes:
        sentence: Description of the group.
        items: `MOST_LISTED` at most.
        more: Number of further ones.
    """

    sentence: str
    items: Sequence[Item] = ()
    more: int = 0

    @classmethod
    def of(cls, sentence: str, items: Iterable[Item]) -> Self:
        """A group of all items, of which the first `MOST_LISTED` are listed."""
        listed = list(items)
        return cls(sentence, listed[:MOST_LISTED], max(0, len(listed) - MOST_LISTED))


@dataclass(frozen=True, slots=True)
class Preview:
    """Effect of a change.

    Attributes:
        groups: The most important one first.
    """

    groups: Sequence[Group] = ()

    @property
    def sentence(self) -> str:
        """Its first sentence."""
        return " ".join(group.sentence for group in self.groups[:1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Result of a form.

    Attributes:
        section: Which one.
        typed: Submitted values by name of the setting.
        rule: Submitted values of the rules' form; None for an empty form.
        field: The setting that is wrong; empty where it is none of them.
        sentence: The fault; empty if there is none.
        conflict: True if somebody else changed the section meanwhile.
        preview: Effect of a change.
        said: Confirmation of a change; empty if nothing was changed.
    """

    section: str
    typed: Mapping[str, str] = field(default_factory=dict[str, str])
    rule: RuleForm | None = None
    field: str = ""
    sentence: str = ""
    conflict: bool = False
    preview: Preview | None = None
    said: str = ""
