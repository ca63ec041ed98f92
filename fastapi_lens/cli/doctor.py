"""Doctor: faults of a database and their fixes. Changes nothing, prints nothing."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fastapi_lens.cli.target import Place
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.reporting.evidence.observation import read_observation
from fastapi_lens.reporting.model import CLOCK_TOLERANCE_SECONDS, Worker, WorkerState
from fastapi_lens.reporting.workers import read_workers
from fastapi_lens.storage.engine.clock_skew import clock_ahead_us
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.retention.vacuum import LONG_LOG_BYTES, keeps_its_size
from fastapi_lens.storage.schema.migrations import known_version
from fastapi_lens.storage.transfer.export import app_names
from fastapi_lens.storage.transfer.inspect import (
    NAMESAKE,
    Contents,
    contents,
    damage,
    has_namesake,
    journal_mode,
    log_bytes,
)
from fastapi_lens.storage.transfer.repair import WrongRow, wrong_rows
from fastapi_lens.storage.writing.drain import backlog
from fastapi_lens.text.escaping import visible
from fastapi_lens.verdict.days import date_of

LATE_SECONDS = 86_400
"""Rows are deleted soon after their retention; a day later is a fault."""

FIX = "make a copy of the database, then: doctor --repair"
BEHIND_SECONDS = 60.0
"""Batches in the inbox are added within seconds while a worker runs."""

_LOG_FACTOR = 4
"""A log this many times longer than usual is a fault: a reader keeps it from being truncated."""


class Level(StrEnum):
    """Severity of a finding."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        about: Subject of the check, in a word or two.
        says: Result.
        fix: Instruction; empty if nothing is wrong.
    """

    level: Level
    about: str
    says: str
    fix: str = ""


def examine_file(path: Path) -> Iterator[Finding]:
    """Check that this user may write a SQLite file and its folder, where the log is."""
    locked = [str(one) for one in (path.parent, path) if not os.access(one, os.W_OK)]
    if locked:
        yield Finding(
            Level.WRONG,
            "permissions",
            f"this user may not write to {' and '.join(locked)}",
            "give it to the user that the application runs as: chown, or chmod u+w",
        )
    else:
        yield Finding(Level.FINE, "permissions", "file and folder can be written to")


def examine(
    database: Database, place: Place, config: LensConfig, *, now: float
) -> Iterator[Finding]:
    """All checks of a database with this release's tables.

    Args:
        database: The database, which is only read.
        place: Its place.
        config: The settings, for the retention.
        now: Epoch seconds by this host's clock.

    Raises:
        StorageError: The database cannot be read.
    """
    yield Finding(Level.FINE, "schema", f"version {known_version()}, as this release has it")
    broken = damage(database)
    if broken is not None:
        yield Finding(
            Level.WRONG,
            "file",
            f"damaged: {broken}",
            f'stop the application, then: sqlite3 "{place}" .recover | sqlite3 recovered.db',
        )
        # Further checks would only stumble over the damage.
        return
    if has_namesake(database):
        yield Finding(
            Level.NOTE,
            "tables",
            NAMESAKE,
            "take its calls over with import --from-lens-0.3, then drop it: it contains client "
            "addresses",
        )
    found = contents(database)
    yield _size(found)
    yield from _journal(database, place)
    yield from _rows(database)
    yield from _inbox(database, now)
    yield from _clock(database)
    yield from _retention(found, Retention(config.ttl_days), now)
    yield from _workers(database, now)
    yield from _observed(database, now)
    yield from _never_called(found)


def _size(found: Contents) -> Finding:
    size = "unknown size" if found.size_bytes is None else f"{found.size_bytes / 1e6:.1f} MB"
    rows = ", ".join(f"{name} {count:,}" for name, count in found.rows.items())
    return Finding(Level.FINE, "size", f"{size}; rows: {rows}")


def _journal(database: Database, place: Place) -> Iterator[Finding]:
    if place.file is None:
        return
    mode = journal_mode(database)
    if mode == "wal":
        yield Finding(Level.FINE, "journal", "WAL: readers and writers do not wait for each other")
    else:
        yield Finding(
            Level.WRONG,
            "journal",
            f"mode {mode} in place of WAL: readers and writers wait for each other",
            "move the file to a local disk, on which SQLite can share memory",
        )
    log = log_bytes(place.file)
    if log > _LOG_FACTOR * LONG_LOG_BYTES:
        yield Finding(
            Level.WRONG,
            "log",
            f"{log / 1e6:.1f} MB long, because somebody has been reading for long",
            "end the program that keeps a transaction open; the log is then truncated",
        )
    if keeps_its_size(database):
        yield Finding(
            Level.NOTE,
            "space",
            "free space is reused, but the file does not shrink",
            f"with the application stopped: "
            f'sqlite3 "{place}" "PRAGMA auto_vacuum=INCREMENTAL; VACUUM"',
        )


def _rows(database: Database) -> Iterator[Finding]:
    """Rows that no release could have written, by table."""
    counts, first = Counter[str](), dict[str, WrongRow]()
    for row in wrong_rows(database):
        counts[row.table.name] += 1
        first.setdefault(row.table.name, row)
    for table, row in first.items():
        column, says = row.wrong[0]
        yield Finding(
            Level.WRONG,
            "rows",
            f"{counts[table]:,} rows of {table} contain invalid values; {column} of "
            f"{visible(row.key)} is {says}",
            FIX,
        )
    if not first:
        yield Finding(Level.FINE, "rows", "all values are valid")


def _inbox(database: Database, now: float) -> Iterator[Finding]:
    """Check for batches that have waited too long to be added."""
    with database.read() as connection:
        batches, since_us, newer = backlog(connection)
    behind = now - since_us / 1_000_000
    if newer:
        yield Finding(
            Level.NOTE,
            "inbox",
            f"{newer:,} batches wait for a worker of the newer release that wrote them",
            "start the application with that release of fastapi-lens-admin",
        )
    elif batches and behind > BEHIND_SECONDS:
        yield Finding(
            Level.NOTE,
            "inbox",
            f"{batches:,} batches have waited for {behind:,.0f} s to be added to the reports",
            "start the application: its workers add them; report, export and purge do so, too",
        )
    else:
        yield Finding(Level.FINE, "inbox", "all batches are added to the reports")


def _clock(database: Database) -> Iterator[Finding]:
    with database.read() as connection:
        # The present time: the other checks may have taken seconds since `now`.
        ahead_us = clock_ahead_us(connection, time.time)
    if ahead_us is None:
        return
    seconds = ahead_us / 1_000_000
    if abs(seconds) >= CLOCK_TOLERANCE_SECONDS:
        yield Finding(Level.WRONG, "clock", f"this host's is {_off(seconds)}", _SYNCHRONISE)
    else:
        yield Finding(Level.FINE, "clock", "this host's agrees with the database's")


_SYNCHRONISE = "synchronise that host's clock: timedatectl set-ntp true"


def _off(seconds: float) -> str:
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the database's"


def _retention(found: Contents, retention: Retention, now: float) -> Iterator[Finding]:
    late = [
        f"{tier.name.lower()}s by {(now - kept - end) / 86_400:.0f} days"
        for tier, end in found.oldest.items()
        if (kept := retention.kept_seconds(tier)) is not None and end + kept + LATE_SECONDS < now
    ]
    if late:
        yield Finding(
            Level.WRONG,
            "retention",
            f"rows past their retention: {', '.join(late)}",
            "start an application that records here, which deletes them, or run purge --older-than",
        )
    else:
        yield Finding(Level.FINE, "retention", "no rows past their retention")


def _workers(database: Database, now: float) -> Iterator[Finding]:
    with database.read() as connection:
        by_app = {app: read_workers(connection, app=app, now=now) for app in app_names(connection)}
    if not by_app:
        yield Finding(
            Level.NOTE, "apps", "no app has recorded here yet", "start one with LensMiddleware"
        )
    for app, workers in by_app.items():
        name = f"app {visible(app)}"
        running = sum(worker.state is WorkerState.RUNNING for worker in workers)
        if running:
            yield Finding(Level.FINE, name, f"{running} workers running")
        else:
            yield Finding(
                Level.NOTE, name, "no worker running", "start the application if it should run"
            )
        for worker in workers:
            yield from _worker(name, worker)


def _observed(database: Database, now: float) -> Iterator[Finding]:
    """The days that are observed, by app: the evidence for deleting endpoints."""
    with database.read() as connection:
        by_app = {app: read_observation(connection, app, now=now) for app in app_names(connection)}
    for app, found in by_app.items():
        name = f"app {visible(app)}"
        if found.since_day is None:
            yield Finding(
                Level.NOTE,
                name,
                "not observed yet",
                "let it run: a minute counts once a worker has recorded and written all of it",
            )
        else:
            days = found.today - found.since_day + 1
            yield Finding(
                Level.FINE,
                name,
                f"observed since {date_of(found.since_day)}: {days:,} days, "
                f"{found.hole_days:,} of them with holes of an hour or more",
            )


def _worker(app: str, worker: Worker) -> Iterator[Finding]:
    who = f"worker {worker.pid} on {visible(worker.host)}"
    if worker.state is WorkerState.SILENT:
        yield Finding(
            Level.WRONG,
            app,
            f"{who} is silent; {worker.pending:,} calls waited in it when it was last seen",
            "check that the process runs and reaches the database; its log has the reason",
        )
    if worker.state is WorkerState.KILLED:
        yield Finding(
            Level.NOTE,
            app,
            f"{who} was killed; its counts since its last write are lost",
            "stop it with SIGTERM, and give it time to end",
        )
    if worker.dropped:
        yield Finding(
            Level.WRONG,
            app,
            f"{who} has lost {worker.dropped:,} calls",
            "its log has the reason; these calls are missing from the reports permanently",
        )
    if worker.state is WorkerState.RUNNING and worker.clock_is_off:
        ahead = worker.clock_ahead_seconds or 0.0
        yield Finding(Level.WRONG, app, f"the clock of {who} is {_off(ahead)}", _SYNCHRONISE)


def _never_called(found: Contents) -> Iterator[Finding]:
    for app, count in found.never_called.items():
        yield Finding(
            Level.NOTE,
            f"app {visible(app)}",
            f"{count:,} endpoints were never called",
            "list them: report --status never_called",
        )
