"""Which workers of this host run no more, as far as this process can tell. Writes no counts."""

import hashlib
import logging
import os
import uuid
from pathlib import Path

from fastapi_lens.storage.batches import WorkerFacts
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.workers import Neighbour, note_killed

logger = logging.getLogger("fastapi_lens")

OBSERVED_SECONDS = 30.0
"""So long this process has to have reached the database itself before it takes the silence of
another for its end: twice as long as a worker waits at most between two tries."""

MOST_NAMED = 5
"""Killed workers that the log names one by one."""

_PROC = Path("/proc")
_START_TIME, _STATE = 19, 0
"""Fields of /proc/…/stat after the program's name."""

_DEAD = ("Z", "X")

_PLACE, _STARTED = 12, 20
"""Where these parts of an id end."""


def new_id(proc: Path = _PROC) -> str:
    """A new worker's id, which also tells its process from others of a host of the same name.

    It begins with a hash of the boot and of the namespace of process numbers, and with when the
    process started in that boot; the rest is left to chance, as all of it is where the system
    does not tell.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text()
        where = f"{boot} {(proc / 'self/ns/pid').readlink()}"
        started = _started(_fields(proc / "self"))
    except (OSError, IndexError):
        return uuid.uuid4().hex
    return hashlib.sha256(where.encode()).hexdigest()[:_PLACE] + started + uuid.uuid4().hex[:12]


def is_gone(other: Neighbour, mine: str, proc: Path = _PROC) -> bool | None:
    """Whether another process of a host of this name runs no more.

    Args:
        other: The process.
        mine: The id of this process's worker.
        proc: Where the system tells of processes.

    Returns:
        None where nobody here can tell: numbers of another boot or namespace mean nothing here.
    """
    if other.id[:_PLACE] != mine[:_PLACE]:
        return None
    try:
        os.kill(other.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    try:
        fields = _fields(proc / str(other.pid))
        # The number may be another process's by now, or one that nobody has waited for.
        return _started(fields) != other.id[_PLACE:_STARTED] or fields[_STATE] in _DEAD
    except (OSError, IndexError):
        return False  # There, but none of our business.


def tell_killed(
    database: Database, worker: WorkerFacts, *, now_us: int, reached_seconds: float
) -> bool:
    """Say which workers of this host did not live to write their last counts.

    Args:
        database: Where their rows are.
        worker: Who asks.
        now_us: Microseconds since the epoch, by its clock.
        reached_seconds: How long it has reached the database without a break.

    Returns:
        Whether there are some that only their silence can tell of, so that it asks again.

    Raises:
        StorageError: The database cannot be written.
    """
    unclear = False

    def judge(other: Neighbour) -> bool:
        nonlocal unclear
        gone = is_gone(other, worker.id)
        if gone is None:
            gone = other.is_silent and reached_seconds >= OBSERVED_SECONDS
            unclear |= not gone
        return gone

    _log(note_killed(database, worker, judge, now_us=now_us))
    return unclear


def _log(killed: list[WorkerFacts]) -> None:
    for gone in killed[:MOST_NAMED]:
        logger.warning(
            "fastapi_lens: worker %s of %s was killed before it could write its last counts; "
            "those of up to %g s are lost",
            gone.pid,
            gone.app,
            gone.interval_ms / 1_000,
        )
    if len(killed) > MOST_NAMED:
        more = len(killed) - MOST_NAMED
        logger.warning("fastapi_lens: so were %d more workers of this host", more)


def _started(fields: list[str]) -> str:
    """When a process started, in hexadecimal digits that come again after a year of ticks."""
    return f"{int(fields[_START_TIME]) % (1 << 32):08x}"


def _fields(process: Path) -> list[str]:
    """What the system tells of a process, without its number and its name."""
    # The name may hold anything, also brackets.
    return (process / "stat").read_text().rpartition(")")[2].split()
