"""How long each tier is kept, and deleting what is older, in slices that delay nobody."""

from collections.abc import Mapping

import sqlalchemy as sa

from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.tables import BUCKET, LEASE, STATUS

KEPT_SECONDS: Mapping[Tier, int | None] = {
    Tier.MINUTE: 6 * 3_600,
    Tier.HOUR: 35 * 86_400,
    Tier.DAY: 400 * 86_400,
    Tier.WEEK: None,
}
"""Seconds that each tier is kept when `ttl_days` is not set; None is for ever."""

LEASE_SECONDS = 120
_PAGES_PER_SLICE = 256


def kept_seconds(tier: Tier, ttl_days: int | None) -> int | None:
    """Seconds that a tier is kept: its own retention or `ttl_days`, whichever is shorter."""
    kept = KEPT_SECONDS[tier]
    if ttl_days is None:
        return kept
    ttl = ttl_days * Tier.DAY.value
    return ttl if kept is None else min(kept, ttl)


def take_lease(database: Database, name: str, *, owner: str, now: float) -> bool:
    """Whether this worker is to do a periodic job now; at most one gets it at a time.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.read() as connection:
        expires_at = connection.execute(
            sa.select(LEASE.c.expires_at).where(LEASE.c.name == name)
        ).scalar_one_or_none()
    if expires_at is not None and expires_at >= int(now):
        return False
    if expires_at is None:
        # In a transaction of its own: on MariaDB those who insert and then update deadlock.
        with database.write() as connection:
            connection.execute(
                database.insert_ignore(LEASE), {"name": name, "owner": "", "expires_at": 0}
            )
    with database.write() as connection:
        won = connection.execute(
            sa.update(LEASE)
            .where(LEASE.c.name == name, LEASE.c.expires_at < int(now))
            .values(owner=owner, expires_at=int(now) + LEASE_SECONDS)
        )
        return won.rowcount == 1


def prune(database: Database, *, now: float, ttl_days: int | None) -> int:
    """Delete the rows that are older than their tier's retention.

    First and last calls and the all-time totals lie elsewhere and stay.

    Args:
        database: Whose rows.
        now: Epoch seconds.
        ttl_days: The configured retention in days, or None.

    Returns:
        The number of rows deleted.

    Raises:
        StorageError: The database cannot be written.
    """
    deleted = 0
    for tier in Tier:
        kept = kept_seconds(tier, ttl_days)
        if kept is None:
            continue
        oldest = int(now - kept) // tier
        of_tier = BUCKET.c.tier == tier.value
        deleted += _delete_before(database, BUCKET.c.bucket, oldest, where=of_tier)
        if tier is Tier.DAY:
            deleted += _delete_before(database, STATUS.c.day, oldest, where=sa.true())
    if deleted and database.dialect == "sqlite":
        _give_space_back(database)
    return deleted


def _delete_before(
    database: Database,
    column: sa.Column[int],
    limit: int,
    *,
    where: sa.ColumnElement[bool],
) -> int:
    """Delete one value of the column after another, each in a transaction of its own."""
    deleted = 0
    while True:
        with database.write() as connection:
            value = connection.execute(sa.select(sa.func.min(column)).where(where)).scalar()
            if value is None or value >= limit:
                return deleted
            deleted += connection.execute(
                sa.delete(column.table).where(where, column == value)
            ).rowcount


def _give_space_back(database: Database) -> None:
    with database.write() as connection:
        free = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
        # One at a time: sqlite3 never asks for more than the first page of a larger number.
        for _ in range(min(free, _PAGES_PER_SLICE)):
            connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
