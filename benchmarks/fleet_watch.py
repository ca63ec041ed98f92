"""Samples of a fleet's database while it writes: CPU of the server, age of a page, inbox."""

import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import INBOX, WORKER

TICKS_A_SECOND = 100
"""Of the CPU times in /proc, on every Linux that people run."""

EVERY_SECONDS = 0.25
_PARENT, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 11, 12, 13, 14
"""Fields of /proc/PID/stat, counted from the one after the name."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the database.

    Attributes:
        age: Seconds; a page has all calls that are older, of every worker.
        lag: Seconds that the oldest batch has waited in the inbox; 0 when none waits.
        waiting: Batches in the inbox.
    """

    age: float
    lag: float
    waiting: int


class Watch:
    """Looks at the database of a fleet.

    Args:
        database: Of the fleet.
        begun: Epoch seconds; nothing that is older counts.
    """

    def __init__(self, database: Database, begun: float) -> None:
        """Find the server's first process."""
        self._database = database
        self._begun = begun
        # When each batch that waits was first seen.
        self._seen_at: dict[tuple[str, int], float] = {}
        with database.read() as connection:
            backend = connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one()
        self._server = int(_stat(int(backend))[_PARENT])

    def cpu(self) -> float:
        """Seconds of CPU that all processes of the server have used, ended ones included."""
        own = _stat(self._server)
        ticks = sum(map(int, own[_USER : _CHILDREN_SYSTEM + 1]))
        for entry in Path("/proc").iterdir():
            fields = _stat(int(entry.name)) if entry.name.isdecimal() else []
            if fields and int(fields[_PARENT]) == self._server:
                ticks += int(fields[_USER]) + int(fields[_SYSTEM])
        return ticks / TICKS_A_SECOND

    def look(self) -> Look:
        """The age of a page now, and what waits."""
        waits = sa.select(INBOX.c.worker_id, INBOX.c.seq, INBOX.c.since)
        written = sa.select(sa.func.min(WORKER.c.complete_to)).where(WORKER.c.ended_at == 0)
        with self._database.read() as connection:
            complete_to = connection.execute(written).scalar_one()
            # Later: what is drained in between makes the page look older, never younger.
            found = connection.execute(waits).all()
        now = time.time()
        self._seen_at = {row[:2]: self._seen_at.get((row.worker_id, row.seq), now) for row in found}
        shown_to = min([complete_to, *(row.since for row in found)]) / 1e6
        return Look(
            age=now - max(shown_to, self._begun),
            lag=now - min(self._seen_at.values(), default=now),
            waiting=len(found),
        )

    def looks(self, seconds: float) -> list[Look]:
        """A look every quarter of a second."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            found.append(self.look())
            time.sleep(EVERY_SECONDS)
        return found


def busy_seconds() -> float:
    """Seconds of CPU that the whole machine has used since it started."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    user, nice, system = map(int, fields[:3])
    return (user + nice + system) / TICKS_A_SECOND


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; none of a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
