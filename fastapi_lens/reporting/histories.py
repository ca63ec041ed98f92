"""Histories of endpoints, put together from their rows. Pure: no I/O, no clock.

Where a row does not tell, its endpoint is taken to have been in use: nothing unknown may make it
look safer to remove.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fastapi_lens.errors import OverrideError
from fastapi_lens.reporting.endpoint_rows import FIRST_CALLED, FIRST_SEEN, KIND, LAST_CALLED, TOTAL
from fastapi_lens.reporting.evidence_rows import DAYS_PER_WEEK, Calls, Stored
from fastapi_lens.reporting.observation import HOLE_MINUTES, Observation
from fastapi_lens.verdict.cadence import CADENCE_DAYS
from fastapi_lens.verdict.history import NOISE_WINDOW, History, Keep, Kind, Noise
from fastapi_lens.verdict.level import IN_USE_DAYS
from fastapi_lens.verdict.overrides import NO_OVERRIDES, Overrides, overrides_of

DAY_US = 86_400_000_000
BREAK_US = HOLE_MINUTES * 60_000_000
"""Absence from the routes, in microseconds, that is a deployment and no removal."""

_NOTHING = Calls()


@dataclass(frozen=True, slots=True)
class Present:
    """The present state of an app, on which all its histories depend.

    Attributes:
        now_us: Microseconds since the epoch.
        observation: Since when it is watched, and the holes.
        oldest_start: Start of its oldest living worker in microseconds; 0 if none lives.
        open_ids: Endpoints with open calls.
        keeps: Decisions of admins by endpoint.
    """

    now_us: int
    observation: Observation
    oldest_start: int
    open_ids: frozenset[int]
    keeps: Mapping[int, Keep]

    @property
    def today(self) -> int:
        """The present day."""
        return self.observation.today


class Shape:
    """All endpoints of an app that differ in the names of path parameters alone.

    Their uses are those of each of them: a renamed parameter begins no new history.

    Args:
        rows: At least one.
        present: The state of the app.
    """

    def __init__(self, rows: Sequence[Stored], present: Present) -> None:
        """Read nothing of their calls yet."""
        self._rows = rows
        self._present = present

    @property
    def ids(self) -> list[int]:
        """The ids of the endpoints that were ever called."""
        return [row.id for row in self._rows if _is_called(row)]

    @property
    def is_recent(self) -> bool:
        """True if it was used within the days in which every endpoint is in use.

        The gaps between its uses then change no level, see `level_of`.
        """
        last = self._stored_last_day()
        return last is not None and self._present.today - last <= IN_USE_DAYS

    def is_in_routes(self, row: Stored) -> bool:
        """True if a living worker, or the last one, has an endpoint in its routes."""
        return not row.removed_at and row.last_seen_at >= self._present.oldest_start

    def history(self, row: Stored, calls: Mapping[int, Calls], *, is_whole: bool = True) -> History:
        """The history of one of the endpoints.

        Args:
            row: The endpoint.
            calls: By endpoint; those of an endpoint that was never called may be missing.
            is_whole: False if a rule keeps some of its responses from being counted now.
        """
        observation, today = self._present.observation, self._present.today
        since = observation.since_day
        # What came before the first observed minute is a hole, which touches that day, too.
        is_observed = is_whole and since is not None
        observed_since = today + 1 if since is None or not is_observed else since + 1
        found = [calls.get(each.id, _NOTHING) for each in self._rows]
        refused = set[int]().union(*(each.refused for each in found))
        overrides = self._overrides(row)
        return History(
            today=today,
            present_since=self.present_since_us(row) // DAY_US,
            observed_since=observed_since,
            days=tuple(sorted(set[int]().union(*(each.days for each in found)))),
            weeks=tuple(sorted(set[int]().union(*(each.weeks for each in found)))),
            last_used=self._last_used_day(calls),
            holes=observation.holes,
            kind=_kind_of(row),
            noise=Noise(refused_days=sum(day > today - NOISE_WINDOW for day in refused)),
            keeps=self._keeps(overrides),
            cadence=max(
                (each.cadence for each in overrides if each.cadence is not None),
                key=lambda cadence: CADENCE_DAYS[cadence],
                default=None,
            ),
        )

    def present_since_us(self, row: Stored) -> int:
        """Time since which an endpoint has been in the routes, and all histories are whole.

        An endpoint of the same shape that was in the routes until this one came counts as well.
        """
        since = _arrival(row)
        earlier = sorted((each for each in self._rows), key=_arrival, reverse=True)
        for each in earlier:
            if self._left_at(each) + BREAK_US >= since:
                since = min(since, _arrival(each))
        return max(since, *(each.evidence_since for each in self._rows))

    def last_used_us(self, history: History) -> int:
        """Time of the last use in microseconds, of which perhaps the day alone is known.

        Args:
            history: Of one of the endpoints.
        """
        days = (history.last_used, *history.days[-1:])
        last = max((day for day in days if day is not None), default=None)
        if last is None:
            last = max((week + DAYS_PER_WEEK - 1 for week in history.weeks), default=None)
        if last is None:
            return 0
        known = (each.last_used_at for each in self._rows)
        called = (each.facts[LAST_CALLED] for each in self._rows)
        return max(
            (time for time in (*known, *called) if time // DAY_US == last), default=last * DAY_US
        )

    def _left_at(self, row: Stored) -> int:
        if self.is_in_routes(row):
            return self._present.now_us
        return row.removed_at or row.last_seen_at

    def _stored_last_day(self) -> int | None:
        if any(row.id in self._present.open_ids for row in self._rows):
            return self._present.today
        last = max(row.last_used_at for row in self._rows)
        return last // DAY_US if last else None

    def _last_used_day(self, calls: Mapping[int, Calls]) -> int | None:
        days = [_last_day_of(row, calls[row.id]) for row in self._rows if row.id in calls]
        known = [day for day in (self._stored_last_day(), *days) if day is not None]
        return max(known, default=None)

    def _overrides(self, row: Stored) -> list[Overrides]:
        """What the code says of the endpoint, and of others of its shape in the routes."""
        rows = [each for each in self._rows if each is row or self.is_in_routes(each)]
        return [_parsed(each.overrides) for each in rows if each.overrides]

    def _keeps(self, overrides: Sequence[Overrides]) -> tuple[Keep, ...]:
        by_admin = (self._present.keeps.get(each.id) for each in self._rows)
        by_code = (each.keep for each in overrides)
        return tuple(keep for keep in (*by_admin, *by_code) if keep is not None)


def _is_called(row: Stored) -> bool:
    return bool(row.facts[FIRST_CALLED] or row.facts[LAST_CALLED] or row.facts[TOTAL])


def _arrival(row: Stored) -> int:
    """Time at which an endpoint came into the routes, the last time, in microseconds."""
    first_seen_us: int = row.facts[FIRST_SEEN]
    return max(first_seen_us, row.present_since)


def _last_day_of(row: Stored, calls: Calls) -> int | None:
    """The last used day that the calls of one endpoint tell; None if they tell of no use.

    Rows of an older release do not tell its last use. Its last call is taken for one, unless each
    of its calls is known to have been refused.
    """
    if row.last_used_at:
        return max(calls.days, default=None)
    last_week = (week + DAYS_PER_WEEK - 1 for week in calls.weeks)
    last = max((*calls.days, *last_week), default=None)
    if last is None and calls.refused_calls < row.facts[TOTAL]:
        last_called_us: int = row.facts[LAST_CALLED]
        return last_called_us // DAY_US
    return last


def _kind_of(row: Stored) -> Kind:
    kind = row.facts[KIND]
    return Kind(kind) if kind in list(Kind) else Kind.HTTP


@lru_cache(maxsize=1_024)
def _parsed(text: str) -> Overrides:
    """The overrides in a row; none if they are invalid, which an import may have brought."""
    try:
        return overrides_of(json.loads(text))
    except (ValueError, RecursionError, OverrideError):
        return NO_OVERRIDES
