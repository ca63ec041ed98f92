"""Deletion of workers that ended long ago, so that their number does not grow with every start.

Short-lived instances (serverless, spot) rarely report their end. Their dropped calls stay counted
after their rows are deleted.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.coordination.dropped_calls import count_dropped, has_dropped
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.chunks import AdaptiveBatchSize, Chunk, delete_chunk
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import WORKER

WORKER_SECONDS = 7 * Tier.DAY.value
"""A worker that has ended or is silent is kept for this long, and while it is among the latest."""

SILENT_SECONDS = 500 * Tier.DAY.value
"""One of the latest workers that never reported its end is kept for this long: if it comes back,
its batches need its sequence number."""

LATEST_WORKERS = 200
"""Workers kept per app of each kind: ended, silent, and with dropped calls."""


def worker_chunks(
    database: Database, *, now: float, batch_size: AdaptiveBatchSize
) -> Iterator[Chunk]:
    """Delete the rows of workers that ended long ago; yield each chunk when it is deleted.

    Args:
        database: The database to write to.
        now: Epoch seconds; also compared with the database's own clock, if it has one.
        batch_size: Sets the size of the chunks.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.read() as connection:
        now_us = connection.execute(sa.select(database.dialect.clock_us)).scalar_one()
        apps = list(_apps(connection))
    # The earlier of both clocks, so that a clock that is ahead deletes no worker too soon.
    ours_us = microseconds(now)
    week_us = (ours_us if now_us is None else min(ours_us, int(now_us))) - _WEEK_US
    for app in apps:
        while surplus := _surplus_with_dropped(database, app, week_us, batch_size.size):
            yield _forget_with_dropped(database, app, surplus, week_us, batch_size)
        while ids := _gone(database, app, week_us, batch_size.size):
            # A worker that has just come back is kept.
            gone = WORKER.c.id.in_(ids) & (WORKER.c.seen_at < week_us)
            yield delete_chunk(database, WORKER, gone, batch_size)


_WEEK_US = WORKER_SECONDS * 1_000_000
_LONGEST_US = (SILENT_SECONDS - WORKER_SECONDS) * 1_000_000


def _apps(connection: Connection) -> Iterator[str]:
    """The apps that have workers, each found by an index lookup."""
    app = connection.execute(sa.select(sa.func.min(WORKER.c.app))).scalar()
    while app is not None:
        yield app
        following = sa.select(sa.func.min(WORKER.c.app)).where(WORKER.c.app > app)
        app = connection.execute(following).scalar()


def _gone(database: Database, app: str, week_us: int, most: int) -> list[str]:
    """Ids of workers to delete that have dropped no calls."""
    with database.read() as connection:
        return old_workers(connection, app, week_us, most)


def old_workers(connection: Connection, app: str, week_us: int, most: int) -> list[str]:
    """Ids of workers of an app that ended long ago and have dropped no calls.

    Args:
        connection: To the database.
        app: Name of the app.
        week_us: Workers last seen after this time are kept, in microseconds since the epoch.
        most: Maximum number of ids.
    """
    silent, ended = WORKER.c.seen_at, WORKER.c.ended_at
    open_ones = (WORKER.c.app == app) & (ended == 0)
    last_silent = _last_kept(connection, open_ones, silent) or 0
    limit = max(min(last_silent, week_us), week_us - _LONGEST_US)
    found = _ids(connection, open_ones & (silent < limit), silent, most)
    of_ended = (WORKER.c.app == app) & (ended > 0)
    last_ended = _last_kept(connection, of_ended, ended)
    if last_ended is not None and len(found) < most:
        limit = min(last_ended, week_us)
        found += _ids(
            connection, of_ended & (ended < limit) & (silent < limit), ended, most - len(found)
        )
    return found


def _last_kept(
    connection: Connection, where: sa.ColumnElement[bool], time: sa.Column[int]
) -> int | None:
    """The time of the oldest worker that is always kept; None if there are fewer."""
    rows = sa.select(time).where(where).order_by(time.desc()).limit(1).offset(LATEST_WORKERS - 1)
    return connection.execute(rows).scalar_one_or_none()


def _ids(
    connection: Connection, where: sa.ColumnElement[bool], time: sa.Column[int], most: int
) -> list[str]:
    rows = sa.select(WORKER.c.id).where(where, WORKER.c.dropped == 0).order_by(time).limit(most)
    return list(connection.execute(rows).scalars())


def _surplus_with_dropped(database: Database, app: str, week_us: int, most: int) -> list[str]:
    """Ids of workers that have dropped calls and ended long ago, fewest dropped calls first."""
    with database.read() as connection:
        count = sa.select(sa.func.count()).select_from(WORKER).where(has_dropped(app))
        surplus = connection.execute(count).scalar_one() - LATEST_WORKERS
        if surplus <= 0:
            return []
        rows = sa.select(WORKER.c.id).where(has_dropped(app), WORKER.c.seen_at < week_us)
        found = rows.order_by(WORKER.c.dropped).limit(min(most, surplus))
        return list(connection.execute(found).scalars())


def _forget_with_dropped(
    database: Database, app: str, ids: list[str], week_us: int, batch_size: AdaptiveBatchSize
) -> Chunk:
    """Delete workers, and add their dropped calls to the total of deleted workers."""
    with database.write() as connection:
        begun = batch_size.timer()
        # Compared again: a worker that has just come back is kept.
        gone = WORKER.c.id.in_(ids) & (WORKER.c.seen_at < week_us)
        dropped = sum(connection.execute(sa.select(WORKER.c.dropped).where(gone)).scalars())
        rows = connection.execute(sa.delete(WORKER).where(gone)).rowcount
        count_dropped(database, connection, app, dropped)
    done = Chunk(rows, batch_size.timer() - begun)
    batch_size.note(*done)
    return done
