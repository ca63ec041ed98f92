"""Rows as SQLModel objects, read over a connection. Not for the flush path.

There is no ORM session: it would call what the host application listens to in all sessions of the
process, for example to set a tenant at the beginning of each transaction. Objects are therefore
read and written by statements. A flush must not pay for objects at all.
"""

from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlmodel.sql.expression import SelectOfScalar

from fastapi_lens.storage.schema.models import LensModel

ModelT = TypeVar("ModelT", bound=LensModel)


def read_objects(
    connection: Connection, model: type[ModelT], wanted: SelectOfScalar[ModelT]
) -> list[ModelT]:
    """The rows of a query as objects, in its order; values are as the database has them.

    Args:
        connection: In a transaction of `Database`.
        model: The class of the objects.
        wanted: ``select(model)`` with conditions.
    """
    rows = connection.execute(wanted).mappings()
    return [model(**row) for row in rows]
