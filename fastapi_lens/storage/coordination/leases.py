"""Who of many workers does a periodic job. Knows no job."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import LEASE

LEASE_SECONDS = 120
"""So long after its last sign of life a worker's job goes to another one."""

_LONGEST_TIMES = 30
"""A lease that ends later than so many times its length was written by a clock that is wrong, and
nobody waits for it."""


def take_lease(
    database: Database, name: str, *, owner: str, now: float, seconds: int = LEASE_SECONDS
) -> bool:
    """Whether this worker is to do a periodic job now; at most one gets it at a time.

    Args:
        database: Where the lease is.
        name: Of the job, as long as the column.
        owner: Who asks.
        now: Epoch seconds, by a clock that those who ask have in common.
        seconds: So long the lease lasts unless it is renewed.

    Raises:
        StorageError: The database cannot be written.
    """
    latest = int(now) + _LONGEST_TIMES * seconds
    with database.read() as connection:
        expires_at = connection.execute(
            sa.select(LEASE.c.expires_at).where(LEASE.c.name == name)
        ).scalar_one_or_none()
    if expires_at is None:
        # In a transaction of its own: on MariaDB those who insert and then update deadlock.
        with database.write() as connection:
            connection.execute(
                database.insert_ignore(LEASE), {"name": name, "owner": "", "expires_at": 0}
            )
    elif int(now) <= expires_at <= latest:
        return False
    free = (LEASE.c.expires_at < int(now)) | (LEASE.c.expires_at > latest)
    return _move_on(database, name, free, owner=owner, until=int(now) + seconds)


def renew_lease(
    database: Database, name: str, *, owner: str, now: float, seconds: int = LEASE_SECONDS
) -> bool:
    """Whether the lease is still this worker's, which has it for the full time again then.

    One that has run out and that nobody has taken meanwhile is, too.

    Raises:
        StorageError: The database cannot be written.
    """
    return _move_on(database, name, LEASE.c.owner == owner, owner=owner, until=int(now) + seconds)


def give_back_lease(database: Database, name: str, *, owner: str) -> None:
    """Let anybody else have the lease at once, if it is this worker's.

    Raises:
        StorageError: The database cannot be written.
    """
    _move_on(database, name, LEASE.c.owner == owner, owner="", until=0)


def free_leases(connection: Connection, owner: str) -> None:
    """Let anybody else have the leases of a worker that has died, in a write transaction."""
    connection.execute(
        sa.update(LEASE).where(LEASE.c.owner == owner).values(owner="", expires_at=0)
    )


def _move_on(
    database: Database, name: str, where: sa.ColumnElement[bool], *, owner: str, until: int
) -> bool:
    with database.write() as connection:
        moved = connection.execute(
            sa.update(LEASE)
            .where(LEASE.c.name == name, where)
            .values(owner=owner, expires_at=until)
        )
        return moved.rowcount == 1
