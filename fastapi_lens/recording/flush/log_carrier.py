"""Carries the request log from memory to the database, in the flusher's thread.

Here addresses are masked, secrets are removed from paths, values are removed from queries, and
source lines are added to tracebacks. So no request waits for that work, and nothing that must not
be kept is ever written.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator

from fastapi_lens.errors import StorageError, UnavailableError
from fastapi_lens.recording.log.exceptions import place_text, text_of
from fastapi_lens.recording.log.redaction import client_text, query_text
from fastapi_lens.recording.log.request_log import Entry, ExceptionCount, ExceptionKey
from fastapi_lens.recording.log.user_agents import family
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import session_salt
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS
from fastapi_lens.storage.writing.batches import endpoint_id
from fastapi_lens.storage.writing.log_writer import (
    CountedException,
    LogBatch,
    LoggedRequest,
    LogWriter,
    exception_id,
)
from fastapi_lens.text.masked_paths import masked_path

logger = logging.getLogger("fastapi_lens")

MAX_TRIES = 10
"""Of a batch, in a database that takes everything else; then it is given up."""

PAUSE_SECONDS = 0.001


class LogCarrier:
    """Writes the log of one worker.

    Args:
        recorder: Whose log.
        database: Where it goes to.
        worker: Who writes.
        max_rows: Rows that one transaction changes at most.
        corrected: Returns the correct time, in epoch seconds, for a time of the clock.
        pause: Rests for some seconds between two batches.

    Attributes:
        applied: Number of the last batch that is known to be applied.
    """

    def __init__(
        self,
        recorder: Recorder,
        database: Database,
        worker: WorkerFacts,
        *,
        max_rows: int,
        corrected: Callable[[float], float],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Write nothing yet."""
        self._recorder = recorder
        self._database = database
        self._worker = worker
        self._writer = LogWriter(database, worker)
        self._rows = max(1, max_rows - 1)
        self._corrected = corrected
        self._pause = pause
        self._requests: list[LoggedRequest] = []
        self._exceptions: list[CountedException] = []
        self._in_flight: LogBatch | None = None
        self._tries = 0
        # Workers begin at different numbers, so that theirs of one microsecond differ, too.
        self._distinct = random.getrandbits(REQUEST_ID_BITS)
        self._minute = int(recorder.clock() // 60)
        self.applied = 0

    def __bool__(self) -> bool:
        """Whether anything waits to be written."""
        return bool(
            self._recorder.log or self._requests or self._exceptions or self._in_flight is not None
        )

    def carry(self, *, ending: bool = False) -> None:
        """Write what the log has.

        Args:
            ending: Whether this worker writes for the last time.

        Raises:
            StorageError: The database cannot be written; what was taken out stays for next time.
        """
        for batch in self._batches(ending=ending):
            try:
                self._writer.write(batch)
            except UnavailableError:
                raise
            except StorageError:
                self._note_failed(batch)
                raise
            self.applied, self._in_flight, self._tries = batch.seq, None, 0
            if not ending:
                self._pause(PAUSE_SECONDS)

    def _note_failed(self, batch: LogBatch) -> None:
        """Give up what the database refuses again and again, so that the rest is not held up."""
        self._tries += 1
        if self._tries >= MAX_TRIES:
            self._in_flight, self._tries = None, 0
            logger.warning(
                "fastapi_lens gives up %d requests and %d exceptions that the log could not take",
                len(batch.requests),
                sum(exception.calls for exception in batch.exceptions),
            )

    def _batches(self, *, ending: bool) -> Iterator[LogBatch]:
        """The batch that is in doubt, if any, then what waits, then what the log has now."""
        if self._in_flight is not None:
            yield self._in_flight
        yield from self._cut()
        self._take(ending=ending)
        yield from self._cut()

    def _cut(self) -> Iterator[LogBatch]:
        # Exceptions first: nobody follows a link to one that is not there yet.
        while self._exceptions or self._requests:
            exceptions, self._exceptions = (
                self._exceptions[: self._rows],
                self._exceptions[self._rows :],
            )
            room = self._rows - len(exceptions)
            requests, self._requests = self._requests[:room], self._requests[room:]
            self._in_flight = LogBatch(self.applied + 1, tuple(requests), tuple(exceptions))
            yield self._in_flight

    def _take(self, *, ending: bool) -> None:
        """Take out what the log has, and make rows of it."""
        minute = int(self._recorder.clock() // 60)
        choose = ending or minute != self._minute
        if choose:
            self._minute = minute
            self._recorder.decay_slow_threshold()
        if not self._recorder.log:
            return
        clients = self._recorder.log.clients
        salt = session_salt(self._database) if clients == "hashed" else b""
        harvest = self._recorder.log.harvest(choose=choose)
        self._requests = [self._request(entry, salt) for entry in harvest.entries]
        self._exceptions = [
            self._exception(kind, count) for kind, count in harvest.exceptions.items()
        ]

    def _request(self, entry: Entry, salt: bytes) -> LoggedRequest:
        log = self._recorder.log
        self._distinct = (self._distinct + 1) % (1 << REQUEST_ID_BITS)
        return LoggedRequest(
            id=microseconds(self._corrected(entry.at)) << REQUEST_ID_BITS | self._distinct,
            endpoint_id=endpoint_id(self._worker.app, entry.endpoint_method, entry.template),
            method=entry.method,
            path=masked_path(entry.path, entry.template),
            query=query_text(entry.query, values=log.query_values),
            status=entry.status,
            duration_us=entry.duration_ns // 1_000,
            reason=entry.reason.value,
            client=client_text(entry.client, log.clients, salt),
            agent=family(entry.agent),
            exception_id=0 if entry.exception is None else self._exception_id(entry.exception),
        )

    def _exception(self, kind: ExceptionKey, count: ExceptionCount) -> CountedException:
        return CountedException(
            id=self._exception_id(kind),
            endpoint_id=endpoint_id(self._worker.app, kind.method, kind.path),
            type=kind.type,
            message=count.latest.message,
            place=place_text(kind.place),
            traceback=text_of(count.latest),
            calls=count.calls,
            first_at=microseconds(self._corrected(count.first_at)),
            last_at=microseconds(self._corrected(count.last_at)),
        )

    def _exception_id(self, kind: ExceptionKey) -> int:
        endpoint = endpoint_id(self._worker.app, kind.method, kind.path)
        return exception_id(endpoint, kind.type, place_text(kind.place))
