"""Workers that watch while everything goes wrong, and a recount of the minutes that they saw.

Each one has clocks of its own, which tell simulated time: the one that people set jumps now and
then, the database is down for ten minutes, acknowledgements of commits get lost, and processes are
killed, also in the middle of a transaction. Each tells in a file what it has done, line by line,
which a kill leaves whole.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from benchmarks.support.ordeal import MortalDatabase
from benchmarks.support.rows import APP, facts
from fastapi_lens.recording.flush.clock_jumps import ClockJumps
from fastapi_lens.recording.flush.flusher import HEARTBEAT_SECONDS, Flusher, FlushSettings
from fastapi_lens.recording.flush.observation import SETTLED_SECONDS
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.coordination import confirmed_time, heartbeat
from fastapi_lens.storage.coordination.worker import WorkerFacts

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

START = 1_773_014_400.0
"""2026-03-09 00:00 UTC."""

END = START + 40 * 60
DOWN = (START + 14 * 60, START + 24 * 60)
"""Times by each worker's own clock at which the database refuses it."""

SLOTS = 8
SHARE_LOST = 0.05
SHARE_KILLED_IN_WRITES = 0.002
SHARE_KILLED = 0.012
SHARE_JUMPS = 0.01
"""Of the acknowledgements, of the transactions, and of the steps of a worker."""

MINUTE = 60


@dataclass
class Recount:
    """Minutes, since the epoch, that may and that must be marked for some workers.

    Attributes:
        may: Recorded from begin to end, with a write tried after them.
        must: The same, and written so long before the end of the worker that a beat came after it.
        passes: By minute, how often a clock went through some of it: again after a step back.
        calls: By path and minute.
        jumps: Of all clocks.
        kills: Of workers.
    """

    may: set[int] = field(default_factory=set[int])
    must: set[int] = field(default_factory=set[int])
    passes: Counter[int] = field(default_factory=Counter[int])
    calls: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    jumps: int = 0
    kills: int = 0


def release_of(slot: int) -> str:
    """The release of a slot's workers: half of them share one."""
    return "shared" if slot % 2 else f"of {slot}"


def live(url: str, slot: int, seed: int, begin: float, tale: str) -> None:
    """Watch as one worker from a simulated time on, until it is killed or the time is over."""
    chance = random.Random(seed)
    wall, steady = begin, 0.0
    ClockJumps.__init__.__defaults__ = (lambda: steady,)
    database = MortalDatabase(url, chance, lost=SHARE_LOST, killed=SHARE_KILLED_IN_WRITES)
    for module in (confirmed_time, heartbeat):
        # No server has simulated time.
        module.clock_ahead_us = lambda *_: None if database.dialect.is_file else 0  # type: ignore[attr-defined]
    path = f"/{slot}/{seed}"
    name = f"{slot:02}{seed:030}"
    who = WorkerFacts(name, APP, "host", seed, release_of(slot), round(wall * 1e6), 5_000)
    recorder = Recorder(clock=lambda: wall)
    settings = FlushSettings(interval=5.0, max_batch_size=100)
    with Path(tale).open("w", buffering=1) as out:
        flusher = Flusher(recorder, database, who, settings, lambda: [facts(path)])
        _tell(out, "begin", wall)
        while wall < END:
            passed = chance.uniform(6, 14)
            wall, steady = wall + passed, steady + passed
            if chance.random() < SHARE_JUMPS:
                wall += chance.choice((-1, 1)) * chance.uniform(1.1, 900)
                _tell(out, "jump", wall)
            for _ in range(chance.randrange(4)):
                _tell(out, "call", wall)
                recorder.count(method="GET", path=path, status=200, duration_ns=1_000)
            database.down = DOWN[0] <= wall < DOWN[1]
            _tell(out, "try", wall)
            if flusher.flush():
                _tell(out, "flushed", wall)
            if chance.random() < SHARE_KILLED:
                os.kill(os.getpid(), signal.SIGKILL)
        database.down = False
        _tell(out, "try", wall)
        while not flusher.stop():
            pass
        _tell(out, "flushed", wall)
    database.close()


def _tell(out: TextIO, what: str, wall: float) -> None:
    out.write(f"{what} {wall}\n")


def watch(context: ForkServerContext, url: str, folder: Path) -> dict[str, Recount]:
    """Run all workers of all slots to the end of the simulated time; the recount by release."""
    chance = random.Random(7)
    recounts = {release_of(slot): Recount() for slot in range(SLOTS)}
    running: dict[int, BaseProcess] = {}
    tales: dict[int, Path] = {}
    begins = {slot: START + chance.uniform(0, 90) for slot in range(SLOTS)}
    seed = 0
    while begins or running:
        for slot, begin in begins.items():
            seed += 1
            tales[slot] = folder / f"{slot}-{seed}"
            arguments = (url, slot, seed, begin, str(tales[slot]))
            running[slot] = context.Process(target=live, args=arguments)
            running[slot].start()
        begins = {}
        for slot, process in list(running.items()):
            process.join(0.02)
            if process.exitcode is None:
                continue
            assert process.exitcode in (0, -signal.SIGKILL), f"worker ended: {process.exitcode}"
            del running[slot]
            recount = recounts[release_of(slot)]
            last = _recount(tales[slot], recount, f"/{slot}/{tales[slot].name.split('-')[1]}")
            recount.kills += process.exitcode != 0
            next_begin = last + chance.choice((1.0, 40.0, 400.0))
            if process.exitcode and next_begin < END:
                begins[slot] = next_begin
    return recounts


def _recount(tale: Path, recount: Recount, path: str) -> float:
    """Add what one worker tells; returns its last time."""
    wall = START
    stretches: list[dict[str, Any]] = []
    for what, at in _lines(tale):
        wall = at
        if what in {"begin", "jump"}:
            stretches.append({"begin": at, "end": at, "try": 0.0, "flushed": 0.0})
            recount.jumps += what == "jump"
        elif what == "call":
            recount.calls[path, int(at // MINUTE)] += 1
        else:
            stretches[-1][what] = at
        stretches[-1]["end"] = at
    for stretch in stretches:
        first = -int(-stretch["begin"] // MINUTE)
        touched = range(int(stretch["begin"] // MINUTE), int(stretch["end"] // MINUTE) + 1)
        recount.passes.update(touched)
        settled = stretch["flushed"] - SETTLED_SECONDS - 2 * HEARTBEAT_SECONDS
        recount.may |= set(range(first, int(stretch["try"] // MINUTE)))
        recount.must |= set(range(first, int(settled // MINUTE)))
    return wall


def _lines(tale: Path) -> Iterator[tuple[str, float]]:
    for line in tale.read_text().splitlines():
        what, at = line.split()
        yield what, float(at)
