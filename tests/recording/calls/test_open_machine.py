"""Open, end, flush, lose the database, stop and kill in any order, against the simplest model."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from benchmarks.support.rows import APP, FlakyDatabase, worker
from fastapi_lens.recording.calls.open_calls import OpenCalls
from fastapi_lens.recording.flush.flusher import Flusher, FlushHooks, FlushSettings
from fastapi_lens.recording.open_endpoints import open_endpoints
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.recording.routes.route_match import Match
from fastapi_lens.reporting.model import Window
from fastapi_lens.settings.status import Status
from fastapi_lens.storage.coordination.heartbeat import note_killed
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.drain import drain_all
from tests.recording.rig import START
from tests.reporting.recount import reader_of

PATHS = ("/talk", "/events", "/rooms/{room}")


@dataclass
class Told:
    """Expected database contents of one endpoint.

    Attributes:
        calls: Those that have ended and were written.
        last: When it was in use last.
    """

    calls: int = 0
    last: float = 0.0


@dataclass
class Worker:
    """One process.

    Attributes:
        open: By number of an open call its path and when it was opened.
        ended: Path of calls that have ended and are not written, and when they ended.
        told: By path how many are open and since when, as it was told last.
    """

    id: str
    recorder: Recorder
    flusher: Flusher
    open: dict[int, tuple[str, float]] = field(default_factory=dict[int, tuple[str, float]])
    ended: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    told: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


class OpenMachine(RuleBasedStateMachine):
    """Workers that share a database."""

    workers = Bundle("workers")
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.database = FlakyDatabase("sqlite://")
        migrate(self.database)
        self.made = 0
        self.alive: dict[str, Worker] = {}
        self.rows = {path: Told() for path in PATHS}

    def teardown(self) -> None:
        self.database.close()

    def _facts(self, host: str, name: str = "") -> WorkerFacts:
        """Of a worker on a host of its own, who is never taken for silent."""
        return replace(worker(name or host), host=host, interval_ms=10**9)

    @rule(target=workers)
    def start(self) -> str:
        self.made += 1
        name = f"w{self.made}"
        recorder = Recorder(clock=lambda: self.now)
        recorder.open_calls = OpenCalls(lambda: round((self.now - START) * 1e9))
        who, rate = self._facts(name), FlushSettings(interval=1e6, max_batch_size=3)
        facts = [EndpointFacts(endpoint_id(APP, "GET", path), APP, "GET", path) for path in PATHS]
        lens: Any = SimpleNamespace(
            recorder=recorder,
            routes=SimpleNamespace(match=lambda path, _root: Match("GET", path)),
            is_recorded=lambda _method, _path: True,
            skips=lambda _method, _path, _status: False,
        )
        hooks = FlushHooks(open_endpoints=lambda: open_endpoints(lens))
        flusher = Flusher(recorder, self.database, who, rate, lambda: facts, hooks)
        self.alive[name] = Worker(name, recorder, flusher)
        return name

    @rule(target=calls, name=workers, path=st.sampled_from(PATHS))
    def open(self, name: str, path: str) -> tuple[str, int]:
        process = self.alive.get(name)
        if process is None:
            return name, 0
        opened = process.recorder.open_calls
        number = opened.begin((path, "", (200, 0), opened.timer()))
        process.open[number] = (path, self.now)
        return name, number

    @rule(call=consumes(calls))
    def end(self, call: tuple[str, int]) -> None:
        name, number = call
        process = self.alive.get(name)
        if process is None or number not in process.open:
            return
        path, _ = process.open.pop(number)
        process.recorder.open_calls.end(number)
        process.recorder.count(method="GET", path=path, status=200, duration_ns=1_000)
        process.ended.append((path, self.now))

    @rule(seconds=st.integers(1, 100_000))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(name=workers, ending=st.booleans())
    def flush(self, name: str, *, ending: bool) -> None:
        process = self.alive.get(name)
        if process is None:
            return
        written = process.flusher.flush(ending=ending)
        if not self.database.down:
            assert written
            # Another worker may have the lease of the drain.
            drain_all(self.database)
            self._note(process, ending=ending)

    def _note(self, process: Worker, *, ending: bool) -> None:
        process.told = {}
        for path, since in process.open.values():
            self.rows[path].last = max(self.rows[path].last, self.now)
            entry = process.told.setdefault(path, [0, since])
            entry[0] += 1
            entry[1] = min(entry[1], since)
        for path, at in process.ended:
            self.rows[path].calls += 1
            self.rows[path].last = max(self.rows[path].last, at)
        process.ended = []
        if ending:
            process.told = {}

    @rule(name=workers)
    def kill(self, name: str) -> None:
        if self.database.down:
            return
        process = self.alive.pop(name, None)
        if process is not None:
            # Calls that ended since its last flush are lost with it; what was told was a use.
            asks = self._facts(name, "next")
            note_killed(self.database, asks, lambda _one: True, now_us=round(self.now * 1e6))

    @rule()
    def lose_the_database(self) -> None:
        self.database.down = True

    @rule()
    def find_the_database(self) -> None:
        self.database.down = False

    @invariant()
    def the_reader_says_what_was_told(self) -> None:
        if self.database.down:
            return
        found = {
            one.path: one
            for one in reader_of(self.database).endpoints(window=Window(), now=self.now)
        }
        for path, row in self.rows.items():
            one = found.get(path)
            if one is None:
                assert (row.calls, row.last) == (0, 0)
                continue
            assert one.total_calls == one.usage.calls == row.calls
            assert (one.last_called_at or 0.0) == row.last
            assert (one.status is Status.NEVER_CALLED) is (row.last == 0)
            told = [each.told[path] for each in self.alive.values() if path in each.told]
            assert one.open_connections == sum(number for number, _ in told)
            assert one.open_since == min((since for _, since in told), default=None)


TestOpenMachine = OpenMachine.TestCase
TestOpenMachine.settings = settings(max_examples=20, stateful_step_count=20)
