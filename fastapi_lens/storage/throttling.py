"""The rows of clients that have given wrong keys. Knows no addresses, no keys and no rule."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.database import Database
from fastapi_lens.storage.tables import THROTTLE


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong keys of one client.

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

_COLUMNS = (
    THROTTLE.c.failures,
    THROTTLE.c.first_at,
    THROTTLE.c.last_at,
    THROTTLE.c.blocked_until,
)


def read_failures(database: Database, client: str) -> Failures:
    """What is noted about a client.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        row = connection.execute(sa.select(*_COLUMNS).where(THROTTLE.c.client == client)).first()
    return Failures() if row is None else Failures(*row)


def add_failure(
    database: Database, client: str, step: Callable[[Failures], Failures], *, forget_before_us: int
) -> Failures:
    """Note one more wrong key, and forget the clients that have been quiet for long.

    Args:
        database: Where it is noted.
        client: Whose.
        step: What is noted afterwards, of what was noted before.
        forget_before_us: Clients that were last noted or blocked before this time are forgotten.

    Raises:
        StorageError: The database cannot be written.
    """
    mine = THROTTLE.c.client == client
    with database.write() as connection:
        connection.execute(database.insert_ignore(THROTTLE), {"client": client})
        found = connection.execute(sa.select(*_COLUMNS).where(mine).with_for_update()).one()
        if not found.failures:
            _make_room(connection)
        after = step(Failures(*found))
        connection.execute(
            sa.update(THROTTLE)
            .where(mine)
            .values(
                failures=after.count,
                first_at=after.first_us,
                last_at=after.last_us,
                blocked_until=after.blocked_until_us,
            )
        )
        connection.execute(
            sa.delete(THROTTLE).where(
                THROTTLE.c.last_at < forget_before_us,
                THROTTLE.c.blocked_until < forget_before_us,
            )
        )
    return after


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
