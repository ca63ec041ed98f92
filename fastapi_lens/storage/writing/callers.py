"""Addition of callers to the rows that are shown, in the transaction that adds their calls.

All rows of an endpoint in `lens_use` are written under the lock of the endpoint's own row: by the
drain, by imports and by deletions. So its number of callers is exact, and totals can be computed
here.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, TypeGuard

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import primary_key
from fastapi_lens.storage.engine.texts import storable, unescaped
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.records.caller_key import locked_key_ids
from fastapi_lens.storage.records.callers import MOST_CHARACTERS
from fastapi_lens.storage.schema.models import OTHERS_ID, Tier
from fastapi_lens.storage.schema.statements import LOCK_CALLERS, LOCK_USE_WEEKS, LOCK_USES
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, USE, USE_WEEK
from fastapi_lens.storage.writing.batches import Batch, CallerCalls, CallerFacts
from fastapi_lens.storage.writing.increments import (
    ADD_CALLERS,
    UPDATE_CALLER,
    UPDATE_USE,
    UPDATE_USE_WEEK,
)
from fastapi_lens.storage.writing.refusals import add_one_by_one, log_refusals
from fastapi_lens.storage.writing.use_totals import TOTALS, UseTotals

# An endpoint with so many is in use, so nothing more exact is needed.
MOST_CALLERS = 200
"""Most callers of an endpoint with a row of their own; further ones share that of `OTHERS_ID`."""

# With the weeks of all callers, 300 endpoints at their bound would have 109 MB of rows.
MOST_IN_WEEKS = 20
"""Most callers of an endpoint whose calls are kept by week; a deprecated endpoint may have more."""

_DAYS = Tier.WEEK // Tier.DAY

Pair = tuple[int, int]
"""Ids of an endpoint and of a caller."""

Calls = dict[Pair, list[CallerCalls]]
"""Calls of pairs, each with one for each day."""


class EndpointState(NamedTuple):
    """Facts in the locked row of an endpoint."""

    app: str
    callers: int
    deprecated: bool


@dataclass(frozen=True, slots=True)
class CallerChanges:
    """The callers of batches.

    Attributes:
        calls: One for each endpoint, caller and day, in this order.
        names: The callers by id.
        ahead_us: A later stored time, in microseconds since the epoch, came from a wrong clock.
    """

    calls: Sequence[CallerCalls] = ()
    names: Mapping[int, CallerFacts] = field(default_factory=dict[int, CallerFacts])
    ahead_us: int = 0

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> "CallerChanges":
        """The callers of batches, added up."""
        calls = added_up(one for batch in batches for one in batch.callers)
        names = {name.id: name for batch in batches for name in batch.names}
        return cls(calls, names, max(batch.ahead_us for batch in batches))

    @property
    def endpoints(self) -> set[int]:
        """The ids of all endpoints with calls."""
        return {one.endpoint_id for one in self.calls}


def added_up(calls: Iterable[CallerCalls]) -> list[CallerCalls]:
    """The sums of calls by endpoint, caller and day, in this order."""
    sums: dict[tuple[int, int, int], CallerCalls] = {}
    for one in yield_gil(calls):
        key = one[:3]
        found = sums.setdefault(key, one)
        if found is not one:
            sums[key] = _sum(found, one)
    # Keys are the first fields, and no two are equal.
    return sorted(sums.values())


def _sum(one: CallerCalls, other: CallerCalls) -> CallerCalls:
    # 0 is no time: all calls of that batch were refused.
    uses = [each for each in (one, other) if each.last_at_us > 0] or [one]
    return CallerCalls(
        *one[:3],
        one.calls + other.calls,
        one.refused + other.refused,
        one.errors_5xx + other.errors_5xx,
        min(each.first_at_us for each in uses),
        max(each.last_at_us for each in uses),
    )


def add_callers(
    database: Database,
    connection: Connection,
    changes: CallerChanges,
    endpoints: Mapping[int, EndpointState],
) -> None:
    """Add callers and their calls.

    Callers beyond `MOST_CALLERS`, without a name, or with one that the database refuses are counted
    under `OTHERS_ID`.

    Args:
        database: The database of the connection.
        connection: In a writing transaction that has locked the rows of all endpoints.
        changes: The callers.
        endpoints: Facts of the locked rows of the endpoints.
    """
    if not changes.calls:
        return
    calls = _by_pair(changes.calls)
    outdated = _outdated(connection, changes.names.values(), endpoints)
    pairs = {pair for pair in calls if pair[1] not in outdated and pair[1] != OTHERS_ID}
    # With the rows of others, whether they are needed or not: all are locked in one order.
    stored = locked_uses(connection, {*pairs, *((endpoint, OTHERS_ID) for endpoint, _ in calls)})
    own = _within_bounds(pairs, stored, endpoints)
    own -= _nameless(database, connection, changes, {pair: calls[pair] for pair in own}, endpoints)
    calls = _with_others(calls, own)
    new = _add_uses(connection, calls, stored, changes.ahead_us)
    _add_weeks(
        connection,
        {
            pair: some
            for pair, some in calls.items()
            if _has_weeks(endpoints[pair[0]], new[pair[0]])
        },
    )


def _by_pair(calls: Iterable[CallerCalls]) -> Calls:
    """Calls by pair, the earliest day first."""
    found: Calls = {}
    for one in yield_gil(calls):
        found.setdefault((one.endpoint_id, one.caller_id), []).append(one)
    return found


def _with_others(calls: Calls, own: Container[Pair]) -> Calls:
    """The same calls, those of pairs without a row of their own by that of others.

    The row of others keeps no name, so any number of names leaves a bounded number of rows.
    """
    found = {pair: some for pair, some in calls.items() if pair in own}
    others: Calls = {}
    for (endpoint, caller), some in calls.items():
        if (endpoint, caller) not in own:
            others.setdefault((endpoint, OTHERS_ID), []).extend(some)
    for some in others.values():
        some.sort(key=attrgetter("day"))
    return found | others


def _has_weeks(state: EndpointState, new: int) -> bool:
    """True if the calls of an endpoint are kept by caller and week.

    Args:
        state: Facts of its row before the addition.
        new: Callers that were added.
    """
    return state.deprecated or state.callers + new <= MOST_IN_WEEKS


def locked_uses(connection: Connection, pairs: Iterable[Pair]) -> dict[Pair, UseTotals]:
    """Lock the rows of these pairs in primary-key order; returns their totals."""
    rows = LOCK_USES.read_pairs(connection, sorted(pairs))
    return {(row[0], row[1]): UseTotals(*row[2:]) for row in rows}


def recount_callers(connection: Connection, endpoints: Sequence[int]) -> None:
    """Set the number of callers of endpoints, after rows of theirs were deleted.

    Args:
        connection: In a writing transaction that has locked the endpoints.
        endpoints: Their ids.
    """
    callers = sa.select(sa.func.count()).where(USE.c.endpoint_id == ENDPOINT.c.id)
    some = sa.update(ENDPOINT).where(ENDPOINT.c.id.in_(endpoints))
    connection.execute(some.values(callers=callers.scalar_subquery()))


def _outdated(
    connection: Connection, names: Iterable[CallerFacts], endpoints: Mapping[int, EndpointState]
) -> set[int]:
    """The callers whose names are hashes with a key that was replaced: they are forgotten."""
    hashed = {name.id: name.key_id for name in names if name.key_id}
    if not hashed:
        return set()
    apps = {state.app for state in endpoints.values()}
    # The names as they were before a database without some characters escaped them, too.
    present = locked_key_ids(connection, apps | set(map(unescaped, apps)))
    return {caller for caller, key in hashed.items() if key not in present}


def _within_bounds(
    pairs: Iterable[Pair], stored: Mapping[Pair, UseTotals], endpoints: Mapping[int, EndpointState]
) -> set[Pair]:
    """The pairs that have a row of their own, or may have one."""
    own = set[Pair]()
    new = Counter[int]()
    for pair in sorted(pairs):
        endpoint = pair[0]
        if pair in stored:
            own.add(pair)
        elif endpoints[endpoint].callers + new[endpoint] < MOST_CALLERS:
            new[endpoint] += 1
            own.add(pair)
    return own


def _nameless(
    database: Database,
    connection: Connection,
    changes: CallerChanges,
    calls: Calls,
    endpoints: Mapping[int, EndpointState],
) -> set[Pair]:
    """Write the rows of the callers of these calls; returns the pairs whose caller has none."""
    endpoints_of: dict[int, list[int]] = {}
    for endpoint, caller in calls:
        endpoints_of.setdefault(caller, []).append(endpoint)
    times = _times(calls)
    rows = LOCK_CALLERS.read_of(connection, {}, sorted(endpoints_of))
    stored = {row[0]: (row[1], row[2]) for row in rows}
    missing = [
        _caller_row(changes.names[caller], endpoints[endpoints_of[caller][0]].app, times[caller])
        for caller in sorted(endpoints_of)
        if caller not in stored and _is_named(changes.names.get(caller))
    ]
    refused = _insert_callers(database, connection, missing)
    _update_times(connection, stored, times, changes.ahead_us)
    known = {*stored, *(row["id"] for row in missing)} - refused
    return {
        (endpoint, caller)
        for caller, some in endpoints_of.items()
        if caller not in known
        for endpoint in some
    }


def _times(calls: Calls) -> dict[int, tuple[int, int]]:
    """The times of the first and of the last use of each caller; 0 without a use."""
    times: dict[int, tuple[int, int]] = {}
    for (_, caller), some in calls.items():
        first, last = times.get(caller, (0, 0))
        for one in some:
            if one.last_at_us > 0:
                first = min(first or one.first_at_us, one.first_at_us)
                last = max(last, one.last_at_us)
        times[caller] = first, last
    return times


def _is_named(caller: CallerFacts | None) -> TypeGuard[CallerFacts]:
    """True if the name of a caller is known, and fits; a shortened one could be that of another."""
    return caller is not None and len(storable(caller.name)) <= MOST_CHARACTERS


def _caller_row(caller: CallerFacts, app: str, times: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": caller.id,
        "app": app,
        "kind": caller.kind.value,
        "name": storable(caller.name),
        "label": "",
        "first_at": times[0],
        "last_at": times[1],
    }


def _insert_callers(
    database: Database, connection: Connection, rows: Sequence[dict[str, Any]]
) -> set[int]:
    """Insert callers, but those that the database refuses, whose ids are returned."""
    if not rows:
        return set()
    # Another transaction may insert the same caller for an endpoint that is not locked here.
    insert = database.insert_ignore(CALLER)
    refusals = add_one_by_one(connection, rows, lambda row: connection.execute(insert, row))
    log_refusals(refusals, "callers", ("kind", "id"))
    return {refusal.row["id"] for refusal in refusals}


def _update_times(
    connection: Connection,
    stored: Mapping[int, tuple[int, int]],
    times: Mapping[int, tuple[int, int]],
    ahead_us: int,
) -> None:
    """Widen the times of callers that have a row."""
    rows: list[dict[str, int]] = []
    for caller, before in sorted(stored.items()):
        first, last = times[caller]
        was_first, was_last = before
        if last and was_last > ahead_us:
            was_last = last  # A time in the future came from a wrong clock.
        after = min(first or was_first, was_first or first), max(last, was_last)
        if after != before:
            row = {"new_first_at": after[0], "new_last_at": after[1]}
            rows.append({**primary_key(CALLER, (caller,)), **row})
    UPDATE_CALLER.run(connection, rows)


def _add_uses(
    connection: Connection, calls: Calls, stored: Mapping[Pair, UseTotals], ahead_us: int
) -> Counter[int]:
    """Add calls to the rows of their pairs; the number of new rows by endpoint."""
    totals: dict[Pair, UseTotals] = {}
    for pair, some in yield_gil(calls.items()):
        found = totals[pair] = stored.get(pair) or UseTotals()
        # In the order of the days, so that as few as possible are missed.
        for one in some:
            found.add(one, ahead_us=ahead_us)
    return _write_uses(connection, totals, stored)


def _write_uses(
    connection: Connection, totals: Mapping[Pair, UseTotals], stored: Container[Pair]
) -> Counter[int]:
    """Write the rows of pairs; the number of new rows by endpoint."""
    update_uses(connection, {pair: one for pair, one in totals.items() if pair in stored})
    inserted = [
        {"endpoint_id": pair[0], "caller_id": pair[1], **one.values()}
        for pair, one in sorted(totals.items(), key=itemgetter(0))
        if pair not in stored
    ]
    new = Counter[int](row["endpoint_id"] for row in inserted)
    if inserted:
        # Nobody else can have inserted them: the rows of their endpoints are locked.
        connection.execute(sa.insert(USE), inserted)
        ADD_CALLERS.run(
            connection,
            [
                {**primary_key(ENDPOINT, (endpoint,)), "add_callers": number}
                for endpoint, number in sorted(new.items())
            ],
        )
    return new


def update_uses(connection: Connection, totals: Mapping[Pair, UseTotals]) -> None:
    """Replace the totals of pairs, whose rows are locked."""
    UPDATE_USE.run(
        connection,
        [
            dict(zip(_USE_VALUES, (*pair, *_columns(one)), strict=True))
            for pair, one in sorted(totals.items(), key=itemgetter(0))
        ],
    )


_columns = attrgetter(*TOTALS)
_USE_VALUES = tuple(UPDATE_USE.types)
_WEEK_VALUES = tuple(UPDATE_USE_WEEK.types)


def merge_uses(
    connection: Connection,
    there: Mapping[Pair, UseTotals],
    endpoints: Mapping[int, EndpointState],
) -> None:
    """Add the totals of another database, with the same bounds.

    Args:
        connection: In a writing transaction that has locked the rows of all endpoints.
        there: The totals; those of callers without a row are added to others.
        endpoints: Facts of their locked rows; the pairs of all others are left out.
    """
    there = {pair: totals for pair, totals in there.items() if pair[0] in endpoints}
    known = {row[0] for row in LOCK_CALLERS.read_of(connection, {}, sorted({c for _, c in there}))}
    others = {(endpoint, OTHERS_ID) for endpoint in endpoints}
    stored = locked_uses(connection, {*there, *others})
    named = [pair for pair in there if pair[1] in known or pair in stored]
    own = _within_bounds(named, stored, endpoints)
    merged: dict[Pair, UseTotals] = {}
    for pair, totals in there.items():
        target = pair if pair in own else (pair[0], OTHERS_ID)
        found = merged.get(target)
        if found is None:
            found = merged[target] = stored.get(target) or UseTotals()
        found.merge(totals)
    _write_uses(connection, merged, stored)


def join_uses(connection: Connection, pairs: Iterable[Pair]) -> None:
    """Add up the rows of one caller in that of its latest use, and delete the others.

    Args:
        connection: In a writing transaction that has locked the rows of all endpoints.
        pairs: All of this caller.
    """
    stored = locked_uses(connection, pairs)
    joined = UseTotals()
    # By their first days, because a gap may lie between two rows.
    for totals in sorted(stored.values(), key=attrgetter("first_day")):
        joined.merge(totals)
    ordered = sorted(stored, key=lambda pair: stored[pair].last_day)
    update_uses(connection, dict.fromkeys(ordered[-1:], joined))
    for endpoint, caller in ordered[:-1]:
        is_other = (USE.c.endpoint_id == endpoint) & (USE.c.caller_id == caller)
        connection.execute(sa.delete(USE).where(is_other))


def merge_into_others(
    connection: Connection,
    uses: Mapping[Pair, UseTotals],
    weeks: Mapping[tuple[int, int, int], int],
) -> None:
    """Add the totals of callers to those of others, which name nobody.

    Args:
        connection: In a writing transaction that has locked the rows of all endpoints.
        uses: The totals; the rows that they come from are still there.
        weeks: Calls by week, endpoint and caller.
    """
    stored = locked_uses(connection, {(endpoint, OTHERS_ID) for endpoint, _ in uses})
    merged: dict[Pair, UseTotals] = {}
    for (endpoint, _), totals in uses.items():
        target = endpoint, OTHERS_ID
        found = merged.setdefault(target, stored.get(target) or UseTotals())
        found.merge(totals, is_same_caller=False)
    _write_uses(connection, merged, stored)
    sums = Counter[tuple[int, int, int]]()
    for (week, endpoint, _), calls in weeks.items():
        sums[week, endpoint, OTHERS_ID] += calls
    _add_sums(connection, sums)


def merge_weeks(connection: Connection, there: Mapping[tuple[int, int, int], int]) -> None:
    """Add the calls of another database by week, after its totals.

    Args:
        connection: In a writing transaction that has locked the rows of all endpoints.
        there: Calls by week, endpoint and caller.
    """
    stored = locked_uses(connection, {(endpoint, caller) for _, endpoint, caller in there})
    sums = Counter[tuple[int, int, int]]()
    for (week, endpoint, caller), calls in there.items():
        sums[week, endpoint, caller if (endpoint, caller) in stored else OTHERS_ID] += calls
    _add_sums(connection, sums)


def _add_weeks(connection: Connection, calls: Calls) -> None:
    """Add calls to their weeks."""
    sums = Counter[tuple[int, int, int]]()
    for pair, some in calls.items():
        for one in some:
            if one.calls:
                sums[(one.day // _DAYS, *pair)] += one.calls
    _add_sums(connection, sums)


def _add_sums(connection: Connection, sums: Mapping[tuple[int, int, int], int]) -> None:
    """Add calls by week, endpoint and caller."""
    for week, group in groupby(sorted(sums), lambda key: key[0]):
        keys = list(group)
        endpoints = list(dict.fromkeys(endpoint for _, endpoint, _ in keys))
        rows = LOCK_USE_WEEKS.read_of(connection, {"week": week}, endpoints)
        stored = {(row[0], row[1], row[2]) for row in rows}
        inserted = [
            dict(zip(USE_WEEK.c.keys(), (*key, sums[key]), strict=True))
            for key in keys
            if key not in stored
        ]
        if inserted:
            connection.execute(sa.insert(USE_WEEK), inserted)
        UPDATE_USE_WEEK.run(
            connection,
            [
                dict(zip(_WEEK_VALUES, (*key, sums[key]), strict=True))
                for key in keys
                if key in stored
            ],
        )
