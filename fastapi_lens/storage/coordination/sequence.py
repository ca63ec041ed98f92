"""Sequence number of a worker's batches, which makes writing exactly once.

A worker numbers its batches. The transaction that adds a batch advances the stored number from that
of the batch before. If a batch is written again, the number is already advanced, and nothing is
added.
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
"""Attempts before a deadlock becomes an error, after which a later flush tries again."""


class WorkerForgottenError(StorageError):
    """The worker's row is gone or old (tables dropped, a backup restored): register again."""


class SequenceGuard:
    """The number of the last batch of one kind that one worker has written.

    Args:
        worker: The worker that writes.
        number: The column of the worker's row.
        progress: Other columns that change with it.
    """

    def __init__(
        self, worker: WorkerFacts, number: sa.Column[int], *progress: sa.Column[int]
    ) -> None:
        """Compile nothing yet."""
        self._worker = worker
        self._number = number
        self._progress = progress
        self._advance = advancing(number, *progress)

    def advance(self, connection: Connection, seq: int, *progress: int) -> bool:
        """Advance the number to that of a batch; false if this batch was already applied.

        Args:
            connection: In the transaction that adds the batch.
            seq: The number of the batch.
            progress: The new values of the other columns.

        Raises:
            SchemaTooNewError: A newer release has migrated the database meanwhile.
            WorkerForgottenError: The number is not that of the batch before.
        """
        worker = {"worker": self._worker.id, "before": seq - 1, "after": seq}
        others = {
            f"new_{column.name}": value
            for column, value in zip(self._progress, progress, strict=True)
        }
        if self._advance.change(connection, {**worker, **others, "schema": str(WRITTEN_AS)}) == 1:
            return True
        # The UPDATE fails for three reasons; a newer schema is the first to exclude.
        require_schema(connection)
        applied = connection.execute(
            sa.select(self._number).where(WORKER.c.id == self._worker.id)
        ).scalar_one_or_none()
        if applied is None or applied < seq:
            # Counts that the database has forgotten are lost, but new ones are not.
            raise WorkerForgottenError("the database has forgotten this worker's latest writes")
        return False


def retry_on_deadlock(work: Callable[[], None], *, tries: int = TRIES) -> None:
    """Repeat a transaction that the database rolled back because of a deadlock.

    Args:
        work: Begins and ends a transaction.
        tries: Most attempts.

    Raises:
        StorageError: The error of `work`, including a deadlock in the last attempt.
    """
    # At once, because the other transaction of a deadlock goes on.
    for _ in range(tries - 1):
        try:
            return work()
        except DeadlockError:
            continue
    return work()
