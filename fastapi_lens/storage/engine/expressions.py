"""Expressions whose SQL differs between databases, see `dialects`."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fastapi_lens.storage.engine.dialects import dialect_of


class Bounds(FunctionElement[bool]):
    """Redundant conditions for a query planner, such as the bounds of a list of buckets.

    If PostgreSQL does not use the list for its index scan, it uses the bounds. SQLite would use
    the bounds in place of the list, so its SQL omits them.
    """

    inherit_cache = True
    type = sa.Boolean()


@compiles(Bounds)
def _bounds(bounds: Bounds, compiler: SQLCompiler, **options: Any) -> str:
    if dialect_of(compiler).follows_bounds:
        return compiler.process(sa.and_(*bounds.clauses), **options)
    return "1"


class Bytes(FunctionElement[bytes]):
    """A column of bytes. SQLite accepts any value there, so it is asked to return bytes."""

    inherit_cache = True
    type = sa.LargeBinary()


@compiles(Bytes)
def _bytes(column: Bytes, compiler: SQLCompiler, **options: Any) -> str:
    return dialect_of(compiler).bytes_of.format(compiler.process(column.clauses, **options))
