"""Contents and state of a database: rows, oldest rows, SQLite's own state. Judges nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.sqlite_file import NAMESAKE_TABLE
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    CALLER,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    REQUEST,
    STATUS,
    USE,
    USE_WEEK,
    WORKER,
)


@dataclass(frozen=True, slots=True)
class Contents:
    """Size and number of rows.

    Attributes:
        size_bytes: Size of the database (SQLite) or of the lens's tables; None if unknown.
        rows: Number of rows by table.
        oldest: End of the oldest bucket in epoch seconds, by tier; tiers without any are absent.
        never_called: Number of endpoints without any call, by app.
    """

    size_bytes: int | None
    rows: Mapping[str, int]
    oldest: Mapping[Tier, int]
    never_called: Mapping[str, int]


def contents(database: Database) -> Contents:
    """Count everything; scans the primary keys.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        tables = (
            *(ENDPOINT, BUCKET, STATUS, WORKER, REQUEST, EXCEPTION, EXCEPTION_COUNT),
            *(CALLER, USE, USE_WEEK),
        )
        counts = {table.name: _count(connection, table) for table in tables}
        never = sa.select(ENDPOINT.c.app, sa.func.count()).where(ENDPOINT.c.last_called_at == 0)
        found = connection.execute(never.group_by(ENDPOINT.c.app))
        return Contents(
            size_bytes=database.size_bytes(connection),
            rows=counts,
            oldest=_oldest(connection),
            never_called={app: int(count) for app, count in found},
        )


NAMESAKE = (
    f"the table {NAMESAKE_TABLE} belongs to another package, fastapi-lens of PyPI: it is not "
    "changed or deleted, and its calls are in these counts only after import --from-lens-0.3"
)


def has_namesake(database: Database) -> bool:
    """True if the other package of this name has recorded into this database.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        return sa.inspect(connection).has_table(NAMESAKE_TABLE)


def journal_mode(database: Database) -> str:
    """The journal mode of a SQLite database.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())


def damage(database: Database) -> str | None:
    """The damage that SQLite finds in its file, in its words; None if it is sound, or on a server.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        return database.dialect.damage(connection)


def log_bytes(path: Path) -> int:
    """The size of a SQLite file's log; 0 if there is none."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


def _oldest(connection: Connection) -> dict[Tier, int]:
    found: dict[Tier, int] = {}
    # One query for each, which the primary key answers from its first entry.
    for tier in Tier:
        first = sa.select(sa.func.min(BUCKET.c.bucket)).where(
            BUCKET.c.tier == tier.value, BUCKET.c.bucket > BASELINE_BUCKET
        )
        bucket = connection.execute(first).scalar()
        if bucket is not None:
            found[tier] = (int(bucket) + 1) * tier
    return found


def _count(connection: Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
