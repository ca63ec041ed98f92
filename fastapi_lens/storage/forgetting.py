"""Forgetting workers that are long gone, so that their number does not grow with every start.

Where instances come and go (serverless, spot), few of them say that they end. The calls that they
have lost stay counted, also when their rows are gone.
"""

import hashlib
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.clocks import database_clock
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.deletion import Pace, Slice, delete_slice
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.tables import META, WORKER

WORKER_SECONDS = 7 * Tier.DAY.value
"""A worker that has ended, or is silent, is remembered for so long, and as one of the latest."""

SILENT_SECONDS = 500 * Tier.DAY.value
"""One of the latest that never said that it ends may come back, and needs its fence then."""

LATEST_WORKERS = 200
"""Of an app: so many that have ended, that are silent, and that have lost calls."""


def dropped_calls(connection: Connection, app: str) -> int:
    """How many calls the workers of an app have lost, those that are forgotten among them."""
    lost = sa.select(sa.func.coalesce(sa.func.sum(WORKER.c.dropped), 0)).where(_losers(app))
    return int(connection.execute(lost).scalar_one()) + _forgotten_calls(connection, app)


def forget_losses(connection: Connection, app: str) -> None:
    """Forget what the forgotten workers of an app have lost, in a transaction that writes."""
    connection.execute(sa.delete(META).where(META.c.name == _note_of(app)))


def worker_slices(database: Database, *, now: float, pace: Pace) -> Iterator[Slice]:
    """Delete the rows of workers that are long gone; gives each slice when it is done.

    Args:
        database: Whose rows.
        now: Epoch seconds; the database's own clock is asked, too, where it has one.
        pace: Of the slices.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.read() as connection:
        now_us = connection.execute(sa.select(database_clock(database.dialect))).scalar_one()
        apps = list(_apps(connection))
    # The earlier of both clocks: one that is ahead forgets nobody too soon.
    ours_us = round(now * 1_000_000)
    week_us = (ours_us if now_us is None else min(ours_us, int(now_us))) - _WEEK_US
    for app in apps:
        while losers := _surplus_losers(database, app, week_us, pace.size):
            yield _forget_losers(database, app, losers, week_us, pace)
        while ids := _gone(database, app, week_us, pace.size):
            # One that has come back this very moment stays.
            gone = WORKER.c.id.in_(ids) & (WORKER.c.seen_at < week_us)
            yield delete_slice(database, WORKER, gone, pace)


_WEEK_US = WORKER_SECONDS * 1_000_000
_LONGEST_US = (SILENT_SECONDS - WORKER_SECONDS) * 1_000_000


def _apps(connection: Connection) -> Iterator[str]:
    """The apps that have workers, each found through the index alone."""
    app = connection.execute(sa.select(sa.func.min(WORKER.c.app))).scalar()
    while app is not None:
        yield app
        following = sa.select(sa.func.min(WORKER.c.app)).where(WORKER.c.app > app)
        app = connection.execute(following).scalar()


def _gone(database: Database, app: str, week_us: int, most: int) -> list[str]:
    """Ids of workers to forget that have lost nothing."""
    with database.read() as connection:
        return old_workers(connection, app, week_us, most)


def old_workers(connection: Connection, app: str, week_us: int, most: int) -> list[str]:
    """Ids of workers of an app that are long gone and have lost nothing.

    Args:
        connection: To the database.
        app: Whose workers.
        week_us: Who was heard of after it stays, in microseconds since the epoch.
        most: How many are looked for.
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
    """The time of the last one that stays in any case; None where there are no more than these."""
    rows = sa.select(time).where(where).order_by(time.desc()).limit(1).offset(LATEST_WORKERS - 1)
    return connection.execute(rows).scalar_one_or_none()


def _ids(
    connection: Connection, where: sa.ColumnElement[bool], time: sa.Column[int], most: int
) -> list[str]:
    rows = sa.select(WORKER.c.id).where(where, WORKER.c.dropped == 0).order_by(time).limit(most)
    return list(connection.execute(rows).scalars())


def _losers(app: str) -> sa.ColumnElement[bool]:
    return (WORKER.c.app == app) & (WORKER.c.dropped > 0)


def _surplus_losers(database: Database, app: str, week_us: int, most: int) -> list[str]:
    """Ids of workers that have lost calls and are long gone, those that lost fewest first."""
    with database.read() as connection:
        count = sa.select(sa.func.count()).select_from(WORKER).where(_losers(app))
        surplus = connection.execute(count).scalar_one() - LATEST_WORKERS
        if surplus <= 0:
            return []
        rows = sa.select(WORKER.c.id).where(_losers(app), WORKER.c.seen_at < week_us)
        found = rows.order_by(WORKER.c.dropped).limit(min(most, surplus))
        return list(connection.execute(found).scalars())


def _forget_losers(database: Database, app: str, ids: list[str], week_us: int, pace: Pace) -> Slice:
    """Delete workers, and add what they have lost to what is known of forgotten ones."""
    with database.write() as connection:
        begun = pace.timer()
        gone = WORKER.c.id.in_(ids) & (WORKER.c.seen_at < week_us)
        lost = sum(connection.execute(sa.select(WORKER.c.dropped).where(gone)).scalars())
        rows = connection.execute(sa.delete(WORKER).where(gone)).rowcount
        connection.execute(database.insert_ignore(META), {"name": _note_of(app), "value": "0"})
        lost += _forgotten_calls(connection, app)
        connection.execute(
            sa.update(META).where(META.c.name == _note_of(app)).values(value=str(lost))
        )
    done = Slice(rows, pace.timer() - begun)
    pace.note(*done)
    return done


def _forgotten_calls(connection: Connection, app: str) -> int:
    note = sa.select(META.c.value).where(META.c.name == _note_of(app))
    return int(connection.execute(note).scalar_one_or_none() or 0)


def _note_of(app: str) -> str:
    """The name of the fact: as long as the column, for any app."""
    return f"dropped {hashlib.sha256(app.encode()).hexdigest()[:32]}"
