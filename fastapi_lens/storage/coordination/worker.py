"""A worker: the process that writes, and what it reports about itself."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """The process that writes.

    Attributes:
        id: 32 hexadecimal digits, see `recording.flush.processes.new_id`.
        started_at_us: Microseconds since the epoch.
        interval_ms: Milliseconds between two flushes.
    """

    id: str
    app: str
    host: str
    pid: int
    release: str
    started_at_us: int
    interval_ms: int


class Progress(NamedTuple):
    """A worker's state, written with each batch.

    Attributes:
        complete_to_us: Time up to which all its calls are written, with this batch, in microseconds
            since the epoch.
        dropped: Calls that it has dropped since it started.
        pending: Calls that wait in its memory, besides this batch.
    """

    complete_to_us: int = 0
    dropped: int = 0
    pending: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A worker's regular report about itself.

    Attributes:
        now_us: Microseconds since the epoch.
        complete_to_us: Time up to which all its calls are written, in microseconds since the epoch.
        dropped: Calls that it has dropped since it started.
        pending: Calls that wait in its memory.
        flush_us: Microseconds that its latest flush took.
        core_ppm: Recent share of one core that its thread uses, in millionths; None before it was
            measured.
        interval_ms: Milliseconds between two flushes now; None if unchanged.
        ended: True for its last report.
    """

    now_us: int
    complete_to_us: int
    dropped: int = 0
    pending: int = 0
    flush_us: int = 0
    core_ppm: int | None = None
    interval_ms: int | None = None
    ended: bool = False
