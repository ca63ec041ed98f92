"""A sign in the database that rows have changed which no worker has written. Knows no rows.

Whoever remembers what was in the rows looks at it: the counts of the workers tell of their own
writes only.
"""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.database import Database
from fastapi_lens.storage.tables import META

_NAME = "rewritten"


def note_rewriting(database: Database, connection: Connection) -> None:
    """Put up another sign, in the transaction that changes the rows or in one that follows it."""
    sign = secrets.token_hex(8)
    noted = connection.execute(sa.update(META).where(META.c.name == _NAME).values(value=sign))
    if not noted.rowcount:
        connection.execute(database.insert_ignore(META), {"name": _NAME, "value": sign})


def rewriting_sign() -> sa.ScalarSelect[str]:
    """The sign as part of a SELECT; NULL before the first one."""
    return sa.select(META.c.value).where(META.c.name == _NAME).scalar_subquery()
