"""The version of the data in a database: another text after each change of what is shown.

Entity tags are made of it, and answers are kept by it. It is random rather than a number that
grows, because a database that goes back to a backup must not show a version that it had before.
"""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import META

_NAME = "data_version"


def note_change(database: Database, connection: Connection) -> None:
    """Set another version, in the transaction that changes what is shown.

    Call it last: other transactions that change data wait for this one from then on.
    """
    version = secrets.token_hex(8)
    noted = connection.execute(sa.update(META).where(META.c.name == _NAME).values(value=version))
    if not noted.rowcount:
        connection.execute(database.insert_ignore(META), {"name": _NAME, "value": version})


def data_version() -> sa.ScalarSelect[str]:
    """The version as part of a SELECT; NULL before the first change."""
    return sa.select(META.c.value).where(META.c.name == _NAME).scalar_subquery()
