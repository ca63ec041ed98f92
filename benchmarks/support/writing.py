"""One worker that writes as the flusher does: it registers, fills the inbox and empties it."""

import time
from collections.abc import Callable

from fastapi_lens.storage.coordination.worker import Progress, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.drain import Drain
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.registrar import Registrar


class Writer:
    """Writes for one worker into one database; what it has written is shown at once.

    Attributes:
        register: See `Registrar`.
        drain: Empties the inbox.
    """

    def __init__(
        self, database: Database, worker: WorkerFacts, clock: Callable[[], float] = time.time
    ) -> None:
        """Write nothing yet."""
        self._inbox = Inbox(database, worker)
        self.register = Registrar(database, worker).register
        self.drain = Drain(database, clock=clock)

    def put(self, batch: Batch) -> None:
        """Put a batch into the inbox; calling it again with the same batch is safe."""
        self._inbox.put(batch, Progress())

    def write(self, batch: Batch) -> None:
        """Add a batch; calling it again with the same batch after an error is safe."""
        self.put(batch)
        self.drain.run_once()
