"""What makes writing exactly once: the number of a worker's last batch, moved on with its counts.

A worker numbers its batches. The transaction that adds one moves the number from that of the
batch before to its own, so that a batch which is written again finds it moved already.
"""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import DeadlockError, StorageError
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.schema.migrations import WRITTEN_AS, require_schema
from fastapi_lens.storage.schema.statements import advancing
from fastapi_lens.storage.schema.tables import WORKER

TRIES = 5
"""Transactions that are begun before a deadlock is an error, which a later flush puts right."""


class WorkerForgottenError(StorageError):
    """The worker's row is gone or old (tables dropped, a backup restored): register again."""


class SequenceGuard:
    """The number of the last batch of one kind that one worker has written.

    Args:
        worker: Who writes.
        number: The column of the worker's row.
        told: Other columns that change with it.
    """

    def __init__(self, worker: WorkerFacts, number: sa.Column[int], *told: sa.Column[int]) -> None:
        """Compile nothing yet."""
        self._worker = worker
        self._number = number
        self._told = told
        self._advance = advancing(number, *told)

    def advance(self, connection: Connection, seq: int, *told: int) -> bool:
        """Move the number on to that of a batch; False when this batch was applied already.

        Args:
            connection: In the transaction that adds the batch.
            seq: The number of the batch.
            told: What the other columns become.

        Raises:
            SchemaTooNewError: A newer release has migrated the database meanwhile.
            WorkerForgottenError: The number is not that of the batch before.
        """
        worker = {"worker": self._worker.id, "before": seq - 1, "after": seq}
        others = {f"new_{column.name}": one for column, one in zip(self._told, told, strict=True)}
        if self._advance.change(connection, {**worker, **others, "schema": str(WRITTEN_AS)}) == 1:
            return True
        require_schema(connection)
        applied = connection.execute(
            sa.select(self._number).where(WORKER.c.id == self._worker.id)
        ).scalar_one_or_none()
        if applied is None or applied < seq:
            # What it has forgotten of our counts is lost, but not what comes from now on.
            raise WorkerForgottenError("the database has forgotten this worker's latest writes")
        return False


def retry_on_deadlock(work: Callable[[], None], *, tries: int = TRIES) -> None:
    """Do something again that the database has undone to let somebody else go on.

    Args:
        work: Begins and ends a transaction.
        tries: How often it is begun at most.

    Raises:
        StorageError: That of `work`, a deadlock at the last try among them.
    """
    for _ in range(tries - 1):
        try:
            return work()
        except DeadlockError:
            continue
    return work()
