"""The version of the data in a database: a text that differs after each change of shown data.

Entity tags contain it, and caches use it in their keys. It is random rather than a counter, because
a database that is restored from a backup must not reach a version that it had before.
"""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import META

_NAME = "data_version"


def note_change(database: Database, connection: Connection) -> None:
    """Set a new version, in the transaction that changes shown data.

    Call it last: from then on, other transactions that change data wait for this one.
    """
    version = secrets.token_hex(8)
    noted = connection.execute(sa.update(META).where(META.c.name == _NAME).values(value=version))
    if not noted.rowcount:
        connection.execute(database.insert_ignore(META), {"name": _NAME, "value": version})


def data_version() -> sa.ScalarSelect[str]:
    """The version as part of a SELECT; NULL before the first change."""
    return sa.select(META.c.value).where(META.c.name == _NAME).scalar_subquery()
