"""EvidenceReader: all endpoints of one app with their verdicts. Knows no HTML."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.engine import Connection

from fastapi_lens.reporting.endpoint_rows import FIRST_CALLED, endpoint_of, with_open
from fastapi_lens.reporting.evidence import WEEKS, AppEvidence, Judged
from fastapi_lens.reporting.evidence_rows import (
    DAYS_PER_WEEK,
    Calls,
    Stored,
    read_calls,
    read_endpoints,
    read_shape,
    read_uses,
)
from fastapi_lens.reporting.gone import Gone, read_gone
from fastapi_lens.reporting.histories import DAY_US, Present, Shape
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.observation import Observation, read_observation, release_names
from fastapi_lens.reporting.weeks import weeks_of
from fastapi_lens.reporting.workers import State, read_state
from fastapi_lens.settings.settings import Settings
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.storage.engine.clock_skew import EARLIEST, microseconds
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.text.path_shapes import shape_of
from fastapi_lens.verdict.days import Holes
from fastapi_lens.verdict.history import Keep
from fastapi_lens.verdict.verdict import verdict_of

BACKLOG_SECONDS = 300.0
"""Age of counts in the inbox beyond which the days since then are a hole: calls may be missing."""

_NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Scope:
    """The endpoints to judge, and what their verdicts depend on besides the rows.

    Attributes:
        app: Name of the app.
        settings: The active settings.
        retention: Retention of each tier.
        keeps: Decisions of admins by endpoint.
    """

    app: str
    settings: Settings
    retention: Retention
    keeps: Mapping[int, Keep]


def read_evidence(connection: Connection, scope: Scope, *, now: float) -> AppEvidence:
    """All endpoints of an app with their verdicts.

    Args:
        connection: In a reading transaction.
        scope: The app.
        now: Epoch seconds.
    """
    reading = _Reading(connection, scope, now)
    rows = read_endpoints(connection, scope.app)
    gone = reading.gone()
    shapes = reading.shapes(rows)
    judged = [
        row
        for row in rows
        if scope.settings.is_recorded(row.method, row.path)
        and row.path.startswith("/")
        and (shapes[row.shape_id].is_in_routes(row) or row.id in gone)
    ]
    silent = {row.shape_id for row in judged if not shapes[row.shape_id].is_recent}
    calls = reading.calls(rows, [shapes[shape] for shape in silent])
    found = [reading.judged(row, shapes[row.shape_id], calls, gone) for row in yield_gil(judged)]
    return AppEvidence(
        observation=reading.observation,
        releases=tuple(name for name in reversed(reading.releases.values()) if name),
        endpoints=tuple(one for one in found if one.removed_at is None),
        removed=tuple(one for one in found if one.removed_at is not None),
    )


def read_judged(
    connection: Connection, scope: Scope, identity: int, *, now: float
) -> Judged | None:
    """One endpoint with its verdict, judged in full; None if there is none to judge.

    Args:
        connection: In a reading transaction.
        scope: The app.
        identity: The id of the endpoint.
        now: Epoch seconds.
    """
    rows = read_shape(connection, scope.app, identity)
    row = next((one for one in rows if one.id == identity), None)
    if (
        row is None
        or not row.path.startswith("/")
        or not scope.settings.is_recorded(row.method, row.path)
    ):
        return None
    reading = _Reading(connection, scope, now)
    shapes = reading.shapes(rows)
    calls = reading.calls(rows, list(shapes.values()))
    found = reading.judged(row, shapes[row.shape_id], calls, reading.gone())
    return with_weeks(connection, [found], scope, now=now)[0]


def with_weeks(
    connection: Connection, judged: Sequence[Judged], scope: Scope, *, now: float
) -> list[Judged]:
    """Judged endpoints with their weeks.

    Args:
        connection: In a reading transaction.
        judged: A page of them; the cost depends on their number.
        scope: The app.
        now: Epoch seconds.
    """
    today = int(now) // SECONDS_PER_DAY
    first_day = _first_day(scope.retention, now)
    since = max(first_day, today - WEEKS * DAYS_PER_WEEK + 1)
    ids = sorted({identity for one in judged for identity in one.ids})
    uses = read_uses(connection, ids, first_day=since, today=today)
    return [_with_weeks(one, uses, first_day) for one in yield_gil(judged)]


def _with_weeks(judged: Judged, uses: Mapping[int, Mapping[int, int]], first_day: int) -> Judged:
    history = judged.history
    by_day = Counter[int]()
    for identity in judged.ids:
        by_day.update(uses[identity])
    not_known = ((0, history.observed_since - 1), (0, first_day - 1))
    holes = Holes.of((*history.holes, *not_known))
    weeks = weeks_of(by_day, holes, since=history.present_since, today=history.today)
    return replace(judged, weeks=weeks)


def _first_day(retention: Retention, now: float) -> int:
    """The first day whose rows are kept."""
    kept = retention.kept_seconds(Tier.DAY)
    return 0 if kept is None else max(0, int(now) - kept) // SECONDS_PER_DAY


class _Reading:
    """What the endpoints of one app have in common at one time."""

    def __init__(self, connection: Connection, scope: Scope, now: float) -> None:
        self._connection, self._scope, self._now = connection, scope, now
        state = read_state(connection, app=scope.app, now=now)
        observed = read_observation(connection, scope.app, now=now)
        self.observation = _with_backlog(observed, state, now)
        self._state = state
        self._present = Present(
            now_us=microseconds(now),
            observation=self.observation,
            oldest_start=state.oldest_start,
            open_ids=frozenset(state.opened),
            keeps=scope.keeps,
        )
        self._first_day = _first_day(scope.retention, now)
        found = release_names(connection, scope.app)
        self.releases = {release.id: release.name for release in found}

    def gone(self) -> Mapping[int, Gone]:
        """Calls of removed endpoints, by endpoint."""
        return read_gone(
            self._connection,
            self._scope.app,
            since_day=self._first_day,
            today=self.observation.today,
        )

    def shapes(self, rows: Iterable[Stored]) -> dict[int, Shape]:
        """The shapes of rows by their ids."""
        grouped: dict[int, list[Stored]] = {}
        for row in rows:
            grouped.setdefault(row.shape_id, []).append(row)
        return {shape: Shape(group, self._present) for shape, group in grouped.items()}

    def calls(self, rows: Sequence[Stored], shapes: Sequence[Shape]) -> dict[int, Calls]:
        """The calls of all endpoints of some shapes."""
        ids = [identity for shape in shapes for identity in shape.ids]
        wanted = frozenset(ids)
        first = (row.facts[FIRST_CALLED] for row in rows if row.id in wanted)
        first_week = max(int(EARLIEST * 1_000_000), min(first, default=0)) // DAY_US
        return read_calls(
            self._connection,
            sorted(ids),
            first_day=self._first_day,
            today=self.observation.today,
            first_week=first_week,
        )

    def judged(
        self, row: Stored, shape: Shape, calls: Mapping[int, Calls], gone: Mapping[int, Gone]
    ) -> Judged:
        """One endpoint with its verdict."""
        is_whole = not self._scope.settings.rules.skips_some(row.method, row.path)
        history = shape.history(row, calls, is_whole=is_whole)
        endpoint = endpoint_of(row.facts, _NO_USAGE, self._scope.settings.thresholds, now=self._now)
        last_used_us = shape.last_used_us(history)
        removed_us = 0 if shape.is_in_routes(row) else row.removed_at or row.last_seen_at
        return Judged(
            endpoint=with_open(endpoint, self._state.opened),
            shape=shape_of(row.path),
            ids=tuple(shape.ids),
            verdict=verdict_of(history),
            history=history,
            is_read=all(identity in calls for identity in shape.ids),
            present_since=shape.present_since_us(row) / 1_000_000,
            last_used_at=last_used_us / 1_000_000 if last_used_us else None,
            introduced=self.releases.get(row.first_release_id, ""),
            first_called=self.releases.get(row.first_called_release_id, ""),
            last_called=self.releases.get(row.last_called_release_id, ""),
            last_release=self.releases.get(row.last_release_id, ""),
            removed_at=removed_us / 1_000_000 if removed_us else None,
            gone=gone.get(row.id),
        )


def _with_backlog(observation: Observation, state: State, now: float) -> Observation:
    """An observation in which the days whose counts still wait in the inbox are a hole."""
    since = state.waits_since
    if since is None or now - since <= BACKLOG_SECONDS or observation.since_day is None:
        return observation
    waiting = int(since) // SECONDS_PER_DAY, observation.today
    holes = Holes.of((*observation.holes, waiting))
    return replace(observation, holes=tuple(holes), hole_days=holes.days())
