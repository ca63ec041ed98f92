"""The tables, all prefixed ``lens_``, in a registry and MetaData of their own.

The host's ``SQLModel.metadata`` never contains them. Every integer is a BigInteger, because
SQLModel's ``int`` has 32 bits on PostgreSQL and MariaDB. Times are integer microseconds since
the epoch, UTC; 0 stands for never.
"""

from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, MetaData, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from fastapi_lens.text.methods import MAX_METHOD_LENGTH

lens_metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Tier(IntEnum):
    """The width of a bucket in seconds. Weeks begin on Thursday, like the epoch."""

    MINUTE = 60
    HOUR = 3_600
    DAY = 86_400
    WEEK = 604_800


BASELINE_BUCKET = 0
"""The bucket of `Tier.WEEK` that holds the sums of an endpoint's deleted weeks. No window begins
before `clock_skew.EARLIEST`, so that only all-time totals include it."""


class CallerKind(StrEnum):
    """The source of a caller's name.

    `HOOK` is the host's `consumer`, `KEY` the header that holds a key, `AGENT` the User-Agent.
    `NONE` are all calls without a name. `OTHERS` are those beyond the bounds of the ledger,
    and forgotten ones.
    """

    HOOK = "hook"
    KEY = "key"
    AGENT = "agent"
    NONE = "none"
    OTHERS = "others"


OTHERS_ID = 0
"""The id of the caller that stands for all those beyond the bounds or forgotten; it has no row."""

REQUEST_ID_BITS = 11
"""Low bits of a request's id, below its microseconds since the epoch; enough until 2112."""

_LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")
"""MariaDB's TEXT ends at 64 KB, which a docstring may reach."""

_LONG_BYTES = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")
"""MariaDB's BLOB ends at 64 KB, too."""


class LensModel(SQLModel, registry=registry(metadata=lens_metadata)):
    """Base of all tables of the lens."""

    # MariaDB's defaults may have no transactions, no emoji and case-insensitive text.
    __table_args__ = {
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": "utf8mb4_bin",
        # Other formats limit keys to 767 bytes, fewer than the name of an app may need.
        "mysql_row_format": "DYNAMIC",
        # False where rows lie in their primary key alone, without an index beside the table.
        "sqlite_with_rowid": True,
    }


def _key(kind: Any = BigInteger) -> Any:
    return Field(primary_key=True, sa_type=kind, sa_column_kwargs={"autoincrement": False})


def _count() -> Any:
    return Field(default=0, sa_type=BigInteger)


def _added_count() -> Any:
    """A column that earlier releases do not know and so leave out of the rows they insert."""
    return Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})


class EndpointRow(LensModel, table=True):
    """One method on one path template of one app; outlives all retention.

    `last_seen_at` is the time at which a worker last reported this endpoint, called or not.
    `id` is 63 bits of SHA-256 of app, method and path: ids need no allocation, so no race.
    `shape_id` is the same of the path without the names of its parameters: endpoints that differ
    in nothing else share it. `present_since` is the time of its return to the routes after a
    removal, `removed_at` that of a removal that lasts. Its history is whole from `evidence_since`
    on. `last_used_at` is its last call that was no refusal, see `verdict.history.REFUSED`.
    `first_release_id` and `last_release_id` had it in their routes, the `called` ones recorded its
    first and last calls. `overrides` is the `x-lens` mapping of its route as JSON.

    `callers` is its number of rows in `lens_use`. `attributed_until` is `last_called_at` as the
    latest batch that named its callers left it; a later last call was counted without a caller.
    `unattributed_at` is the time of the latest call before that without a caller.
    """

    __tablename__ = "lens_endpoint"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    id: int = _key()
    app: str = Field(max_length=200, index=True)
    method: str = Field(max_length=MAX_METHOD_LENGTH)
    path: str = Field(sa_type=_LONG_TEXT)
    kind: str = Field(default="http", max_length=16)
    name: str = Field(default="", sa_type=_LONG_TEXT)
    source: str = Field(default="", sa_type=_LONG_TEXT)
    summary: str = Field(default="", sa_type=_LONG_TEXT)
    tags: str = Field(default="[]", sa_type=_LONG_TEXT)
    deprecated: bool = False
    first_seen_at: int = _count()
    last_seen_at: int = _count()
    first_called_at: int = _count()
    last_called_at: int = _count()
    total_calls: int = _count()
    shape_id: int = Field(
        default=0, sa_type=BigInteger, index=True, sa_column_kwargs={"server_default": "0"}
    )
    present_since: int = _added_count()
    evidence_since: int = _added_count()
    removed_at: int = _added_count()
    last_used_at: int = _added_count()
    first_release_id: int = _added_count()
    last_release_id: int = _added_count()
    first_called_release_id: int = _added_count()
    last_called_release_id: int = _added_count()
    callers: int = _added_count()
    attributed_until: int = _added_count()
    unattributed_at: int = _added_count()
    overrides: str | None = Field(default=None, sa_type=_LONG_TEXT)


