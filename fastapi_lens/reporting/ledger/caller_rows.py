"""Rows of the ledger of callers, with the names of the callers as pages show them.

Judges nothing. A damaged row stays, so that no endpoint seems to have fewer callers than it has.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.ledger.callers import Caller
from fastapi_lens.reporting.totals.bucket_rows import Row, fetched
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.retention.chunks import ids_of
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind, Tier
from fastapi_lens.storage.schema.row_checks import MAX_TIME_US
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import CALLER, USE
from fastapi_lens.text.noise import is_noise

MAX_DAY = MAX_TIME_US // 1_000_000 // Tier.DAY
"""The last day that a row may hold; also the value of a day that cannot be read."""

SHORTEST_TAIL = 4
"""Digits of a key's hash that pages show, unless two keys of the app share them."""

IDS_AT_ONCE = 500
"""Ids of one query; databases limit the parameters of a statement."""

NO_NAME, OTHERS = "no name", "others"

_HASH_DIGITS = 16
"""Digits of a key's hash, see `models.CallerRow`."""

_KINDS = {str(kind): kind for kind in CallerKind}
NAMELESS = frozenset({CallerKind.NONE, CallerKind.OTHERS})
"""Kinds that stand for several callers."""

_NOISY = frozenset({CallerKind.HOOK, CallerKind.AGENT})
"""Kinds whose names a person or a program chose; a hash is no name, and nobody's is no noise."""

OF_CALLER = tuple(CALLER.c[name] for name in ("kind", "name", "label", "first_at", "last_at"))
"""The columns of a caller's row that `CallerNames.callers` takes."""

