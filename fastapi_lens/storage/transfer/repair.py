"""Detection and repair of rows that no release could have written. Applies `row_checks`.

They come from an import by an older release, which did not check the file, or from another
program. The valid values of such a row are kept. An invalid value is cleared; an impossible time
is set to the present. A row with an invalid key is deleted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.import_notes import IMPORT_NOTE, import_note
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.row_checks import Wrong, sound_values, wrong_values
from fastapi_lens.storage.schema.tables import META, MOVED

AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row and its invalid values.

    Attributes:
        values: Values by column, as the driver returns them.
        wrong: The invalid values; not empty.
    """

    table: sa.Table
    values: dict[str, Any]
    wrong: tuple[Wrong, ...]

    @property
    def key(self) -> str:
        """Its primary key as text: ``60-29550000-4711``."""
        return "-".join(str(self.values[column.name]) for column in self.table.primary_key)


def wrong_rows(database: Database) -> Iterator[WrongRow]:
    """All rows that no release could have written, and import notes that cannot be read.

    Raises:
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        for table in MOVED:
            for values in _rows(connection, table):
                wrong = tuple(wrong_values(table.name, values))
                if wrong:
                    yield WrongRow(table, values, wrong)
        notes = sa.select(META.c.name, META.c.value).where(META.c.name.startswith(IMPORT_NOTE))
        for name, value in connection.execute(notes):
            if import_note(value) is None:
                wrong = (Wrong("value", "not a note of an import"),)
                yield WrongRow(META, {"name": name, "value": value}, wrong)


def repair(database: Database, rows: Sequence[WrongRow], *, now: float) -> None:
    """Repair rows where possible, and delete the others.

    Args:
        database: The database that holds them.
        rows: The rows from `wrong_rows`.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be written.
    """
    for begin in range(0, len(rows), AT_ONCE):
        with database.write() as connection:
            for row in rows[begin : begin + AT_ONCE]:
                _repair(connection, row, microseconds(now))
            note_change(database, connection)


def _repair(connection: Connection, row: WrongRow, now_us: int) -> None:
    table = row.table
    is_row = [column == _as_it_is(row.values[column.name]) for column in table.primary_key]
    changes = None if table is META else sound_values(table, row.values, now_us)
    if changes is None:
        connection.execute(sa.delete(table).where(*is_row))
    else:
        connection.execute(sa.update(table).where(*is_row).values(changes))


def _rows(connection: Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    names = table.c.keys()
    # As the driver returns them: a column type would fail on invalid values.
    columns = [sa.type_coerce(column, sa.types.NullType()) for column in table.c]
    rows = connection.execute(sa.select(*columns).execution_options(yield_per=AT_ONCE))
    for row in rows:
        yield dict(zip(names, row, strict=True))


def _as_it_is(value: Any) -> sa.BindParameter[Any]:
    return sa.literal(value, sa.types.NullType())