class BucketRow(LensModel, table=True):
    """Sums of the calls of one endpoint in one minute, hour, day or week, or its baseline."""

    __tablename__ = "lens_bucket"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = {**LensModel.__table_args__, "sqlite_with_rowid": False}
    tier: int = _key(Integer)
    bucket: int = _key()
    endpoint_id: int = _key()
    calls: int = _count()
    redirects: int = _count()
    errors_4xx: int = _count()
    errors_5xx: int = _count()
    duration_us: int = _count()
    max_us: int = _count()
    histogram: bytes = Field(default=b"", sa_type=LargeBinary)


class StatusRow(LensModel, table=True):
    """The calls of one endpoint with one status code on one day."""

    __tablename__ = "lens_status"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = {**LensModel.__table_args__, "sqlite_with_rowid": False}
    day: int = _key()
    endpoint_id: int = _key()
    status: int = _key(Integer)
    calls: int = _count()


class GoneRow(LensModel, table=True):
    """The calls of one removed endpoint on one day: responses 404 and 405, refused WebSockets.

    `is_noise` is 1 for callers that are scanners, bots or health checks, and 0 for all others.
    """

    __tablename__ = "lens_gone"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = {**LensModel.__table_args__, "sqlite_with_rowid": False}
    day: int = _key()
    endpoint_id: int = _key()
    is_noise: int = _key()
    calls: int = _count()


class CallerRow(LensModel, table=True):
    """One caller of an app. `id` is 63 bits of SHA-256 of app, kind and name.

    `kind` is a `CallerKind`. `name` is as the host's hook or the User-Agent gave it; of a key it is
    the keyed hash in 16 hexadecimal digits. `label` is its name by an admin.
    """

    __tablename__ = "lens_caller"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    id: int = _key()
    app: str = Field(max_length=200, index=True)
    kind: str = Field(max_length=16)
    name: str = Field(default="", max_length=200)
    label: str = Field(default="", max_length=200)
    first_at: int = _count()
    last_at: int = _count()


class UseRow(LensModel, table=True):
    """The calls of one endpoint by one caller, since the ledger of callers began.

    `calls` includes `refused` ones, see `verdict.history.REFUSED`. Times and days are those of
    calls that were not refused, 0 without any: `first_at` and `last_at`, `first_day` and
    `last_day`, the number of `days` and the longest distance `max_gap` between two of them.
    `refused_day` is the last day with a refused call.
    """

    __tablename__ = "lens_use"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = (  # type: ignore[assignment]
        Index("ix_lens_use_caller", "caller_id"),
        {**LensModel.__table_args__, "sqlite_with_rowid": False},
    )
    endpoint_id: int = _key()
    caller_id: int = _key()
    calls: int = _count()
    refused: int = _count()
    errors_5xx: int = _count()
    first_at: int = _count()
    last_at: int = _count()
    first_day: int = _count()
    last_day: int = _count()
    days: int = _count()
    max_gap: int = _count()
    refused_day: int = _count()


