"""The rows of clients that have given wrong keys. Knows no addresses, no keys and no rule."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

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
