"""Parts of a SELECT that databases want in different words, see `dialects`."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from fastapi_lens.storage.engine.dialects import dialect_of


class Bounds(FunctionElement[bool]):
    """Conditions that follow from others, for a database that reads less when it is told them."""

    inherit_cache = True
    type = sa.Boolean()


@compiles(Bounds)
def _bounds(bounds: Bounds, compiler: SQLCompiler, **options: Any) -> str:
    if dialect_of(compiler).follows_bounds:
        return compiler.process(sa.and_(*bounds.clauses), **options)
    return "1"


class Bytes(FunctionElement[bytes]):
    """A column of bytes, also where the database accepts any value there."""

    inherit_cache = True
    type = sa.LargeBinary()


@compiles(Bytes)
def _bytes(column: Bytes, compiler: SQLCompiler, **options: Any) -> str:
    return dialect_of(compiler).bytes_of.format(compiler.process(column.clauses, **options))