_COUNTS = ("calls", "refused", "errors_5xx")
_DAYS = ("first_day", "last_day", "days", "max_gap", "refused_day")
_OF_USE = (
    *(USE.c.endpoint_id, USE.c.caller_id),
    *(USE.c[name] for name in (*_COUNTS, "first_at", "last_at", *_DAYS)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUse:
    """The calls of one endpoint by one caller, as their row tells.

    Attributes:
        first_at_us: The first call that was not refused, in microseconds; 0 without any.
        last_at_us: The last one.
        first_day: Day of the first such call, since the epoch; 0 without any.
        last_day: Day of the last one.
        days: Number of days with such a call.
        longest_gap: Longest distance between two of them.
        refused_day: The last day with a refused call; 0 without any.
        is_damaged: True if the days cannot be as the row tells.
    """

    endpoint_id: int
    caller: Caller
    calls: int
    refused: int
    errors_5xx: int
    first_at_us: int
    last_at_us: int
    first_day: int
    last_day: int
    days: int
    longest_gap: int
    refused_day: int
    is_damaged: bool


class CallerNames:
    """Names of the callers of one app.

    Args:
        connection: In a reading transaction.
        app: Name of the app.
        noise: Names of callers that are noise.
    """

    def __init__(self, connection: Connection, app: str, noise: Sequence[str]) -> None:
        """Read nothing yet."""
        self._connection, self._app, self._noise = connection, app, noise

    def callers(self, rows: Iterable[tuple[int, Row]]) -> dict[int, Caller]:
        """Callers by their ids.

        Args:
            rows: Each id with the columns of `OF_CALLER`; all None without a row.
        """
        found = dict(rows)
        hashes = {str(row[1]) for row in found.values() if row[0] == CallerKind.KEY}
        tails = _tails(hashes, self._same_tails(hashes)) if hashes else {}
        return {identity: self._caller(identity, row, tails) for identity, row in found.items()}

    def _same_tails(self, hashes: Collection[str]) -> set[str]:
        """The hashes of all keys of the app that end as one of some hashes does."""
        tail = sa.func.substr(CALLER.c.name, _HASH_DIGITS - SHORTEST_TAIL + 1, SHORTEST_TAIL)
        tails = sorted({name[-SHORTEST_TAIL:] for name in hashes})
        rows = sa.select(CALLER.c.name).where(
            CALLER.c.app == self._app, CALLER.c.kind == CallerKind.KEY.value
        )
        found = set[str]()
        for begin in range(0, len(tails), IDS_AT_ONCE):
            part = rows.where(tail.in_(tails[begin : begin + IDS_AT_ONCE]))
            found.update(str(name) for (name,) in fetched(self._connection, part))
        return found

    def _caller(self, identity: int, row: Row, tails: Mapping[str, str]) -> Caller:
        stored, name, label = row[0], _text(row[1]), _text(row[2])
        kind = _KINDS.get(_text(stored), CallerKind.OTHERS)
        own_name = {
            CallerKind.KEY: f"key …{tails.get(name, name)}",
            CallerKind.NONE: NO_NAME,
            CallerKind.OTHERS: OTHERS,
        }.get(kind, name)
        return Caller(
            id=identity,
            kind=kind,
            name=label or own_name,
            own_name=own_name,
            label=label,
            is_noise=kind in _NOISY and is_noise(name, self._noise),
            first_at=seconds_of(row[3]),
            last_at=seconds_of(row[4]),
        )


def read_stored_uses(
    connection: Connection,
    names: CallerNames,
    *conditions: sa.ColumnElement[bool],
    most: int | None = None,
) -> list[StoredUse]:
    """Rows of the ledger, in any order.

    Args:
        connection: In a reading transaction.
        names: Of the app that the endpoints belong to.
        conditions: Conditions on `USE`.
        most: Number of rows to read, those with the latest calls; None for all.
    """
    joined = USE.outerjoin(CALLER, CALLER.c.id == USE.c.caller_id)
    wanted = sa.select(*_OF_USE, *OF_CALLER).select_from(joined).where(*conditions)
    if most is not None:
        wanted = wanted.order_by(USE.c.last_at.desc()).limit(most)
    rows = fetched(connection, wanted)
    size = len(_OF_USE)
    callers = names.callers((row[1], row[size:]) for row in rows)
    return [_stored_use(row, callers[row[1]]) for row in yield_gil(rows)]


def read_uses_of_endpoints(
    connection: Connection, names: CallerNames, ids: Collection[int]
) -> dict[int, list[StoredUse]]:
    """Rows of the ledger by endpoint; endpoints without a caller are missing."""
    found: dict[int, list[StoredUse]] = {}
    ordered = sorted(ids)
    for begin in range(0, len(ordered), IDS_AT_ONCE):
        part = USE.c.endpoint_id.in_(ordered[begin : begin + IDS_AT_ONCE])
        for use in read_stored_uses(connection, names, part):
            found.setdefault(use.endpoint_id, []).append(use)
    return found


def read_latest_uses(
    connection: Connection,
    names: CallerNames,
    ids: Collection[int],
    most: int,
    *,
    refused_since: int,
) -> dict[int, tuple[list[StoredUse], int]]:
    """The latest callers of endpoints, and the number of all that were not always refused.

    Args:
        connection: In a reading transaction.
        names: Of the app that the endpoints belong to.
        ids: Of the endpoints.
        most: Callers of an endpoint to read; those that were always refused come last.
        refused_since: The first day from which on a caller that was always refused counts.
    """
    found: dict[int, tuple[list[StoredUse], int]] = {}
    ordered = sorted(ids)
    latest_first = USE.c.last_at.desc(), USE.c.caller_id
    place = sa.func.row_number().over(partition_by=USE.c.endpoint_id, order_by=latest_first)
    is_user = USE.c.days > 0
    number = sa.func.count(sa.case((is_user, 1))).over(partition_by=USE.c.endpoint_id)
    for begin in range(0, len(ordered), IDS_AT_ONCE):
        ranked = (
            sa.select(*_OF_USE, place.label("place"), number.label("callers"))
            .where(
                USE.c.endpoint_id.in_(ordered[begin : begin + IDS_AT_ONCE]),
                is_user | (USE.c.refused_day >= refused_since),
            )
            .subquery()
        )
        joined = ranked.outerjoin(CALLER, CALLER.c.id == ranked.c.caller_id)
        of_use = [ranked.c[column.name] for column in _OF_USE]
        wanted = sa.select(*of_use, *OF_CALLER, ranked.c.callers).select_from(joined)
        rows = fetched(connection, wanted.where(ranked.c.place <= most))
        callers = names.callers((row[1], row[len(_OF_USE) : -1]) for row in rows)
        for row in yield_gil(rows):
            uses, _ = found.setdefault(row[0], ([], whole(row[-1])))
            uses.append(_stored_use(row, callers[row[1]]))
    return found


def read_noisy(
    connection: Connection, app: str, noise: Sequence[str], *, since: int
) -> frozenset[int]:
    """The ids of an app's endpoints that noise has called lately.

    Args:
        connection: In a reading transaction.
        app: Name of the app.
        noise: Names of callers that are noise.
        since: The first day that counts.
    """
    lowered = [name.lower() for name in noise]
    rows = (
        sa.select(USE.c.endpoint_id)
        .join(CALLER, CALLER.c.id == USE.c.caller_id)
        .where(
            CALLER.c.app == app,
            CALLER.c.kind.in_([kind.value for kind in sorted(_NOISY)]),
            # Both: SQLite lowers only ASCII letters.
            sa.func.lower(CALLER.c.name).in_(lowered) | CALLER.c.name.in_(noise),
            USE.c.last_day >= since,
        )
    )
    return frozenset(connection.execute(rows).scalars())


def read_has_nameless(connection: Connection, app: str) -> bool:
    """True if calls of an app have no name, or are under others."""
    nameless = sa.select(CALLER.c.id).where(
        CALLER.c.app == app, CALLER.c.kind.in_([kind.value for kind in sorted(NAMELESS)])
    )
    rows = sa.select(USE.c.endpoint_id).where(
        USE.c.caller_id.in_(nameless) | (USE.c.caller_id == OTHERS_ID), is_of_app(app)
    )
    return connection.execute(rows.limit(1)).first() is not None


def unattributed_us(last_called_at: int, attributed_until: int, unattributed_at: int) -> int:
    """Time of the latest call of an endpoint without a caller, in microseconds; 0 without any.

    A last call that is not the one that the latest caller left was counted without a caller: by an
    older release, by an import, or while callers were off.

    Args:
        last_called_at: The column of the endpoint's row.
        attributed_until: The same.
        unattributed_at: The same.
    """
    return max(unattributed_at, 0 if last_called_at == attributed_until else last_called_at)


def noise_of(settings: Settings) -> Sequence[str]:
    """The names of callers that are noise."""
    return settings.config.noise


def is_of_app(app: str) -> sa.ColumnElement[bool]:
    """The condition that a row of `USE` belongs to an endpoint of an app."""
    return USE.c.endpoint_id.in_(ids_of(app))


def _stored_use(row: Row, caller: Caller) -> StoredUse:
    counts, times, days = row[2:5], row[5:7], row[7 : 7 + len(_DAYS)]
    first, last, number, gap, refused_day = (_day(value) for value in days)
    return StoredUse(
        endpoint_id=row[0],
        caller=caller,
        **dict(zip(_COUNTS, map(whole, counts), strict=True)),
        first_at_us=whole(times[0], MAX_TIME_US),
        last_at_us=whole(times[1], MAX_TIME_US),
        first_day=first,
        last_day=last,
        days=number,
        longest_gap=gap,
        refused_day=refused_day,
        is_damaged=not _is_sound(first, last, number, gap) or refused_day == MAX_DAY,
    )


def _day(value: object) -> int:
    """A day or a number of days; one that cannot be read is taken for the latest."""
    return value if isinstance(value, int) and 0 <= value < MAX_DAY else MAX_DAY


def _is_sound(first: int, last: int, days: int, gap: int) -> bool:
    """True if these days are possible: without a use all are 0."""
    if not days:
        return not (first or last or gap)
    return last < MAX_DAY and days <= last - first + 1 and gap <= last - first


def _tails(hashes: Iterable[str], every: Iterable[str]) -> dict[str, str]:
    """The last digits of each hash, as many as no other one of the app has."""
    alike: dict[str, list[str]] = {}
    for name in every:
        alike.setdefault(name[-SHORTEST_TAIL:], []).append(name)
    found: dict[str, str] = {}
    for name in hashes:
        others = [other for other in alike.get(name[-SHORTEST_TAIL:], ()) if other != name]
        length = SHORTEST_TAIL
        while length < len(name) and any(other.endswith(name[-length:]) for other in others):
            length += 1
        found[name] = name[-length:]
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def seconds_of(value: object) -> float | None:
    """A stored time in epoch seconds; None for none, and for what is no time."""
    at_us = whole(value, MAX_TIME_US)
    return at_us / 1_000_000 if at_us else None
