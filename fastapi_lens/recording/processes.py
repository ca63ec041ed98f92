"""Whether a process of this host still runs, and which of its workers do no more."""

import logging
import os
import time

from fastapi_lens.storage.batches import WorkerFacts
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.workers import note_killed

logger = logging.getLogger("fastapi_lens")

_IMPORTED_AT = time.time()


def is_gone(pid: int, started_at: float) -> bool:
    """Whether the process that had this number is known to run no more.

    Args:
        pid: Its number on this host.
        started_at: Epoch seconds at which it ran already.
    """
    if pid == os.getpid():
        # Ours now: in a container every process that is started anew has the same number.
        return started_at < _IMPORTED_AT
    if os.name != "posix":  # pragma: no cover  Signal 0 is no question on Windows.
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def tell_killed(database: Database, worker: WorkerFacts) -> None:
    """Say which workers of this host did not live to write their last counts.

    Raises:
        StorageError: The database cannot be written.
    """
    for gone in note_killed(database, worker, is_gone):
        logger.warning(
            "fastapi_lens: worker %s of %s was killed before it could write its last counts; "
            "those of up to %g s are lost",
            gone.pid,
            gone.app,
            gone.interval_ms / 1_000,
        )
