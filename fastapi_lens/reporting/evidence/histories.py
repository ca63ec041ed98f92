"""Histories of endpoints, put together from their rows. Pure: no I/O, no clock.

Where a row does not tell, its endpoint is taken to have been in use: nothing unknown may make it
look safer to remove.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fastapi_lens.errors import OverrideError
from fastapi_lens.reporting.evidence.evidence_rows import DAYS_PER_WEEK, Calls, Stored
from fastapi_lens.reporting.evidence.observation import HOLE_MINUTES, Observation
from fastapi_lens.reporting.ledger.caller_rows import StoredUse
from fastapi_lens.reporting.ledger.ledgers import ShapeLedger
from fastapi_lens.reporting.totals.endpoint_rows import (
    FIRST_CALLED,
    FIRST_SEEN,
    KIND,
    LAST_CALLED,
    NAME,
    TOTAL,
)
from fastapi_lens.verdict.cadence import CADENCE_DAYS
from fastapi_lens.verdict.history import History, Keep, Kind, Noise
from fastapi_lens.verdict.level import IN_USE_DAYS
from fastapi_lens.verdict.overrides import NO_OVERRIDES, Overrides, overrides_of

DAY_US = 86_400_000_000
BREAK_US = HOLE_MINUTES * 60_000_000
"""Absence from the routes, in microseconds, that is a deployment and no removal."""

_KINDS = {str(kind): kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Present:
    """The present state of an app, on which all its histories depend.

    Attributes:
        now_us: Microseconds since the epoch.
        observation: Since when it is watched, and the holes.
        oldest_start: Start of its oldest living worker in microseconds; 0 if none lives.
        open_ids: Endpoints with open calls.
        keeps: Decisions of admins by endpoint.
        has_waiting: True if older counts still wait to be added.
    """

    now_us: int
    observation: Observation
    oldest_start: int
    open_ids: frozenset[int]
    keeps: Mapping[int, Keep]
    has_waiting: bool = False

    @property
    def today(self) -> int:
        """The present day."""
        return self.observation.today

    @property
    def observed_since(self) -> int:
        """The first day that was observed as a whole, if none of its holes is later; or tomorrow.

        What came before the first observed minute is a hole, which touches the day of that minute.
        """
        since = self.observation.since_day
        return self.today + 1 if since is None else since + 1


class Shape:
    """All endpoints of an app that differ in the names of path parameters alone.

    Their uses are those of each of them: a renamed parameter begins no new history.

    Args:
        rows: At least one.
        present: The state of the app.
        uses: Their rows in the ledger of callers; None if callers were never recorded, or if it
            makes no difference who called.
    """

    def __init__(
        self,
        rows: Sequence[Stored],
        present: Present,
        uses: Iterable[StoredUse] | None = None,
    ) -> None:
        """Read nothing of their calls yet."""
        self._rows = rows
        self._present = present
        self._callers = None if uses is None else self._ledger(uses)

    def with_uses(self, uses: Mapping[int, Sequence[StoredUse]]) -> "Shape":
        """The same with the rows of its callers by endpoint; those of other shapes are ignored."""
        own = [use for row in self._rows for use in uses.get(row.id, ())]
        return Shape(self._rows, self._present, own)

    def _ledger(self, uses: Iterable[StoredUse]) -> ShapeLedger:
        unattributed_us = max(row.unattributed_us for row in self._rows)
        evidence_us = max(row.evidence_since for row in self._rows)
        return ShapeLedger.of(
            uses,
            unattributed_day=unattributed_us // DAY_US if unattributed_us else -1,
            # The day on which evidence begins is not whole.
            whole_from=evidence_us // DAY_US + 1 if evidence_us else 0,
            today=self._present.today,
        )

    @property
    def ids(self) -> list[int]:
        """The ids of the endpoints that were ever called."""
        return [row.id for row in self._rows if _is_called(row)]

    @property
    def is_recent(self) -> bool:
        """True if it was used within the days in which every endpoint is in use.

        The gaps between its uses then change no level, see `level_of`.
        """
        last = self._without_noise(self._stored_last_day())
        return last is not None and self._present.today - last <= IN_USE_DAYS

    @property
    def has_route(self) -> bool:
        """True if one of the endpoints is in the routes."""
        return any(map(self.is_in_routes, self._rows))

    def is_in_routes(self, row: Stored) -> bool:
        """True if a living worker, or the last one, has an endpoint in its routes.

        Of an endpoint that is reported only after a call, nothing but its calls is known.
        """
        is_current = row.last_seen_at >= self._present.oldest_start or not _is_reported(row)
        return is_current and not row.removed_at

    def history(self, row: Stored, calls: Mapping[int, Calls]) -> History:
        """The history of one of the endpoints.

        Args:
            row: The endpoint.
            calls: By endpoint; those of an endpoint that was never called may be missing.
        """
        present, overrides = self._present, self._overrides(row)
        found = [calls[each.id] for each in self._rows if each.id in calls]
        days = _merged((each.days for each in found), last=present.today)
        weeks = _merged((each.weeks for each in found), last=present.today)
        last_used = self._without_noise(self._last_used_day(calls))
        if self._callers is not None:
            # Only noise has called since.
            until = -1 if last_used is None else last_used
            days = tuple(day for day in days if day <= until)
            weeks = tuple(week for week in weeks if week <= until)
        # Days of the last week may still be kept, and tell more.
        weeks = tuple(week for week in weeks if not days or week + DAYS_PER_WEEK <= days[0])
        return History(
            today=present.today,
            present_since=self.present_since_us(row) // DAY_US,
            observed_since=present.observed_since,
            days=days,
            weeks=weeks,
            last_used=last_used,
            holes=present.observation.holes,
            kind=_KINDS.get(row.facts[KIND], Kind.HTTP),
            noise=self._noise({day for each in found for day in each.refused}),
            ledger=None if self._callers is None else self._callers.ledger,
            keeps=self._keeps(overrides),
            # The longest period asks for the longest silence.
            cadence=max(
                (each.cadence for each in overrides if each.cadence is not None),
                key=CADENCE_DAYS.__getitem__,
                default=None,
            ),
            has_waiting=present.has_waiting,
        )

    def _noise(self, refused: set[int]) -> Noise:
        callers = self._callers
        if callers is None:
            return Noise(refused_days=len(refused))
        return Noise(callers.noise_days, len(refused), callers.noise_names, callers.refused_users)

    def present_since_us(self, row: Stored) -> int:
        """Time since which an endpoint has been in the routes, and all histories are whole.

        An endpoint of the same shape that was in the routes until this one came counts as well.
        """
        since = _arrival(row)
        if len(self._rows) == 1:
            return max(since, row.evidence_since)
        # The latest first, because each may follow on one that came before it.
        for each in sorted(self._rows, key=_arrival, reverse=True):
            left = each.removed_at or self._last_known_us(each)
            if left + BREAK_US >= since:
                since = min(since, _arrival(each))
        return max(since, *(each.evidence_since for each in self._rows))

    def _last_known_us(self, row: Stored) -> int:
        """Time up to which an endpoint that was not noted as removed was in the routes.

        Until now, unless it is reported only after a call: then its removal is never noted.
        """
        return self._present.now_us if _is_reported(row) else row.last_seen_at

    def last_used_us(self, day: int) -> int:
        """The time of a last use in microseconds; the begin of its day if no more is known.

        Args:
            day: The last used day, see `history`.
        """
        times = (time for row in self._rows for time in (row.last_used_at, row.facts[LAST_CALLED]))
        by_caller = 0 if self._callers is None else self._callers.last_used_at_us
        known = by_caller if by_caller // DAY_US == day else day * DAY_US
        return max((time for time in times if time // DAY_US == day), default=known)

    def _stored_last_day(self) -> int | None:
        if self._is_open:
            return self._present.today
        last = max(row.last_used_at for row in self._rows)
        return last // DAY_US if last else None

    def _without_noise(self, last_used: int | None) -> int | None:
        """The day of the last use by somebody who is no noise, or may be none."""
        if self._callers is None or self._is_open:
            return last_used
        return self._callers.without_noise(last_used)

    @property
    def _is_open(self) -> bool:
        return any(row.id in self._present.open_ids for row in self._rows)

    def _last_used_day(self, calls: Mapping[int, Calls]) -> int | None:
        days = [_last_day_of(row, calls[row.id]) for row in self._rows if row.id in calls]
        known = [day for day in (self._stored_last_day(), *days) if day is not None]
        return max(known, default=None)

    def _overrides(self, row: Stored) -> list[Overrides]:
        """Overrides in the code of the endpoint, and of others of its shape in the routes."""
        rows = [each for each in self._rows if each is row or self.is_in_routes(each)]
        return [_parsed(each.overrides) for each in rows if each.overrides]

    def _keeps(self, overrides: Sequence[Overrides]) -> tuple[Keep, ...]:
        by_admin = (self._present.keeps.get(each.id) for each in self._rows)
        by_code = (each.keep for each in overrides)
        return tuple(keep for keep in (*by_admin, *by_code) if keep is not None)


def _is_called(row: Stored) -> bool:
    return bool(row.facts[FIRST_CALLED] or row.facts[LAST_CALLED] or row.facts[TOTAL])


def _is_reported(row: Stored) -> bool:
    """True if workers report an endpoint without a call."""
    return row.facts[KIND] != Kind.HTTP or bool(row.facts[NAME])


def _arrival(row: Stored) -> int:
    """Time at which an endpoint came into the routes, the last time, in microseconds."""
    first_seen_us: int = row.facts[FIRST_SEEN]
    return max(first_seen_us, row.present_since)


def _last_day_of(row: Stored, calls: Calls) -> int | None:
    """The last used day that the calls of one endpoint tell; None if they tell of no use.

    Rows of an older release do not tell its last use. Its last call is taken for one, unless each
    of its calls is known to have been refused. Of an endpoint that was called only since then, no
    last use says that all were.
    """
    if row.last_used_at or row.first_called_release_id:
        return max(calls.days, default=None)
    last_week = (week + DAYS_PER_WEEK - 1 for week in calls.weeks)
    last = max((*calls.days, *last_week), default=None)
    if last is None and calls.refused_calls < row.facts[TOTAL]:
        last_called_us: int = row.facts[LAST_CALLED]
        return last_called_us // DAY_US
    return last


def _merged(parts: Iterable[Iterable[int]], *, last: int) -> tuple[int, ...]:
    """The days of all parts in order, each once; those of clocks ahead of ours are the last."""
    days = set[int]().union(*parts)
    if max(days, default=last) > last:
        days = {min(day, last) for day in days}
    return tuple(sorted(days))


@lru_cache(maxsize=1_024)
def _parsed(text: str) -> Overrides:
    """The overrides in a row; none if they are invalid, which an import may have brought."""
    try:
        return overrides_of(json.loads(text))
    except (ValueError, RecursionError, OverrideError):
        return NO_OVERRIDES
