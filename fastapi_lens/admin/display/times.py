"""Times as people read them, in UTC or in a zone of their own. Pure text: no HTML, no clock.

Days that are counted (of verdicts, status codes, and steps of a day or more) are days in UTC
everywhere, because that is how they are kept; `formats.day` names them.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi_lens.admin.display import formats

_NAME = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,2}")
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Times:
    """Times in one zone.

    Attributes:
        zone: The zone.
        name: Its name in the database of the IANA, or ``UTC``.
    """

    zone: tzinfo = UTC
    name: str = "UTC"

    @classmethod
    def of(cls, name: str) -> Self:
        """The times of a zone; UTC if this system does not know it."""
        if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
            return cls()
        try:
            return cls(ZoneInfo(name), name)
        # The last two for names of folders, and for files that are no zones.
        except (ZoneInfoNotFoundError, OSError, ValueError):
            return cls()

    @property
    def is_local(self) -> bool:
        """True in any zone but UTC."""
        return self.zone is not UTC

    @property
    def zone_words(self) -> str:
        """The zone for the head of a column or a label: ``UTC``, ``local time``."""
        return "local time" if self.is_local else "UTC"

    def moment(self, epoch: float) -> str:
        """A time to the second: ``2026-04-03 14:02:05 UTC``, ``2026-04-03 16:02:05 CEST``."""
        at = self._at(epoch)
        return f"{at:%Y-%m-%d %H:%M:%S} {_short(at)}"

    def time_of_day(self, epoch: float) -> str:
        """The time of day, for recent times: ``14:02:05``."""
        return self._at(epoch).strftime("%H:%M:%S")

    def minute(self, epoch: float) -> str:
        """A time to the minute: ``3 Apr 2026 14:02 UTC``."""
        at = self._at(epoch)
        return f"{_minute(at)} {_short(at)}"

    def between(self, start: float, end: float) -> str:
        """A part of time: ``3 Apr 2026 14:00 – 15:00 UTC``, with both days where there are two."""
        first, last = self._at(start), self._at(end)
        until = f"{last:%H:%M}" if first.date() == last.date() else _minute(last)
        # The names of the zone differ where summer time begins or ends in between.
        zone = "" if _short(first) == _short(last) else f" {_short(first)}"
        return f"{_minute(first)}{zone} – {until} {_short(last)}"

    def step_label(self, epoch: float, step_seconds: int) -> str:
        """The start of a step of a chart, no finer than the step: ``3 Apr 14:00``.

        Days are in UTC: ``3 Apr 2026``.
        """
        if step_seconds >= formats.SECONDS_PER_DAY:
            return formats.day(epoch)
        at = self._at(epoch)
        # strftime has no portable form of a day without a leading zero.
        return f"{at.day} {at:%b %H:%M}"

    def step_head(self, step_seconds: int) -> str:
        """The head of the column with the starts of steps: ``From (UTC)``."""
        is_utc = step_seconds >= formats.SECONDS_PER_DAY
        return f"From ({'UTC' if is_utc else self.zone_words})"

    def step_note(self, step_seconds: int) -> str:
        """A sentence where local times are shown and days are not local; otherwise empty."""
        is_day = step_seconds >= formats.SECONDS_PER_DAY
        return "Days begin at midnight UTC." if is_day and self.is_local else ""

    def field(self, epoch: float) -> str:
        """A time as the field of a form has it: ``2026-04-03T14:00``."""
        return self._at(epoch).strftime("%Y-%m-%dT%H:%M")

    def typed(self, text: str) -> int | None:
        """Epoch seconds of a time from the field of a form, or typed as ``2026-04-03 14:00``.

        None for anything else. A time that comes twice, when summer time ends, is the first one.
        """
        try:
            found = datetime.fromisoformat(text)
            at = found if found.tzinfo else found.replace(tzinfo=self.zone)
            return int((at - _EPOCH) / _SECOND)
        except ValueError:
            return None

    def _at(self, epoch: float) -> datetime:
        return formats.utc(epoch).astimezone(self.zone)


IN_UTC = Times()

_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)


def _minute(at: datetime) -> str:
    return f"{at.day} {at:%b %Y %H:%M}"


def _short(at: datetime) -> str:
    """The short name of the zone at a time: ``UTC``, ``CEST``, ``-03``."""
    return at.tzname() or "UTC"
