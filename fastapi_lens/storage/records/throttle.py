"""Rows of clients and networks that entered wrong keys. Knows no addresses and no rule."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import THROTTLE


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong keys of one client, or of all clients of one network.

    Attributes:
        count: How many.
        first_us: Microseconds since the epoch of the first.
        last_us: Of the last.
        blocked_until_us: Up to when the client is refused unheard; 0 when it is not.
    """

    count: int = 0
    first_us: int = 0
    last_us: int = 0
    blocked_until_us: int = 0


MAX_CLIENTS = 10_000
"""Rows of clients; beyond them, the tenth that has been quiet for longest is forgotten."""

Step = Callable[[Failures], Failures]
"""A function from the stored failures to the new ones."""

_COLUMNS = (
    THROTTLE.c.failures,
    THROTTLE.c.first_at,
    THROTTLE.c.last_at,
    THROTTLE.c.blocked_until,
)
_UPDATE = (
    sa.update(THROTTLE)
    .where(THROTTLE.c.client == sa.bindparam("of"))
    .values({column: sa.bindparam(f"to_{column.name}") for column in _COLUMNS})
)


def read_failures(database: Database, clients: Collection[str]) -> dict[str, Failures]:
    """Read the failures of clients and networks, by name; unknown ones are absent.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        return _noted(connection, clients, locked=False)


def add_failures(
    database: Database, steps: Mapping[str, Step], *, forget_before_us: int
) -> dict[str, Failures]:
    """Note one more wrong key, and forget the clients that have been quiet for long.

    Args:
        database: Where it is noted.
        steps: Steps by client and network.
        forget_before_us: Clients that were last noted or blocked before this time are forgotten.

    Returns:
        The new failures, by client and network.

    Raises:
        StorageError: The database cannot be written.
    """
    after: dict[str, Failures] = {}

    def work() -> None:
        with database.write() as connection:
            # In a fixed order, so that two clients of the same networks cannot deadlock.
            names = [{"client": name} for name in sorted(steps)]
            connection.execute(database.insert_ignore(THROTTLE), names)
            before = _noted(connection, steps, locked=True)
            if not all(one.count for one in before.values()):
                _make_room(connection)
            after.update({name: step(before[name]) for name, step in steps.items()})
            connection.execute(_UPDATE, [_row(name, after[name]) for name in sorted(after)])
            connection.execute(
                sa.delete(THROTTLE).where(
                    THROTTLE.c.last_at < forget_before_us,
                    THROTTLE.c.blocked_until < forget_before_us,
                )
            )

    retry_on_deadlock(work)
    return after


def _noted(
    connection: Connection, clients: Collection[str], *, locked: bool
) -> dict[str, Failures]:
    wanted = sa.select(THROTTLE.c.client, *_COLUMNS).where(THROTTLE.c.client.in_(clients))
    if locked:
        wanted = wanted.order_by(THROTTLE.c.client).with_for_update()
    return {client: Failures(*row) for client, *row in connection.execute(wanted)}


def _row(name: str, noted: Failures) -> dict[str, str | int]:
    return {
        "of": name,
        "to_failures": noted.count,
        "to_first_at": noted.first_us,
        "to_last_at": noted.last_us,
        "to_blocked_until": noted.blocked_until_us,
    }


def _make_room(connection: Connection) -> None:
    count = connection.execute(sa.select(sa.func.count()).select_from(THROTTLE)).scalar_one()
    if count <= MAX_CLIENTS:
        return
    # Those that are new have no time yet, this client among them.
    noted = sa.select(THROTTLE.c.last_at).where(THROTTLE.c.last_at > 0)
    tenth = noted.order_by(THROTTLE.c.last_at).offset(MAX_CLIENTS // 10).limit(1)
    limit = connection.execute(tenth).scalar_one()
    connection.execute(
        sa.delete(THROTTLE).where(THROTTLE.c.last_at > 0, THROTTLE.c.last_at <= limit)
    )
