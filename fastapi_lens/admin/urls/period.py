"""The period of a page in its address: query string ↔ frozen value. No I/O, no clock, no HTML.

``Period.of(fields_of(address("", period.pairs))) == period`` for every value. Invalid values fall
back to the default and are never an error.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from fastapi_lens.reporting.model import Window
from fastapi_lens.settings.status import SECONDS_PER_DAY

MAX_MOMENT = 4_102_444_800
"""The year 2100: times in addresses lie before it."""

NAMES = ("days", "from", "to", "start", "end")
"""The parameters of a period."""

SHOWN = "shown"
"""The field of the picker with the query of the address that it was shown on."""

_MINUTE = 60
_MOMENT = "%Y-%m-%dT%H:%MZ"
_LONGEST_TYPED = 40


class WindowChoice(StrEnum):
    """The windows that a page offers; the value is that in the address."""

    HOUR = "1h"
    DAY = "1"
    WEEK = "7"
    MONTH = "30"
    QUARTER = "90"
    ALL = "all"

    @classmethod
    def read(cls, text: str) -> "WindowChoice":
        """The choice of an address: ``1h``, ``24h``, ``7``, ``7d``, ``all``, or the default."""
        text = text.strip().lower()
        text = "1" if text == "24h" else text
        if text not in list(cls):
            text = text.removesuffix("d")
        return cls(text) if text in list(cls) else DEFAULT_WINDOW

    @property
    def window(self) -> Window:
        """The window itself."""
        if self is WindowChoice.ALL:
            return Window()
        return Window(3_600 if self is WindowChoice.HOUR else int(self) * SECONDS_PER_DAY)

    @property
    def label(self) -> str:
        """Short text for a button."""
        return {"1h": "1h", "1": "24h", "all": "All"}.get(self, f"{self}d")

    @property
    def words(self) -> str:
        """Completes a sentence: ``calls in …``."""
        named = {"1h": "the last hour", "1": "the last 24 hours", "all": "all time"}
        return named.get(self, f"the last {self} days")


DEFAULT_WINDOW = WindowChoice.WEEK


def _cleaned(text: str) -> str:
    """A time as it was typed, as far as an address holds it."""
    return re.sub(r"[^0-9A-Za-z:.+ -]", "", text)[:_LONGEST_TYPED].strip()


@dataclass(frozen=True, slots=True)
class Period:
    """The period that all numbers of a page are of.

    Attributes:
        choice: One of the windows that are offered; shown unless there is a part.
        part: A time that is shown in its place: start and end in epoch seconds, both whole
            minutes. Invalid values become None.
        typed: The texts of a start and an end that were typed and make no part; both are empty
            after any valid choice.
    """

    choice: WindowChoice = DEFAULT_WINDOW
    part: tuple[int, int] | None = None
    typed: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        """Widen the part to whole minutes, drop an impossible one, and shorten what was typed."""
        start, end = (_cleaned(text) for text in self.typed)
        object.__setattr__(self, "typed", (start, end))
        if self.part is not None:
            start_at, end_at = self.part
            widened = start_at // _MINUTE * _MINUTE, -(-end_at // _MINUTE) * _MINUTE
            # Compared as sent: an empty part would become a whole minute by widening.
            sensible = widened[0] >= 0 and widened[1] <= MAX_MOMENT and start_at < end_at
            object.__setattr__(self, "part", widened if sensible else None)

    @classmethod
    def of(cls, fields: Mapping[str, Sequence[str]]) -> Self:
        """The period in the fields of an address."""
        texts = {name: fields.get(name, [""])[-1] for name in NAMES}
        start, end = _moment(texts["from"]), _moment(texts["to"])
        return cls(
            WindowChoice.read(texts["days"]),
            None if start is None or end is None else (start, end),
            (texts["start"], texts["end"]),
        )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters of an address; never empty.

        The default is named as well, so that an address shows the same to everybody: one without a
        period is shown with the period that the browser remembers.
        """
        found = [("days", str(self.choice))]
        if self.part is not None:
            found += zip(("from", "to"), map(moment_text, self.part), strict=True)
        return found + [
            (name, text) for name, text in zip(("start", "end"), self.typed, strict=True) if text
        ]

    @property
    def key(self) -> str:
        """A text that differs between periods, as part of an id."""
        return "-".join(value for _, value in self.pairs)

    @property
    def window(self) -> Window:
        """The window whose calls are counted."""
        return self.choice.window if self.part is None else Window.between(*self.part)

    @property
    def label(self) -> str:
        """Short text for a button."""
        return self.choice.label if self.part is None else "From – to"

    @property
    def words(self) -> str:
        """Completes a sentence: ``calls in …``; `display.periods` has the times of a part."""
        return self.choice.words if self.part is None else "the chosen period"

    def between(self, start: int, end: int) -> Self:
        """A part of time in its place, in epoch seconds."""
        return replace(self, part=(start, end), typed=("", ""))

    def whole(self) -> Self:
        """The window that a part was chosen in."""
        return replace(self, part=None, typed=("", ""))

    def earlier(self, now: float) -> Self | None:
        """The period of the same length before this one; None for all time and before the epoch."""
        bounds = self._bounds(now)
        if bounds is None:
            return None
        start, end = bounds
        found = self.between(start - (end - start), start)
        return found if found.part else None

    def later(self, now: float) -> Self | None:
        """The period of the same length after this one; None where it has not begun.

        The window up to now follows on a part of its length.
        """
        if self.part is None:
            return None
        start, end = self.part
        length, present = end - start, int(now) // _MINUTE * _MINUTE
        if end >= present:
            return None
        if length == self.choice.window.seconds and end + length >= present:
            return self.whole()
        found = self.between(end, end + length)
        return found if found.part else None

    def _bounds(self, now: float) -> tuple[int, int] | None:
        if self.part is not None:
            return self.part
        length, end = self.choice.window.seconds, int(now) // _MINUTE * _MINUTE
        return None if length is None else (end - length, end)


DEFAULT_PERIOD = Period()


def is_named(fields: Mapping[str, Sequence[str]]) -> bool:
    """True if the fields of an address name a period."""
    return any(name in fields for name in NAMES)


def moment_text(epoch: int) -> str:
    """Epoch seconds as addresses have them: ``2026-04-03T14:00Z``."""
    return datetime.fromtimestamp(epoch, UTC).strftime(_MOMENT)


def _moment(text: str) -> int | None:
    """Epoch seconds of ``2026-04-03T14:00Z`` or of minutes since the epoch; otherwise None."""
    # Not isdigit, which accepts digits that int refuses, such as superscripts.
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text) * _MINUTE
    try:
        return int(datetime.strptime(text, _MOMENT).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
