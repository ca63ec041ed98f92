"""Leases of periodic jobs: one of many workers does a job at a time. Knows no job."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import LEASE

LEASE_SECONDS = 120
"""Duration of a lease: after it, another worker can take over the job of a dead one."""

_LONGEST_TIMES = 30
"""A lease that ends later than this multiple of its duration was written by a wrong clock, and is
ignored."""


def take_lease(
    database: Database, name: str, *, owner: str, now: float, seconds: int = LEASE_SECONDS
) -> bool:
    """Take the lease of a periodic job; false if another worker has it.

    Args:
        database: The database with the lease.
        name: Name of the job; must fit the column.
        owner: The calling worker.
        now: Epoch seconds of a clock that all callers share.
        seconds: Duration of the lease unless it is renewed.

    Raises:
        StorageError: The database cannot be written.
    """
    latest = int(now) + _LONGEST_TIMES * seconds
    # Only a look, which needs no lock: mostly another worker has the lease.
    with database.read() as connection:
        expires_at = connection.execute(
            sa.select(LEASE.c.expires_at).where(LEASE.c.name == name)
        ).scalar_one_or_none()
    if expires_at is None:
        # In its own transaction: on MariaDB, transactions that insert and then update deadlock.
        with database.write() as connection:
            connection.execute(
                database.insert_ignore(LEASE), {"name": name, "owner": "", "expires_at": 0}
            )
    elif int(now) <= expires_at <= latest:
        return False
    # Compared again by the UPDATE, because another worker may have been faster.
    free = (LEASE.c.expires_at < int(now)) | (LEASE.c.expires_at > latest)
    return _update(database, name, free, owner=owner, until=int(now) + seconds)


def renew_lease(
    database: Database, name: str, *, owner: str, now: float, seconds: int = LEASE_SECONDS
) -> bool:
    """Renew a lease for its full time; false if it is no longer this worker's.

    A lease that has expired can be renewed if nobody has taken it meanwhile.

    Raises:
        StorageError: The database cannot be written.
    """
    return _update(database, name, LEASE.c.owner == owner, owner=owner, until=int(now) + seconds)


def give_back_lease(database: Database, name: str, *, owner: str) -> None:
    """Free the lease at once, if it is this worker's.

    Raises:
        StorageError: The database cannot be written.
    """
    _update(database, name, LEASE.c.owner == owner, owner="", until=0)


def free_leases(connection: Connection, owner: str) -> None:
    """Free the leases of a worker that has died, in a write transaction."""
    connection.execute(
        sa.update(LEASE).where(LEASE.c.owner == owner).values(owner="", expires_at=0)
    )


def _update(
    database: Database, name: str, where: sa.ColumnElement[bool], *, owner: str, until: int
) -> bool:
    with database.write() as connection:
        moved = connection.execute(
            sa.update(LEASE)
            .where(LEASE.c.name == name, where)
            .values(owner=owner, expires_at=until)
        )
        return moved.rowcount == 1
