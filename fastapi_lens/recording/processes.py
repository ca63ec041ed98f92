"""Which workers of this host run no more, as far as this process can tell. Writes no counts."""

import logging
import os
import re
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


def identity(proc: Path = _PROC) -> str:
    """What tells this process from any other of a host of the same name.

    The boot, the namespace of process numbers, and when the process started in that boot; empty
    where the system does not tell.
    """
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
        namespace = re.sub(r"\D", "", str((proc / "self/ns/pid").readlink()))
        return f"{boot} {namespace} {_fields(proc / 'self')[_START_TIME]}"
    except (OSError, IndexError):
        return ""


def is_gone(other: Neighbour, mine: str, proc: Path = _PROC) -> bool | None:
    """Whether another process of a host of this name runs no more.

    Args:
        other: The process.
        mine: The `identity` of this one.
        proc: Where the system tells of processes.

    Returns:
        None where nobody here can tell: numbers of another boot or namespace mean nothing here.
    """
    where, _, started = other.process.rpartition(" ")
    if not where or where != mine.rpartition(" ")[0]:
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
        return fields[_START_TIME] != started or fields[_STATE] in _DEAD
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
        gone = is_gone(other, worker.process)
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


def _fields(process: Path) -> list[str]:
    """What the system tells of a process, without its number and its name."""
    # The name may hold anything, also brackets.
    return (process / "stat").read_text().rpartition(")")[2].split()
