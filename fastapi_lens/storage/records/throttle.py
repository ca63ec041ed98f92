"""Rows of clients and networks that entered wrong keys. Knows no addresses and no rule."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlmodel import col, select

from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.objects import read_objects
from fastapi_lens.storage.schema.models import ThrottleRow
from fastapi_lens.storage.schema.tables import THROTTLE


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong keys of one client, or of all clients of one network.

    Attributes:
        count: Their number.
        first_us: Time of the first, in microseconds since the epoch.
        last_us: Time of the last.
        blocked_until_us: Time until which the client is refused without a check of its key; 0 if
            it is not blocked.
    """

    count: int = 0
    first_us: int = 0
    last_us: int = 0
    blocked_until_us: int = 0


MAX_CLIENTS = 10_000
"""Most rows of clients; beyond it, the tenth with the oldest wrong keys is deleted."""

Step = Callable[[Failures], Failures]
"""A function from the stored failures to the new ones."""


_UPDATE = (
    sa.update(THROTTLE)
    .where(THROTTLE.c.client == sa.bindparam("to_client"))
    .values({one: sa.bindparam(f"to_{one.name}") for one in THROTTLE.c if not one.primary_key})
)


def read_failures(database: Database, clients: Collection[str]) -> dict[str, Failures]:
    """Read the failures of clients and networks, by name; unknown ones are absent.

    Raises:
        StorageError: The database cannot be read.
    """
    wanted = select(ThrottleRow).where(col(ThrottleRow.client).in_(clients))
    with database.read() as connection:
        rows = read_objects(connection, ThrottleRow, wanted)
    return {row.client: _failures(row) for row in rows}


def add_failures(
    database: Database, steps: Mapping[str, Step], *, forget_before_us: int
) -> dict[str, Failures]:
    """Count one more wrong key, and delete clients without a recent one.

    Args:
        database: The database to write to.
        steps: Steps by client and network.
        forget_before_us: Clients whose last wrong key and block are before this time are deleted.

    Returns:
        The new failures, by client and network.

    Raises:
        StorageError: The database cannot be written.
    """
    after: dict[str, Failures] = {}

    def work() -> None:
        with database.write() as connection:
            # In a fixed order, so that two clients of the same networks cannot deadlock.
            new = [ThrottleRow(client=name).model_dump() for name in sorted(steps)]
            connection.execute(database.insert_ignore(THROTTLE), new)
            wanted = select(ThrottleRow).where(col(ThrottleRow.client).in_(steps))
            rows = read_objects(
                connection, ThrottleRow, wanted.order_by(ThrottleRow.client).with_for_update()
            )
            # Only clients that are new make the table grow.
            if not all(row.failures for row in rows):
                _make_room(connection)
            for row in rows:
                after[row.client] = steps[row.client](_failures(row))
                _note(row, after[row.client])
            connection.execute(_UPDATE, [_parameters(row) for row in rows])
            connection.execute(
                sa.delete(THROTTLE).where(
                    THROTTLE.c.last_at < forget_before_us,
                    THROTTLE.c.blocked_until < forget_before_us,
                )
            )

    retry_on_deadlock(work)
    return after


def _failures(row: ThrottleRow) -> Failures:
    return Failures(row.failures, row.first_at, row.last_at, row.blocked_until)


def _parameters(row: ThrottleRow) -> dict[str, int | str]:
    return {f"to_{name}": value for name, value in row.model_dump().items()}


def _note(row: ThrottleRow, noted: Failures) -> None:
    row.failures, row.first_at = noted.count, noted.first_us
    row.last_at, row.blocked_until = noted.last_us, noted.blocked_until_us


def _make_room(connection: Connection) -> None:
    count = connection.execute(sa.select(sa.func.count()).select_from(THROTTLE)).scalar_one()
    if count <= MAX_CLIENTS:
        return
    # New rows, such as this client's, have no time yet.
    noted = sa.select(THROTTLE.c.last_at).where(THROTTLE.c.last_at > 0)
    tenth = noted.order_by(THROTTLE.c.last_at).offset(MAX_CLIENTS // 10).limit(1)
    limit = connection.execute(tenth).scalar_one()
    connection.execute(
        sa.delete(THROTTLE).where(THROTTLE.c.last_at > 0, THROTTLE.c.last_at <= limit)
    )
