"""The tables as SQLAlchemy Core objects, for statements that need no ORM session."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Table

from fastapi_lens.storage.schema import models


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table


ENDPOINT = _table(models.EndpointRow)
BUCKET = _table(models.BucketRow)
STATUS = _table(models.StatusRow)
GONE = _table(models.GoneRow)
CALLER = _table(models.CallerRow)
USE = _table(models.UseRow)
USE_WEEK = _table(models.UseWeekRow)
RELEASE = _table(models.ReleaseRow)
OBSERVED = _table(models.ObservedRow)
WORKER = _table(models.WorkerRow)
INBOX = _table(models.InboxRow)
LEASE = _table(models.LeaseRow)
META = _table(models.MetaRow)
REQUEST = _table(models.RequestRow)
EXCEPTION = _table(models.ExceptionRow)
EXCEPTION_COUNT = _table(models.ExceptionCountRow)
SETTING = _table(models.SettingRow)
AUDIT = _table(models.AuditRow)
THROTTLE = _table(models.ThrottleRow)
ENDED_SESSION = _table(models.EndedSessionRow)

SCHEMA_VERSION = "schema_version"
"""The fact in META that each release compares before it writes, see `migrations.WRITTEN_AS`."""

SCHEMA_STEP = "schema_step"
"""The fact in META with the number of completed steps of `migrations.STEPS`."""

EXCEPTIONS_COUNTED_SINCE = "exceptions_counted_since"
"""The fact in META with the time from which on EXCEPTION_COUNT has all exceptions, in microseconds
since the epoch."""


MOVED: tuple[sa.Table, ...] = (
    *(ENDPOINT, WORKER, BUCKET, STATUS),
    *(RELEASE, OBSERVED, GONE),
    *(CALLER, USE, USE_WEEK),
    *(EXCEPTION, EXCEPTION_COUNT),
    *(REQUEST, SETTING, AUDIT),
)
"""The tables to move, in this order. Leases, the session salt, ended sessions and the clients that
entered wrong keys are not moved."""
