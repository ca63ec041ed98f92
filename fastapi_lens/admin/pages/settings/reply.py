"""What came of a form of the settings, and what a change would do, as pages show it. No HTML."""

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
        note: What is to be said of it; may be empty.
    """

    method: str
    path: str
    href: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints to which the same would happen.

    Attributes:
        sentence: What that is.
        items: `MOST_LISTED` at most.
        more: How many there are besides.
    """

    sentence: str
    items: Sequence[Item] = ()
    more: int = 0

    @classmethod
    def of(cls, sentence: str, items: Iterable[Item]) -> Self:
        """All of these, as far as they are listed."""
        listed = list(items)
        return cls(sentence, listed[:MOST_LISTED], max(0, len(listed) - MOST_LISTED))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would do.

    Attributes:
        groups: The first one says what matters most.
        error: Why it cannot be made; empty where it can.
    """

    groups: Sequence[Group] = ()
    error: str = ""

    @property
    def sentence(self) -> str:
        """What it says first."""
        return self.error or " ".join(group.sentence for group in self.groups[:1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a form.

    Attributes:
        section: Which one.
        typed: What was typed into it, by name of the setting.
        rule: What was typed into the form of the rules; None for an empty form.
        field: The setting that is wrong; empty where it is none of them.
        sentence: What is wrong; empty where nothing is.
        conflict: Whether somebody else was quicker.
        preview: What a change would do.
        said: What is told of a change that was made; empty where none was.
    """

    section: str
    typed: Mapping[str, str] = field(default_factory=dict[str, str])
    rule: RuleForm | None = None
    field: str = ""
    sentence: str = ""
    conflict: bool = False
    preview: Preview | None = None
    said: str = ""
