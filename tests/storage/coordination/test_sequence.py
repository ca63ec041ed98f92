"""The number of a worker's last batch: each batch is added once, and a deadlock is tried again."""

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import FlakyDatabase, table_rows, worker
from fastapi_lens.errors import DeadlockError, SchemaTooNewError, StorageError
from fastapi_lens.storage.coordination.sequence import (
    TRIES,
    SequenceGuard,
    WorkerForgottenError,
    retry_on_deadlock,
)
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import known_version
from fastapi_lens.storage.schema.tables import META, SCHEMA_VERSION, WORKER
from fastapi_lens.storage.writing.registrar import Registrar


def registered(database: Database, name: str = "w1") -> SequenceGuard:
    """The guard of a worker's counts, which also notes how many calls were dropped."""
    Registrar(database, worker(name)).register([], applied=0, now_us=1)
    return SequenceGuard(worker(name), WORKER.c.seq, WORKER.c.dropped)


def advance(database: Database, guard: SequenceGuard, seq: int, dropped: int = 0) -> bool:
    with database.write() as connection:
        return guard.advance(connection, seq, dropped)


def numbers(database: Database, name: str = "w1") -> tuple[int, int, int]:
    row = next(row for row in table_rows(database, WORKER) if row.id == name)
    return row.seq, row.dropped, row.log_seq


def test_a_batch_advances_the_number_once(local: FlakyDatabase) -> None:
    guard = registered(local)
    assert [advance(local, guard, seq, 10 * seq) for seq in (1, 1, 2, 2, 1)] == [
        *(True, False),
        *(True, False, False),
    ]
    # Nothing of a batch that is there already is noted.
    assert not advance(local, guard, 2, 99)
    assert numbers(local) == (2, 20, 0)


def test_workers_and_kinds_of_batches_have_numbers_of_their_own(local: FlakyDatabase) -> None:
    first, second = registered(local), registered(local, "w2")
    log = SequenceGuard(worker("w1"), WORKER.c.log_seq)
    assert advance(local, first, 1, 5)
    with local.write() as connection:
        assert log.advance(connection, 1)
    assert advance(local, first, 2, 5)
    assert advance(local, second, 1, 7)
    assert numbers(local) == (2, 5, 1)
    assert numbers(local, "w2") == (1, 7, 0)


def test_a_batch_needs_a_value_for_each_number_that_changes_with_it(local: FlakyDatabase) -> None:
    guard = registered(local)
    for values in ((), (1, 2)):
        with local.write() as connection, pytest.raises(ValueError, match="zip"):
            guard.advance(connection, 1, *values)
    assert numbers(local) == (0, 0, 0)


@pytest.mark.parametrize("seq", [2, 3])
def test_a_batch_whose_predecessor_the_database_does_not_know_is_not_added(
    local: FlakyDatabase, seq: int
) -> None:
    guard = registered(local)
    with pytest.raises(WorkerForgottenError) as caught:
        advance(local, guard, seq)
    assert str(caught.value) == "the database has forgotten this worker's latest writes"
    assert numbers(local) == (0, 0, 0)


def test_a_worker_without_a_row_has_to_register_again(local: FlakyDatabase) -> None:
    guard = registered(local)
    registered(local, "w2")
    with local.write() as connection:
        connection.execute(sa.delete(WORKER).where(WORKER.c.id == "w1"))
    with pytest.raises(WorkerForgottenError):
        advance(local, guard, 1)


def test_a_newer_schema_is_told_before_the_worker_is_taken_for_forgotten(
    local: FlakyDatabase,
) -> None:
    guard = registered(local)
    newer = sa.update(META).where(META.c.name == SCHEMA_VERSION)
    with local.write() as connection:
        connection.execute(newer.values(value=str(known_version() + 1)))
    with pytest.raises(SchemaTooNewError):
        advance(local, guard, 1)
    assert numbers(local) == (0, 0, 0)


class Failing:
    """Work that fails some times, and then succeeds."""

    def __init__(self, *errors: StorageError) -> None:
        self.errors = [*errors]
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.parametrize("failures", range(TRIES))
def test_a_deadlock_is_tried_again_at_once(failures: int) -> None:
    work = Failing(*[DeadlockError("deadlock detected")] * failures)
    retry_on_deadlock(work)
    assert work.calls == failures + 1


@pytest.mark.parametrize("tries", [1, 2, TRIES])
def test_the_deadlock_of_the_last_attempt_is_an_error(tries: int) -> None:
    work = Failing(*[DeadlockError(str(number)) for number in range(1, 10)])
    with pytest.raises(DeadlockError, match=f"^{tries}$"):
        retry_on_deadlock(work, tries=tries)
    assert work.calls == tries


def test_another_error_is_not_tried_again() -> None:
    work = Failing(StorageError("the disk is full"))
    with pytest.raises(StorageError, match="the disk is full"):
        retry_on_deadlock(work)
    assert work.calls == 1
