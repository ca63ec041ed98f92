"""Any order of counting, flushing, draining, dying and deleting of several workers adds up.

What is shown and what waits in the inbox is compared after each step with what was counted.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event

from benchmarks.support.rows import (
    APP,
    FlakyDatabase,
    Rows,
    attributed,
    delta,
    make_endpoints,
    rows_in,
    rows_of,
    table_rows,
    uses_in,
    uses_of,
    worker,
    wrong_uses,
)
from fastapi_lens.errors import DeadlockError, StorageError
from fastapi_lens.storage.coordination.worker import Progress, WorkerFacts
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import ENDPOINT, INBOX
from fastapi_lens.storage.writing import drain as drain_module
from fastapi_lens.storage.writing.batches import Batch, Delta
from fastapi_lens.storage.writing.drain import Drain, drain_all
from fastapi_lens.storage.writing.inbox import Inbox, unpack
from fastapi_lens.storage.writing.registrar import Registrar
from tests.support.statements import engine_of

WORKERS, ENDPOINTS = 5, 3
TURN_OF_A_WEEK = 10_080 * 2_930

NAMES = st.integers(0, WORKERS - 1)
ENDPOINT_IDS = st.integers(1, ENDPOINTS)
COUNTED = st.builds(
    lambda endpoint, minute, status, durations: delta(
        endpoint, durations, minute=minute, status=status
    ),
    ENDPOINT_IDS,
    st.sampled_from([TURN_OF_A_WEEK + offset for offset in (-61, -1, 0, 1, 1_440)]),
    st.sampled_from([101, 200, 304, 404, 500]),
    st.lists(st.integers(0, 10**8), min_size=1, max_size=3),
)
STATEMENTS = st.integers(0, 25)
"""Number of statements before something happens; few transactions have as many."""

FATES = st.one_of(
    st.just(("goes well", 0)),
    st.tuples(st.just("is not acknowledged"), st.integers(0, 3)),
    st.tuples(st.just("is cut"), STATEMENTS),
    st.tuples(st.just("deadlocks"), STATEMENTS),
)


FATES_OF_FLUSHES = st.one_of(
    st.just(("goes well", 0)),
    st.just(("is not acknowledged", 0)),
    st.tuples(st.sampled_from(["is cut", "deadlocks"]), st.integers(0, 5)),
)


@dataclass
class Member:
    """A worker.

    Attributes:
        applied: The number of its last batch that it knows to be there.
        memory: Counts since that batch.
        in_flight: Batch that it has written without an acknowledgement.
    """

    facts: WorkerFacts
    inbox: Inbox
    registrar: Registrar
    drain: Drain
    applied: int = 0
    memory: list[Delta] = field(default_factory=list)
    in_flight: Batch | None = None

    @property
    def waits(self) -> bool:
        """True when it has something to flush."""
        return bool(self.memory) or self.in_flight is not None


class Fleet(RuleBasedStateMachine):
    """Some workers, one database, and what has to be in it."""

    def __init__(self) -> None:
        super().__init__()
        self.database = FlakyDatabase("sqlite://")
        migrate(self.database)
        make_endpoints(self.database, ENDPOINTS)
        self.members: list[Member] = []
        self.born = 0
        self.written: dict[tuple[str, int], tuple[Delta, ...]] = {}
        self.statements_left, self.error = -1, StorageError("the connection was cut")
        event.listen(engine_of(self.database), "before_cursor_execute", self._break_off)

    def _break_off(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        changes = statement.startswith(("INSERT", "UPDATE", "DELETE"))
        if isinstance(self.error, DeadlockError) and not changes:
            return  # It waits for no lock.
        self.statements_left -= 1
        if self.statements_left == -1:
            raise self.error

    @contextmanager
    def _suffering(self, fate: tuple[str, int]) -> Iterator[None]:
        """Let something happen to what is written meanwhile."""
        what, after = fate
        commits = iter(range(10**6))
        if what == "is not acknowledged":
            self.database.loses = lambda: next(commits) == after
        elif what != "goes well":
            self.statements_left = after
            self.error = (DeadlockError if what == "deadlocks" else StorageError)(what)
        try:
            yield
        finally:
            self.statements_left, self.database.loses = -1, lambda: False

    def _born(self) -> Member:
        self.born += 1
        facts = worker(f"w{self.born * 37 % 100:02}")
        member = Member(
            facts,
            Inbox(self.database, facts),
            Registrar(self.database, facts),
            Drain(self.database, pause=lambda _: None),
        )
        member.registrar.register([], applied=0, now_us=1)
        return member

    @initialize()
    def begin(self) -> None:
        self.members = [self._born() for _ in range(WORKERS)]

    @rule(name=NAMES, counted=st.lists(COUNTED, min_size=1, max_size=4))
    def count(self, name: int, counted: list[Delta]) -> None:
        self.members[name].memory += counted

    @precondition(lambda self: any(one.waits for one in self.members))
    @rule(name=NAMES, fate=FATES_OF_FLUSHES)
    def flush(self, name: int, fate: tuple[str, int]) -> None:
        waiting = [one for one in self.members if one.waits]
        member = waiting[name % len(waiting)]
        if member.in_flight is None:
            member.in_flight = attributed(Batch(member.applied + 1, tuple(member.memory)))
            member.memory = []
        batch = member.in_flight
        before = {(row.worker_id, row.seq) for row in table_rows(self.database, INBOX)}
        try:
            with self._suffering(fate):
                waits = member.inbox.put(batch, Progress())
        except StorageError:
            assert fate[0] in ("is not acknowledged", "is cut")
        else:
            member.applied, member.in_flight = batch.seq, None
            assert waits == sum(
                row.worker_id == member.facts.id for row in table_rows(self.database, INBOX)
            )
        after = {(row.worker_id, row.seq) for row in table_rows(self.database, INBOX)}
        if after != before:
            (key,) = after - before
            assert key not in self.written, "the same batch is there for the second time"
            self.written[key] = batch.deltas
        if member.in_flight is None:
            assert (member.facts.id, batch.seq) in self.written

    @rule(name=NAMES, fate=FATES, seconds=st.sampled_from([0, 60]))
    def drain(self, name: int, fate: tuple[str, int], seconds: int) -> None:
        try:
            with self._suffering(fate):
                is_empty = self.members[name].drain.run(seconds=seconds)
        except StorageError:
            assert fate[0] in ("is not acknowledged", "is cut")
        else:
            assert not is_empty or not table_rows(self.database, INBOX)

    @rule(name=NAMES, some=st.integers(1, 3), fate=FATES)
    def drain_beside_another(self, name: int, some: int, fate: tuple[str, int]) -> None:
        """Another one takes some between the read and the transaction of the first one."""

        def take() -> None:
            self.database.has_read = lambda: None
            suffered = self.statements_left, self.database.loses
            self.statements_left, self.database.loses = -1, lambda: False
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(drain_module, "FIRST_AT_ONCE", some)
                Drain(self.database, pause=lambda _: None).run(seconds=0)
            self.statements_left, self.database.loses = suffered

        self.database.has_read = take
        try:
            with self._suffering(fate):
                self.members[name].drain.run(seconds=0)
        except StorageError:
            assert fate[0] in ("is not acknowledged", "is cut")
        finally:
            self.database.has_read = lambda: None

    @rule(fate=FATES)
    def drain_for_whoever_reads_all(self, fate: tuple[str, int]) -> None:
        try:
            with self._suffering(fate):
                drain_all(self.database)
        except StorageError:
            assert fate[0] in ("is not acknowledged", "is cut")
        else:
            assert not table_rows(self.database, INBOX)

    @rule(name=NAMES)
    def die(self, name: int) -> None:
        """Its memory is lost, and what is in flight unless it is there; another one begins."""
        self.members[name] = self._born()

    @rule(name=NAMES)
    def register_again(self, name: int) -> None:
        member = self.members[name]
        member.registrar.register([], applied=member.applied, now_us=1)

    @precondition(lambda self: self.written)
    @rule(endpoint=ENDPOINT_IDS, fate=FATES)
    def delete_history(self, endpoint: int, fate: tuple[str, int]) -> None:
        choice = Choice(APP, [endpoint], keeps_endpoints=True)
        try:
            with self._suffering(fate):
                list(purge(self.database, choice, now=1.0))
        except StorageError:
            # Whoever asked for it asks again.
            list(purge(self.database, choice, now=1.0))
        self.written = {
            key: tuple(one for one in deltas if one.endpoint_id != endpoint)
            for key, deltas in self.written.items()
        }

    @invariant()
    def nothing_is_lost_and_nothing_twice(self) -> None:
        waiting = [unpack(row.body).deltas for row in table_rows(self.database, INBOX)]
        shown, wait = rows_in(self.database), rows_of([one for some in waiting for one in some])
        expected = rows_of([one for some in self.written.values() for one in some])
        assert together(shown, wait) == expected

    @invariant()
    def callers_are_added_with_their_calls_and_look_no_safer(self) -> None:
        waiting = {(row.worker_id, row.seq) for row in table_rows(self.database, INBOX)}
        added = [one for key, some in self.written.items() if key not in waiting for one in some]
        shown = uses_in(self.database)
        assert not wrong_uses(shown, uses_of(added))
        pairs = Counter(endpoint for endpoint, _ in shown)
        assert all(row.callers == pairs[row.id] for row in table_rows(self.database, ENDPOINT))

    def teardown(self) -> None:
        drain_all(self.database)
        self.nothing_is_lost_and_nothing_twice()
        self.callers_are_added_with_their_calls_and_look_no_safer()
        assert not table_rows(self.database, INBOX)
        self.database.close()


def together(shown: Rows, wait: Rows) -> Rows:
    """The sums of both; without rows that were made and not added to."""
    found = Rows(
        {key: list(sums) for key, sums in shown.buckets.items() if sums[0]},
        {key: histogram for key, histogram in shown.latencies.items() if histogram},
        +shown.statuses,
        dict(shown.endpoints),
    )
    for key, sums in wait.buckets.items():
        there = found.buckets.setdefault(key, [0] * 6)
        there[:5] = [one + other for one, other in zip(there[:5], sums[:5], strict=True)]
        there[5] = max(there[5], sums[5])
        found.latencies.setdefault(key, Counter()).update(wait.latencies[key])
    found.statuses.update(wait.statuses)
    for endpoint, (calls, first, last) in wait.endpoints.items():
        known = found.endpoints.get(endpoint, (0, first, last))
        found.endpoints[endpoint] = (
            known[0] + calls,
            min(known[1], first),
            max(known[2], last),
        )
    return found


test_any_interleaving_gives_the_exact_sums = pytest.mark.unmeasured(Fleet.TestCase)
Fleet.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
