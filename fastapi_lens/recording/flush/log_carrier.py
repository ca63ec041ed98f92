"""Transfer of the request log from memory to the database, in the flusher's thread.

The counted calls of removed endpoints go with it, so that they are counted exactly once.
Here addresses are masked, secrets are removed from paths, values are removed from queries, and
source lines are added to tracebacks. So no request waits for that work, and no secret is ever
written.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.errors import StorageError, UnavailableError
from fastapi_lens.recording.flush.caller_names import CallerNames
from fastapi_lens.recording.flush.gone_calls import GoneCalls
from fastapi_lens.recording.log.exceptions import place_text, text_of
from fastapi_lens.recording.log.redaction import client_text, query_text
from fastapi_lens.recording.log.request_log import UNKNOWN, Entry, ExceptionCount, ExceptionKey
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import session_salt
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS
from fastapi_lens.storage.writing.log_writer import (
    CountedException,
    CountedGone,
    LogBatch,
    LoggedRequest,
    LogWriter,
    exception_id,
)
from fastapi_lens.text.masked_paths import masked_path
from fastapi_lens.text.user_agents import family

logger = logging.getLogger("fastapi_lens")

MAX_TRIES = 10
"""Attempts for a batch in a database that accepts everything else; then the batch is dropped."""

PAUSE_SECONDS = 0.001


class LogCarrier:
    """Writes the log of one worker.

    Args:
        recorder: The recorder that holds the log.
        database: The destination.
        worker: The worker that writes.
        max_rows: Most rows that one transaction changes.
        corrected: Returns the correct time, in epoch seconds, for a time of the clock.
        pause: Pauses for some seconds between two batches.

    Attributes:
        applied: Number of the last batch known to be applied.
        caller_names: Names the callers of requests.
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
        # One less, because each batch changes the worker's row as well.
        self._rows = max(1, max_rows - 1)
        self._corrected = corrected
        self._pause = pause
        self.caller_names = CallerNames(database, worker.app)
        self._requests: list[LoggedRequest] = []
        self._exceptions: list[CountedException] = []
        self._gone: list[CountedGone] = []
        self._gone_calls = GoneCalls(recorder.unrouted, database, worker.app, corrected=corrected)
        self._in_flight: LogBatch | None = None
        self._tries = 0
        # Random, so that ids of several workers in the same microsecond differ, too.
        self._distinct = random.getrandbits(REQUEST_ID_BITS)
        self._minute = int(recorder.clock() // 60)
        self.applied = 0

    def __bool__(self) -> bool:
        """True if anything waits to be written."""
        rows = self._requests or self._exceptions or self._gone
        waiting = self._recorder.log or self._recorder.unrouted or rows
        return bool(waiting or self._in_flight is not None)

    def apply(self, config: LensConfig) -> None:
        """Use these settings from now on; any thread may call this."""
        self.caller_names.apply(config)
        self._gone_calls.noise = tuple(config.noise)

    def carry(self, *, ending: bool = False) -> None:
        """Write the log's contents.

        Args:
            ending: True if this worker writes for the last time.

        Raises:
            StorageError: The database cannot be written; the contents stay for the next call.
        """
        for batch in self._batches(ending=ending):
            try:
                self._writer.write(batch)
            # The batch is not to blame, so this is none of its attempts.
            except UnavailableError:
                raise
            except StorageError:
                self._note_failed(batch)
                raise
            self.applied, self._in_flight, self._tries = batch.seq, None, 0
            # At the end, nobody serves requests that need the interpreter.
            if not ending:
                self._pause(PAUSE_SECONDS)

    def _note_failed(self, batch: LogBatch) -> None:
        """Drop a batch that the database refuses repeatedly, so that the rest is not delayed."""
        self._tries += 1
        if self._tries >= MAX_TRIES:
            self._in_flight, self._tries = None, 0
            logger.warning(
                "fastapi_lens drops %d requests and %d exceptions that the log could not take, and "
                "%d calls of removed endpoints",
                len(batch.requests),
                sum(exception.calls for exception in batch.exceptions),
                sum(gone.calls for gone in batch.gone),
            )

    def _batches(self, *, ending: bool) -> Iterator[LogBatch]:
        """The unconfirmed batch, if any, then the waiting rows, then the log's present contents."""
        if self._in_flight is not None:
            yield self._in_flight
        yield from self._cut()
        self._take(ending=ending)
        yield from self._cut()

    def _cut(self) -> Iterator[LogBatch]:
        # Exceptions first: a request links to its exception, which must exist by then.
        while self._exceptions or self._requests or self._gone:
            room = self._rows
            exceptions = _fitting(self._exceptions, room)
            self._exceptions = self._exceptions[len(exceptions) :]
            room = max(0, room - sum(exception.rows for exception in exceptions))
            requests, self._requests = self._requests[:room], self._requests[room:]
            room -= len(requests)
            gone, self._gone = self._gone[:room], self._gone[room:]
            self._in_flight = LogBatch(
                self.applied + 1, tuple(requests), tuple(exceptions), tuple(gone)
            )
            yield self._in_flight

    def _take(self, *, ending: bool) -> None:
        """Take the log's contents out of memory, as rows."""
        self._gone = self._gone_calls.take()
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
            caller_id=self._caller_id(entry),
        )

    def _caller_id(self, entry: Entry) -> int:
        if entry.caller is UNKNOWN:
            return 0
        return self.caller_names.hashed(self.caller_names.plain(entry.caller)).id

    def _exception(self, kind: ExceptionKey, count: ExceptionCount) -> CountedException:
        # Within a batch, the correction of the clock is the same for all.
        minutes_ahead = int(count.last_at // 60) - int(self._corrected(count.last_at) // 60)
        has_message = self._recorder.log.exception_messages
        latest = count.latest if has_message else count.latest.without_messages()
        return CountedException(
            id=self._exception_id(kind),
            endpoint_id=endpoint_id(self._worker.app, kind.method, kind.path),
            type=kind.type,
            message=latest.message,
            place=place_text(kind.place),
            traceback=text_of(latest),
            calls=count.calls,
            first_at=microseconds(self._corrected(count.first_at)),
            last_at=microseconds(self._corrected(count.last_at)),
            minutes=tuple(
                (minute - minutes_ahead, calls) for minute, calls in count.minutes.items()
            ),
        )

    def _exception_id(self, kind: ExceptionKey) -> int:
        endpoint = endpoint_id(self._worker.app, kind.method, kind.path)
        return exception_id(endpoint, kind.type, place_text(kind.place))


def _fitting(exceptions: Sequence[CountedException], room: int) -> Sequence[CountedException]:
    """The first exceptions whose rows fit into a transaction; one if even that is too many."""
    rows = 0
    for number, exception in enumerate(exceptions):
        rows += exception.rows
        if rows > room:
            return exceptions[: max(1, number)]
    return exceptions
