"""Other apps in the database with the same endpoints: what is left of a changed title.

An app's name follows the title of its application. A changed title is a new app, without the
history that the old one keeps.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.schema.tables import ENDPOINT, WORKER
from fastapi_lens.text.path_shapes import shape_of

LIVING_SECONDS = 600
"""An app whose workers have all ended, or were last seen longer ago, has no living one."""

FEWEST_SHARED = 3
"""Endpoints; fewer are shared by chance, such as ``GET /`` and ``GET /health``."""

MOST_TWINS = 5

Name = tuple[str, str]
"""Method and path template."""


def read_twins(
    connection: Connection, app: str, endpoints: Iterable[Name], *, now: float
) -> tuple[str, ...]:
    """Apps without a living worker that share most of their endpoints, and most of this app's.

    Args:
        connection: In a reading transaction.
        app: Name of this app.
        endpoints: The endpoints in its routes.
        now: Epoch seconds.

    Returns:
        Their names in order, at most `MOST_TWINS`.
    """
    mine = {(method, shape_of(path)) for method, path in endpoints}
    theirs: dict[str, set[Name]] = {}
    rows = sa.select(ENDPOINT.c.app, ENDPOINT.c.method, ENDPOINT.c.path)
    # Sizes and workers first, so that the endpoints of few apps are read.
    candidates = _candidates(connection, app, len(mine), now)
    for name, method, path in connection.execute(rows.where(ENDPOINT.c.app.in_(candidates))):
        theirs.setdefault(name, set()).add((method, shape_of(path)))
    found = (name for name, each in theirs.items() if _are_twins(mine, each))
    return tuple(sorted(found)[:MOST_TWINS])


def _are_twins(one: set[Name], other: set[Name]) -> bool:
    shared = len(one & other)
    # Of the larger one, so that a small service is no twin of a large one.
    return shared >= FEWEST_SHARED and 2 * shared > max(len(one), len(other))


def _candidates(connection: Connection, app: str, endpoints: int, now: float) -> list[str]:
    """Other apps without a living worker and with about as many endpoints."""
    count = sa.func.count()
    sizes = sa.select(ENDPOINT.c.app).where(ENDPOINT.c.app != app).group_by(ENDPOINT.c.app)
    # Removed endpoints stay in the database.
    alike = set(connection.execute(sizes.having(2 * count > endpoints)).scalars())
    if not alike:
        return []
    is_living = (WORKER.c.ended_at == 0) & (WORKER.c.seen_at >= microseconds(now - LIVING_SECONDS))
    living = sa.select(WORKER.c.app).where(is_living).distinct()
    return sorted(alike.difference(connection.execute(living).scalars()))
