"""Deleting what somebody chose to delete, in short transactions. Knows nothing of retention."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from fastapi_lens.storage.database import Database
from fastapi_lens.storage.deletion import Pace, Past, past_slices
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.snapshot import import_notes
from fastapi_lens.storage.space import space_slices
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, META, STATUS, WORKER

_END = 1 << 62
"""Later than every bucket."""

_IDS = 500


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be deleted of one app.

    Attributes:
        app: Its name.
        ids: The endpoints.
        before: Only what ended before this time, in epoch seconds, and no endpoint itself;
            None for everything of these endpoints.
        whole_app: Whether the app's workers, and that it was imported, are to be forgotten, too.
    """

    app: str
    ids: Sequence[int]
    before: int | None = None
    whole_app: bool = False


@dataclass(frozen=True, slots=True)
class Amount:
    """How much that is, in rows.

    Attributes:
        endpoints: Endpoints that are deleted themselves.
        buckets: Sums of minutes, hours, days and weeks.
        statuses: Status codes by day.
        workers: Workers.
    """

    endpoints: int
    buckets: int
    statuses: int
    workers: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.endpoints + self.buckets + self.statuses + self.workers


def amount(database: Database, choice: Choice) -> Amount:
    """How much a choice would delete.

    Raises:
        StorageError: The database cannot be read.
    """
    found = {BUCKET: 0, STATUS: 0}
    with database.read() as connection:
        for past in _pasts(choice):
            rows = sa.select(sa.func.count()).where(past.where, past.bucket < past.limit)
            found[past.table] += connection.execute(rows).scalar_one()
        of_app = sa.select(sa.func.count()).where(WORKER.c.app == choice.app)
        workers = connection.execute(of_app).scalar_one() if choice.whole_app else 0
    endpoints = len(choice.ids) if choice.before is None else 0
    return Amount(endpoints, found[BUCKET], found[STATUS], workers)


def purge(database: Database, choice: Choice) -> Iterator[int]:
    """Delete it; gives the rows of each transaction when it is done.

    Raises:
        StorageError: The database cannot be written; what was deleted before stays so.
    """
    pace = Pace()
    for past in _pasts(choice):
        for done in past_slices(database, past, pace):
            yield done.rows
    if choice.before is None:
        for ids in _parts(choice.ids):
            yield _delete(database, sa.delete(ENDPOINT).where(ENDPOINT.c.id.in_(ids)))
    if choice.whole_app:
        yield _delete(database, sa.delete(WORKER).where(WORKER.c.app == choice.app))
        _forget_imports(database, choice.app)
    for _ in space_slices(database, pace):
        yield 0


def _pasts(choice: Choice) -> Iterator[Past]:
    for ids in _parts(choice.ids):
        for tier in Tier:
            limit = _END if choice.before is None else choice.before // tier
            of_tier = (BUCKET.c.tier == tier.value) & BUCKET.c.endpoint_id.in_(ids)
            yield Past(BUCKET, of_tier, BUCKET.c.bucket, BUCKET.c.endpoint_id, limit)
        limit = _END if choice.before is None else choice.before // Tier.DAY
        of_days = STATUS.c.endpoint_id.in_(ids)
        yield Past(STATUS, of_days, STATUS.c.day, STATUS.c.endpoint_id, limit)


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), _IDS):
        yield ids[begin : begin + _IDS]


def _delete(database: Database, statement: sa.Delete) -> int:
    with database.write() as connection:
        return connection.execute(statement).rowcount


def _forget_imports(database: Database, app: str) -> None:
    """Let what brought nothing but this app be imported again."""
    with database.write() as connection:
        notes = import_notes(connection)
        mine = [name for name, note in notes.items() if list(note["origins"]) == [app]]
        connection.execute(sa.delete(META).where(META.c.name.in_(mine)))
