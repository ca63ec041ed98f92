"""Attribution: the time from which on each call has a caller in the ledger. Pure, no I/O."""

from collections.abc import Iterable
from typing import Any

from fastapi_lens.reporting.ledger.caller_rows import unattributed_us
from fastapi_lens.storage.schema.row_checks import MAX_TIME_US
from fastapi_lens.storage.schema.sanitized_rows import whole


def attributed_since(row: Any) -> float | None:
    """Epoch seconds from which on each call of an endpoint was attributed; None if none was.

    Args:
        row: An endpoint's.
    """
    if not row.callers:
        return None
    times = (whole(time, MAX_TIME_US) for time in (row.evidence_since, row.first_seen_at))
    return max(_unattributed_us(row), *times) / 1_000_000


def attributed_since_of_all(rows: Iterable[Any]) -> float | None:
    """Epoch seconds from which on each call of an app was attributed; None if none was.

    Args:
        rows: Of its endpoints.
    """
    called = [row for row in rows if row.last_called_at]
    if not any(row.callers for row in called):
        return None
    # An endpoint that came later began no new ledger.
    first_us = min(whole(row.first_seen_at, MAX_TIME_US) for row in called)
    return max(first_us, *map(_unattributed_us, called)) / 1_000_000


def _unattributed_us(row: Any) -> int:
    times = row.last_called_at, row.attributed_until, row.unattributed_at
    return unattributed_us(*(whole(time, MAX_TIME_US) for time in times))