class UseWeekRow(LensModel, table=True):
    """The calls of one endpoint by one caller in one week, where weeks are kept."""

    __tablename__ = "lens_use_week"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = {**LensModel.__table_args__, "sqlite_with_rowid": False}
    week: int = _key()
    endpoint_id: int = _key()
    caller_id: int = _key()
    calls: int = _count()


class ReleaseRow(LensModel, table=True):
    """One release of an app that has recorded here. `id` is 63 bits of SHA-256 of app and name.

    `name` is empty for workers that name no release.
    """

    __tablename__ = "lens_release"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    id: int = _key()
    app: str = Field(max_length=200, index=True)
    name: str = Field(default="", max_length=200)
    first_at: int = _count()
    last_at: int = _count()


class ObservedRow(LensModel, table=True):
    """The minutes of one hour that the workers of one release have recorded and written.

    `hour` is the number of hours since the epoch; bit n of `minutes` is its minute n.
    """

    __tablename__ = "lens_observed"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = {**LensModel.__table_args__, "sqlite_with_rowid": False}
    release_id: int = _key()
    hour: int = _key()
    minutes: int = _count()


class WorkerRow(LensModel, table=True):
    """One process that records, from its start to its end.

    `seq` is the number of its last applied batch, which makes writing exactly once.
    `log_seq` is the same for batches of the request log.
    `ended_at` of a killed worker is the time of its last heartbeat, and `killed` is true.
    `clock_ahead_us` is the lead of its clock over the database's, null if unknown.
    `seen_at` and `ended_at` use the database's clock, if it has one, so that they are comparable.
    `id` also distinguishes processes of one host, see `recording.flush.processes`.
    `open_calls` holds its open calls, see `storage.writing.open_calls`; null if there are none.
    `core_ppm` is the recent share of one core that its thread uses, in millionths; null before it
    was measured. `cost_ns` is written by releases of schema version 2 only.
    """

    __tablename__ = "lens_worker"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = (  # type: ignore[assignment]
        Index("ix_lens_worker_seen", "app", "ended_at", "seen_at"),
        Index("ix_lens_worker_dropped", "app", "dropped"),
        LensModel.__table_args__,
    )
    id: str = _key(String(32))
    app: str = Field(max_length=200)
    host: str = Field(max_length=200)
    pid: int = _count()
    release: str = Field(default="", max_length=200)
    interval_ms: int = _count()
    started_at: int = _count()
    seen_at: int = _count()
    ended_at: int = _count()
    killed: bool = False
    complete_to: int = _count()
    seq: int = _count()
    dropped: int = _count()
    pending: int = _count()
    flush_us: int = _count()
    cost_ns: int = _count()
    clock_ahead_us: int | None = Field(default=None, sa_type=BigInteger)
    log_seq: int = _added_count()
    open_calls: str | None = Field(default=None, sa_type=_LONG_TEXT)
    core_ppm: int | None = Field(default=None, sa_type=BigInteger)


class InboxRow(LensModel, table=True):
    """Counts of one flush of one worker, until they are added to the rows that are shown.

    `body` is one packed batch, see `storage.writing.inbox`, and `calls` the number of its calls.
    All counts of its worker before `since` are in earlier batches. `app` is that of its worker.
    """

    __tablename__ = "lens_inbox"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    worker_id: str = _key(String(32))
    seq: int = _key()
    app: str = Field(max_length=200)
    since: int = _count()
    calls: int = _count()
    body: bytes = Field(default=b"", sa_type=_LONG_BYTES)


class LeaseRow(LensModel, table=True):
    """Owner of a periodic job: the worker that last moved `expires_at` forward."""

    __tablename__ = "lens_lease"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    name: str = _key(String(64))
    owner: str = Field(default="", max_length=32)
    expires_at: int = _count()


class MetaRow(LensModel, table=True):
    """Facts about this database: the schema version, the salt of the session keys."""

    __tablename__ = "lens_meta"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    name: str = _key(String(64))
    value: str = Field(sa_type=_LONG_TEXT)


