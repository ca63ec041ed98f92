"""History that is past its retention, written past the lens. Measures nothing."""

import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import KEPT_SECONDS
from fastapi_lens.storage.retention.pruner import LEASE as LEASE_NAME
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET, LEASE, STATUS

OLD_ENDPOINTS = 500
CALLS = {Tier.MINUTE: 5, Tier.HOUR: 24, Tier.DAY: 576}
"""Calls that a row stands for: 10 million in the 35 days that hours are kept."""

CODES = (200, 404)


class Old:
    """History that is past its retention, put where the workers find it."""

    def __init__(self, url: str) -> None:
        """Connect."""
        self.url = url
        self._database = Database(url)

    def close(self) -> None:
        """Disconnect."""
        self._database.close()

    def keep_lease(self, *, seconds: float) -> None:
        """Let nobody delete for so long; give the lease free when it is negative."""
        with self._database.write() as connection:
            row = {"name": LEASE_NAME, "owner": "", "expires_at": 0}
            connection.execute(self._database.insert_ignore(LEASE), row)
            values = {"owner": "benchmark", "expires_at": int(time.time() + seconds)}
            connection.execute(sa.update(LEASE).where(LEASE.c.name == LEASE_NAME).values(values))

    def size(self) -> int:
        """Bytes of the database."""
        with self._database.read() as connection:
            return self._database.size_bytes(connection) or 0

    def fill(self, share: float) -> None:
        """Write a share of the history."""
        for table, rows in ((BUCKET, old_buckets(share)), (STATUS, old_statuses(share))):
            with self._database.write() as connection:
                driver: Any = connection.connection.driver_connection
                if self._database.dialect.is_file:
                    marks = ", ".join("?" * len(table.columns))
                    driver.executemany(f"INSERT INTO {table.name} VALUES ({marks})", rows)  # noqa: S608
                else:
                    with driver.cursor().copy(f"COPY {table.name} FROM STDIN") as copy:
                        for row in rows:
                            copy.write_row(row)
        with self._database.write() as connection:
            connection.exec_driver_sql("ANALYZE lens_bucket")


def old_buckets(share: float) -> Iterator[tuple[object, ...]]:
    """Rows of three tiers that are past their retention, in the order of the columns."""
    histogram = Histogram.from_counts({bucket_index(10**6 + 10**5 * n): n for n in range(1, 12)})
    data = histogram.to_bytes()
    for tier, calls in CALLS.items():
        kept = KEPT_SECONDS[tier] or 0
        last = int(time.time() - kept) // tier - 10
        for bucket in range(last - round(kept / tier * share), last):
            for endpoint in range(OLD_ENDPOINTS):
                sums = (calls, 0, 1, 0, calls * 5_000, 9_000)
                yield (tier.value, bucket, (endpoint << 40) + bucket, *sums, data)


def old_statuses(share: float) -> Iterator[tuple[object, ...]]:
    """Rows of status codes that are past their retention."""
    days = (KEPT_SECONDS[Tier.DAY] or 0) // Tier.DAY
    last = int(time.time()) // Tier.DAY - days - 10
    for day in range(last - round(days * share), last):
        for endpoint in range(OLD_ENDPOINTS):
            for code in CODES:
                yield (day, (endpoint << 40) + day, code, 288)
