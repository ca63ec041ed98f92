"""State of the page of one endpoint in its address. No I/O, no HTML."""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from fastapi_lens.admin.urls.query_string import address, fields_of
from fastapi_lens.admin.urls.window import DEFAULT_WINDOW, WindowChoice
from fastapi_lens.reporting.model import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointQuery:
    """State of the page of one endpoint.

    Attributes:
        window: The chosen window, to which the link back from a part leads.
        part: A shorter time that is shown in its place: start and end in epoch seconds, both
            whole minutes. Invalid values become ``None``.
    """

    window: WindowChoice = DEFAULT_WINDOW
    part: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Widen the part to whole minutes, and drop an impossible one."""
        if self.part is not None:
            start, end = self.part
            start, end = start // _MINUTE * _MINUTE, -(-end // _MINUTE) * _MINUTE
            # Compared as sent: an empty part would become a whole minute by widening.
            sensible = start >= 0 and end <= MAX_MOMENT and self.part[0] < self.part[1]
            object.__setattr__(self, "part", (start, end) if sensible else None)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address, or the part of it from the question mark on."""
        fields = fields_of(url)
        start, end = (_moment(fields.get(name, [""])[-1]) for name in ("from", "to"))
        return cls(
            window=WindowChoice.read(fields.get("days", [""])[-1]),
            part=None if start is None or end is None else (start, end),
        )

    def url(self, path: str = "") -> str:
        """The canonical address, see `EndpointsQuery.url`."""
        pairs = [] if self.window is DEFAULT_WINDOW else [("days", str(self.window))]
        if self.part is not None:
            pairs += zip(("from", "to"), map(_moment_text, self.part), strict=True)
        return address(path, pairs)

    def with_part(self, start: int, end: int) -> Self:
        """The same with a part of time, in epoch seconds."""
        return replace(self, part=(start, end))

    @property
    def shown(self) -> Window:
        """The window whose calls are counted."""
        return self.window.window if self.part is None else Window.between(*self.part)


def _moment(text: str) -> int | None:
    """Epoch seconds of ``2026-04-03T14:00Z`` or of minutes since the epoch; otherwise None."""
    # Not isdigit, which accepts digits that int refuses, such as superscripts.
    if re.fullmatch("[0-9]{1,9}", text):
        return int(text) * _MINUTE
    try:
        return int(datetime.strptime(text, _MOMENT).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _moment_text(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime(_MOMENT)


MAX_MOMENT = 4_102_444_800
"""The year 2100: times in addresses lie before it."""


_MINUTE = 60


_MOMENT = "%Y-%m-%dT%H:%MZ"