class RequestRow(LensModel, table=True):
    """One request of the log, which is a sample and bounded.

    `id` is the microsecond of its arrival, shifted left by `REQUEST_ID_BITS`, plus a number that
    distinguishes requests of one microsecond: a descending primary key is newest first.
    """

    __tablename__ = "lens_request"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = {**LensModel.__table_args__, "sqlite_with_rowid": False}
    id: int = _key()
    app: str = Field(max_length=200)
    endpoint_id: int = _count()
    method: str = Field(max_length=MAX_METHOD_LENGTH)
    path: str = Field(sa_type=_LONG_TEXT)
    query: str = Field(default="", sa_type=_LONG_TEXT)
    status: int = Field(default=0, sa_type=Integer)
    duration_us: int = _count()
    reason: str = Field(default="", max_length=16)
    client: str = Field(default="", max_length=64)
    agent: str = Field(default="", max_length=64)
    # Exceptions were called failures; workers of older releases use these names.
    failure_id: int = _count()
    caller_id: int = _added_count()


class ExceptionRow(LensModel, table=True):
    """Unhandled exceptions of one type, at one line, of one endpoint: their number and the latest.

    `id` is 63 bits of SHA-256 of endpoint, type and line.
    """

    __tablename__ = "lens_failure"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = (  # type: ignore[assignment]
        # Every page shows the number of new ones.
        Index("ix_lens_failure_first", "app", "first_at"),
        LensModel.__table_args__,
    )
    id: int = _key()
    app: str = Field(max_length=200, index=True)
    endpoint_id: int = _count()
    type: str = Field(sa_type=_LONG_TEXT)
    message: str = Field(default="", sa_type=_LONG_TEXT)
    place: str = Field(default="", sa_type=_LONG_TEXT)
    traceback: str = Field(default="", sa_type=_LONG_TEXT)
    calls: int = _count()
    first_at: int = _count()
    last_at: int = _count()


class ExceptionCountRow(LensModel, table=True):
    """The exceptions of one kind in one minute or one hour.

    `failure_id` is the id of the kind. Kinds that occurred before this table existed have rows from
    `EXCEPTIONS_COUNTED_SINCE` on only.
    """

    __tablename__ = "lens_failure_count"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    __table_args__ = (  # type: ignore[assignment]
        Index("ix_lens_failure_count_failure", "failure_id"),
        {**LensModel.__table_args__, "sqlite_with_rowid": False},
    )
    tier: int = _key(Integer)
    bucket: int = _key()
    failure_id: int = _key()
    calls: int = _count()


class SettingRow(LensModel, table=True):
    """One section of an app's settings, as JSON, which overrides its code.

    `version` counts the changes; a change names the version that it replaces.
    """

    __tablename__ = "lens_setting"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    app: str = _key(String(200))
    name: str = _key(String(64))
    value: str = Field(default="{}", sa_type=_LONG_TEXT)
    version: int = _count()


class AuditRow(LensModel, table=True):
    """One audited action in the admin, never changed there. `id` is built like a request's."""

    __tablename__ = "lens_audit"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    id: int = _key()
    app: str = Field(max_length=200)
    actor: str = Field(default="", max_length=200)
    client: str = Field(default="", max_length=64)
    action: str = Field(max_length=32)
    target: str = Field(default="", sa_type=_LONG_TEXT)
    before: str = Field(default="", sa_type=_LONG_TEXT)
    after: str = Field(default="", sa_type=_LONG_TEXT)


class ThrottleRow(LensModel, table=True):
    """A client that entered wrong keys. `client` is a keyed hash of app and address."""

    __tablename__ = "lens_throttle"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    client: str = _key(String(64))
    failures: int = _count()
    first_at: int = _count()
    last_at: int = _count()
    blocked_until: int = _count()


class EndedSessionRow(LensModel, table=True):
    """An admin session that was logged out before it expired, or all sessions of a key.

    `session` is empty in the row of a whole key; its sessions must carry that row's `generation`.
    `until` is the time at which a session would have expired.
    """

    __tablename__ = "lens_ended_session"  # pyright: ignore[reportAssignmentType]  SQLModel takes text.
    app: str = _key(String(200))
    key_name: str = _key(String(64))
    session: str = _key(String(32))
    generation: str = Field(default="", max_length=16)
    until: int = _count()
