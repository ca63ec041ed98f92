"""Detection of workers of this host that no longer run. Writes no counts."""

import hashlib
import logging
import os
import uuid
from pathlib import Path

from fastapi_lens.storage.coordination.heartbeat import Neighbour, note_killed
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database

logger = logging.getLogger("fastapi_lens")

OBSERVED_SECONDS = 30.0
"""Seconds that this process must have reached the database before it treats a silent worker as
ended: twice the longest wait of a worker between two tries."""

MOST_NAMED = 5
"""Maximum of killed workers that the log names individually."""

_PROC = Path("/proc")
_START_TIME, _STATE = 19, 0
"""Indexes of fields of /proc/…/stat after the program's name."""

_DEAD = ("Z", "X")

_PLACE, _STARTED = 12, 20
"""End positions of these parts of an id."""


def new_id(proc: Path = _PROC) -> str:
    """Create a worker's id, which also distinguishes processes of hosts of the same name.

    It begins with a hash of the boot and of the namespace of process ids, and with the start time
    of the process in that boot. The rest is random; all of it is if the system does not provide
    these.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text()
        where = f"{boot} {(proc / 'self/ns/pid').readlink()}"
        started = _started(_fields(proc / "self"))
    except (OSError, IndexError):
        return uuid.uuid4().hex
    return hashlib.sha256(where.encode()).hexdigest()[:_PLACE] + started + uuid.uuid4().hex[:12]


def is_gone(other: Neighbour, own_id: str, proc: Path = _PROC) -> bool | None:
    """True if another process on a host of this name no longer runs.

    Args:
        other: The process.
        own_id: The id of the worker in this process.
        proc: The directory of the proc file system.

    Returns:
        None if it cannot be known: process ids of another boot or namespace are meaningless here.
    """
    if other.id[:_PLACE] != own_id[:_PLACE]:
        return None
    try:
        os.kill(other.pid, 0)
    except ProcessLookupError:
        return True
    # A process of another user has this id; /proc tells if it is the same one.
    except PermissionError:
        pass
    try:
        fields = _fields(proc / str(other.pid))
        # The process id may have been reused by now, or belong to a zombie.
        return _started(fields) != other.id[_PLACE:_STARTED] or fields[_STATE] in _DEAD
    except (OSError, IndexError):
        return False  # It exists, but belongs to another user.


def report_killed(
    database: Database, worker: WorkerFacts, *, now_us: int, reached_seconds: float
) -> bool:
    """Log the workers of this host that were killed before they wrote their last counts.

    Args:
        database: The database that holds their rows.
        worker: The calling worker.
        now_us: Microseconds since the epoch, by its clock.
        reached_seconds: Time for which it has reached the database without interruption.

    Returns:
        True if some workers can be judged only by their silence, so that another call is needed.

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
            "calls of up to %g s are lost",
            gone.pid,
            gone.app,
            gone.interval_ms / 1_000,
        )
    if len(killed) > MOST_NAMED:
        more = len(killed) - MOST_NAMED
        logger.warning("fastapi_lens: %d more workers of this host were killed, too", more)


def _started(fields: list[str]) -> str:
    """The start time of a process in hexadecimal digits, which repeat after a year of ticks."""
    return f"{int(fields[_START_TIME]) % (1 << 32):08x}"


def _fields(process: Path) -> list[str]:
    """The fields of a process's stat file after its id and name."""
    # The name may contain anything, including parentheses.
    return (process / "stat").read_text().rpartition(")")[2].split()
