"""EvidenceReader: all endpoints of one app with their verdicts. Knows no HTML."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sqlalchemy.engine import Connection

from fastapi_lens.reporting.evidence.evidence import WEEKS, AppEvidence, Judged
from fastapi_lens.reporting.evidence.evidence_rows import (
    DAYS_PER_WEEK,
    Calls,
    KnownCalls,
    Reach,
    Stored,
    read_calls,
    read_endpoints,
    read_refused,
    read_shape,
    read_uses,
)
from fastapi_lens.reporting.evidence.gone import Gone, read_gone
from fastapi_lens.reporting.evidence.histories import DAY_US, Present, Shape
from fastapi_lens.reporting.evidence.observation import Observation, read_observation, release_names
from fastapi_lens.reporting.evidence.twins import read_twins
from fastapi_lens.reporting.evidence.weeks import weeks_of
from fastapi_lens.reporting.ledger.caller_rows import (
    CallerNames,
    noise_of,
    read_noisy,
    read_uses_of_endpoints,
)
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.reporting.totals.endpoint_rows import (
    FIRST_CALLED,
    LAST_CALLED,
    endpoint_of,
    with_open,
)
from fastapi_lens.reporting.workers import State, read_state
from fastapi_lens.settings.settings import Settings
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.storage.engine.clock_skew import EARLIEST, microseconds
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.text.path_shapes import shape_of
from fastapi_lens.verdict.days import Holes
from fastapi_lens.verdict.level import IN_USE_DAYS
from fastapi_lens.verdict.verdict import verdict_of

BACKLOG_SECONDS = 300.0
"""Age of counts in the inbox beyond which calls may be missing: the days since then are a hole, and
nothing is unused."""

_NO_USAGE = Usage()

_verdict_of_silent = lru_cache(maxsize=1_024)(verdict_of)
"""Verdicts on endpoints whose days were read: the same until a call or a day comes."""

_verdict_of_recent = lru_cache(maxsize=4_096)(verdict_of)
"""Verdicts on endpoints whose days are not read: many of them share a history."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The endpoints to judge, and what their verdicts depend on besides the rows.

    Attributes:
        app: Name of the app.
        settings: The active settings.
        retention: Retention of each tier.
    """

    app: str
    settings: Settings
    retention: Retention

    def records(self, row: Stored) -> bool:
        """True if an endpoint is recorded: neither the code nor a rule leaves it out."""
        return self.settings.is_recorded(row.method, row.path)

    @property
    def noise(self) -> Sequence[str]:
        """Names of callers that are noise."""
        return noise_of(self.settings)


def read_evidence(
    connection: Connection, scope: Scope, known: dict[int, KnownCalls], *, now: float
) -> AppEvidence:
    """All endpoints of an app with their verdicts.

    Args:
        connection: In a reading transaction.
        scope: The app.
        known: Calls that were read before, by endpoint; those that are read now are added.
        now: Epoch seconds.
    """
    reading = _Reading(connection, scope, now)
    rows = read_endpoints(connection, scope.app)
    gone = reading.gone()
    shapes = reading.shapes(rows)
    own = [row for row in rows if _is_own(row)]
    recorded = [row for row in own if scope.records(row)]
    judged = [
        row
        for row in recorded
        if shapes[row.shape_id].is_in_routes(row)
        # What is left of a renamed parameter is not missing.
        or (row.id in gone and not shapes[row.shape_id].has_route)
    ]
    ids = {row.id for row in recorded}
    ignored = [row for row in own if row.id not in ids and shapes[row.shape_id].is_in_routes(row)]
    of_judged = {row.shape_id: shapes[row.shape_id] for row in judged}
    shapes |= reading.with_callers(rows, reading.silent(rows, of_judged))
    # Anew: only with its callers a shape shows that nothing but noise has used it lately.
    silent = {row.shape_id for row in judged if not shapes[row.shape_id].is_recent}
    calls = reading.calls(rows, [shapes[shape] for shape in silent], known)
    found = [reading.judged(row, shapes[row.shape_id], calls, gone) for row in yield_gil(judged)]
    present = [one for one in found if one.removed_at is None]
    names = [(one.endpoint.method, one.endpoint.path) for one in present]
    return AppEvidence(
        observation=reading.observation,
        releases=tuple(name for name in reversed(reading.releases.values()) if name),
        endpoints=tuple(present),
        removed=tuple(one for one in found if one.removed_at is not None),
        ignored=tuple(map(reading.endpoint, ignored)),
        twins=read_twins(connection, scope.app, names, now=now),
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
    if row is None or not _is_own(row) or not scope.records(row):
        return None
    reading = _Reading(connection, scope, now)
    shapes = reading.with_callers(rows, reading.shapes(rows))
    calls = reading.calls(rows, list(shapes.values()), {})
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
    reach = _reach(scope.retention, now)
    ids = sorted({identity for one in judged for identity in one.ids})
    since = reach.today - WEEKS * DAYS_PER_WEEK + 1
    uses = read_uses(connection, ids, reach, since=since)
    return [_with_weeks(one, uses, reach) for one in yield_gil(judged)]


def _with_weeks(judged: Judged, uses: Mapping[int, Counter[int]], reach: Reach) -> Judged:
    history = judged.history
    not_known = (0, max(history.observed_since, reach.first_day) - 1)
    weeks = weeks_of(
        sum((uses[identity] for identity in judged.ids), Counter[int]()),
        Holes.of((*history.holes, not_known)),
        since=history.present_since,
        today=history.today,
    )
    return replace(judged, weeks=weeks)


def _reach(retention: Retention, now: float) -> Reach:
    kept = retention.kept_seconds(Tier.DAY)
    first_day = 0 if kept is None else max(0, int(now) - kept) // SECONDS_PER_DAY
    return Reach(first_day, int(now) // SECONDS_PER_DAY)


class _Reading:
    """The state that the endpoints of one app have in common at one time."""

    def __init__(self, connection: Connection, scope: Scope, now: float) -> None:
        self._connection, self._scope, self._now = connection, scope, now
        state = read_state(connection, app=scope.app, now=now)
        observed = read_observation(connection, scope.app, now=now)
        waits_since = _waits_since(state, now)
        self.observation = _with_backlog(observed, waits_since)
        self._state = state
        self._present = Present(
            now_us=microseconds(now),
            observation=self.observation,
            oldest_start=state.oldest_start,
            open_ids=frozenset(state.opened),
            keeps=scope.settings.keeps,
            has_waiting=waits_since is not None,
        )
        self._reach = _reach(scope.retention, now)
        found = release_names(connection, scope.app)
        self.releases = {release.id: release.name for release in found}

    def gone(self) -> Mapping[int, Gone]:
        """Calls of removed endpoints, by endpoint."""
        return read_gone(
            self._connection,
            self._scope.app,
            since_day=self._reach.first_day,
            today=self._reach.today,
        )

    def shapes(self, rows: Iterable[Stored]) -> dict[int, Shape]:
        """The shapes of rows by their ids."""
        grouped: dict[int, list[Stored]] = {}
        for row in rows:
            grouped.setdefault(row.shape_id, []).append(row)
        return {shape: Shape(group, self._present) for shape, group in grouped.items()}

    def silent(self, rows: Sequence[Stored], shapes: Mapping[int, Shape]) -> dict[int, Shape]:
        """Shapes that were not used lately, or perhaps by noise alone.

        Whoever else called an endpoint lately, it is in use.

        Args:
            rows: All endpoints that were read.
            shapes: Some of their shapes, by id.
        """
        since, app = self._present.today - IN_USE_DAYS, self._scope.app
        noisy = frozenset[int]()
        if any(row.has_callers for row in rows):
            noisy = read_noisy(self._connection, app, self._scope.noise, since=since)
        in_doubt = {row.shape_id for row in rows if row.id in noisy}
        return {
            shape: one for shape, one in shapes.items() if shape in in_doubt or not one.is_recent
        }

    def with_callers(self, rows: Sequence[Stored], shapes: Mapping[int, Shape]) -> dict[int, Shape]:
        """Shapes with their callers; those whose callers were never recorded stay as they are.

        Args:
            rows: All endpoints that were read.
            shapes: Some of their shapes, by id.
        """
        recorded = {row.shape_id for row in rows if row.has_callers}.intersection(shapes)
        names = CallerNames(self._connection, self._scope.app, self._scope.noise)
        ids = [row.id for row in rows if row.shape_id in recorded]
        uses = read_uses_of_endpoints(self._connection, names, ids)
        return {**shapes, **{shape: shapes[shape].with_uses(uses) for shape in recorded}}

    def calls(
        self, rows: Sequence[Stored], shapes: Sequence[Shape], known: dict[int, KnownCalls]
    ) -> dict[int, Calls]:
        """The calls of all endpoints of some shapes, those that are not known read and added."""
        wanted = frozenset(identity for shape in shapes for identity in shape.ids)
        called = [row for row in rows if row.id in wanted]
        pairs = ((row, known.get(row.id)) for row in called)
        same = {
            row.id: one
            for row, one in pairs
            if one is not None and (one.row, one.reach) == (row, self._reach)
        }
        changed = self._read_calls([row for row in called if row.id not in same])
        known.update(changed)
        return {identity: one.calls for identity, one in (same | changed).items()}

    def _read_calls(self, called: Sequence[Stored]) -> dict[int, KnownCalls]:
        first = min((row.facts[FIRST_CALLED] for row in called), default=0)
        found = read_calls(
            self._connection,
            {row.id: row.facts[LAST_CALLED] // DAY_US for row in called},
            self._reach,
            first_week=max(microseconds(EARLIEST), first) // DAY_US,
        )
        # Only these need it: an older release has stored no last use.
        doubtful = [
            row.id
            for row in called
            if not row.last_used_at
            and not row.first_called_release_id
            and not found[row.id].has_use
        ]
        for identity, calls in read_refused(self._connection, doubtful, self._reach).items():
            found[identity].refused_calls = calls
        return {row.id: KnownCalls(row, self._reach, found[row.id]) for row in called}

    def judged(
        self, row: Stored, shape: Shape, calls: Mapping[int, Calls], gone: Mapping[int, Gone]
    ) -> Judged:
        """One endpoint with its verdict."""
        history = shape.history(row, calls)
        endpoint = self.endpoint(row)
        last = history.last_used
        is_read = all(identity in calls for identity in shape.ids)
        # The pruner notes removals only once a minute.
        removed_us = 0 if shape.is_in_routes(row) else row.removed_at or row.last_seen_at
        return Judged(
            endpoint=with_open(endpoint, self._state.opened),
            shape=shape_of(row.path),
            ids=tuple(shape.ids),
            verdict=(_verdict_of_silent if is_read else _verdict_of_recent)(history),
            history=history,
            is_read=is_read,
            present_since=shape.present_since_us(row) / 1_000_000,
            last_used_at=None if last is None else shape.last_used_us(last) / 1_000_000,
            introduced=self.releases.get(row.first_release_id, ""),
            first_called=self.releases.get(row.first_called_release_id, ""),
            last_called=self.releases.get(row.last_called_release_id, ""),
            last_release=self.releases.get(row.last_release_id, ""),
            removed_at=removed_us / 1_000_000 if removed_us else None,
            gone=gone.get(row.id),
        )

    def endpoint(self, row: Stored) -> Endpoint:
        """The endpoint of a row, without its usage."""
        return endpoint_of(row.facts, _NO_USAGE, self._scope.settings.thresholds, now=self._now)


def _is_own(row: Stored) -> bool:
    """True for an endpoint of the code; pseudo endpoints, such as `<unmapped>`, are in none."""
    return row.path.startswith("/")


def _waits_since(state: State, now: float) -> float | None:
    """Epoch seconds since which counts wait in the inbox; None if they wait for a moment only."""
    since = state.waits_since
    return None if since is None or now - since <= BACKLOG_SECONDS else since


def _with_backlog(observation: Observation, since: float | None) -> Observation:
    """An observation in which the days whose counts still wait in the inbox are a hole."""
    if since is None or observation.since_day is None:
        return observation
    waiting = int(since) // SECONDS_PER_DAY, observation.today
    holes = Holes.of((*observation.holes, waiting))
    return replace(observation, holes=tuple(holes), hole_days=holes.days())
