"""Collector: moves counts from the recorder to sums that wait, and makes batches of them.

Writes nothing. Two threads use it: one collects at the end of each minute, while the other one
waits for the database with a batch.
"""

import threading
import time
from collections.abc import Iterable, Sequence

from fastapi_lens.recording.calls.open_calls import OpenEndpoint
from fastapi_lens.recording.flush.caller_names import CallerNames
from fastapi_lens.recording.flush.caller_sums import CallerSums
from fastapi_lens.recording.flush.clock_correction import ClockCorrection
from fastapi_lens.recording.flush.observation import Observation
from fastapi_lens.recording.flush.pending import Pending, as_delta, as_use
from fastapi_lens.recording.flush.registration import Registration
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.recording.series import OVERFLOW, SeriesDelta
from fastapi_lens.storage.writing.batches import Batch, Delta, Use

HOUR = 3_600
MAX_PENDING = 50_000
MAX_SUMS = 1_000
"""Most sums of one batch; a flush with more takes several batches."""

MAX_CALLER_SUMS = 1_000
"""Most sums of callers that a batch writes with those of calls; more of them are written before."""

DELTAS_AT_ONCE = 32
BREATH_SECONDS = 0.0001
"""Pause after each `DELTAS_AT_ONCE` series, so that the event loop's thread gets the interpreter
lock."""


class Collector:
    """The counts of one worker that wait to be written.

    Args:
        recorder: The source of the counts.
        registration: Returns the ids of endpoints.
        correction: Corrects times.
        observation: Is told of the times whose calls are lost.
        names: Names the callers.

    Attributes:
        collected_at: Epoch seconds of the last collection, by the clock of the recorder.
        dropped: Calls that will never be written.
    """

    def __init__(
        self,
        recorder: Recorder,
        registration: Registration,
        correction: ClockCorrection,
        observation: Observation,
        names: CallerNames,
    ) -> None:
        """Collect nothing yet."""
        self._recorder = recorder
        self._registration = registration
        self._correction = correction
        self._observation = observation
        self._names = names
        self._callers = CallerSums(names)
        self._pending = Pending()
        self._unattributed = False
        self._lock = threading.Lock()
        self.collected_at = recorder.clock()
        self.dropped = 0

    def __bool__(self) -> bool:
        """True if sums of calls wait."""
        return bool(self._pending)

    @property
    def calls(self) -> int:
        """Number of calls that wait; any thread may read it."""
        return self._pending.calls

    def collect(self) -> int:
        """Move the counts from the recorder to the sums that wait.

        Returns:
            Number of calls that were dropped, because too many sums wait.
        """
        with self._lock:
            before, self.collected_at = self.collected_at, self._recorder.clock()
            moved = self._correction.look(self._pending)
            if moved is not None:
                self._observation.void(moved.begin, moved.end)
                self._callers.rebook(self._correction.corrected)
            self._observation.follow(self._correction.unbroken_since)
            try:
                self._move_counts(self._correction.corrected(before))
            except BaseException:
                # The recorder may have no more what was not added.
                self._observation.lose(before, self.collected_at)
                raise
            if len(self._pending) <= MAX_PENDING:
                return 0
            this_hour = int(self.collected_at // HOUR)
            return self._drop(self._pending.shrink(MAX_PENDING, this_hour=this_hour))

    def uses(self, opened: Iterable[OpenEndpoint]) -> list[Use]:
        """The endpoints with open calls; their callers wait with those of counted calls."""
        now = self._correction.now()
        uses: list[Use] = []
        for one in opened:
            endpoint = self._registration.id_of(one.method, one.path, now - one.seconds)
            uses.append(as_use(one, endpoint, now))
            with self._lock:
                self._callers.add_open(endpoint, one.callers, now)
                self._unattributed = self._unattributed or not one.callers
        return uses

    def prepare_callers(self) -> None:
        """Prepare the naming of callers; before a batch, because it may wait for the database.

        Raises:
            StorageError: The database cannot be read.
        """
        self._names.prepare()

    def batch(
        self, seq: int, uses: Sequence[Use], open_calls: str | None, *, since_us: int
    ) -> Batch | None:
        """Make a batch of what waits; None if nothing waits.

        Args:
            seq: The number of the batch.
            uses: Endpoints with open calls.
            open_calls: The report of open calls; None for none.
            since_us: Time up to which all calls are written, in microseconds.
        """
        with self._lock:
            callers = self._callers.take()
            deltas = self._pending.take(MAX_SUMS)
            recalled = self._correction.recalled()
            if not (deltas or uses or recalled or callers.calls) and open_calls is None:
                return None
            # The callers of recalled calls are in the ledger under the wrong day.
            is_attributed = not (self._unattributed or recalled)
            self._unattributed = self._unattributed and bool(self._pending)
            return Batch(
                seq,
                deltas,
                (*uses, *recalled),
                open_calls,
                self._correction.limit_us,
                since_us,
                is_attributed=is_attributed,
                callers=callers.calls,
                names=callers.names,
            )

    def callers_batch(self, seq: int, *, since_us: int) -> Batch | None:
        """Make a batch of callers alone; None if they fit into the batch of their calls."""
        with self._lock:
            if len(self._callers) <= MAX_CALLER_SUMS:
                return None
            callers = self._callers.take(MAX_CALLER_SUMS)
            return Batch(
                seq,
                ahead_us=self._correction.limit_us,
                since_us=since_us,
                is_attributed=True,
                callers=callers.calls,
                names=callers.names,
            )

    def drop(self, batch: Batch) -> None:
        """Count the calls of a batch that will never be written."""
        self._drop(batch.deltas)
        with self._lock:
            # Calls of later batches may have had their callers in this one.
            self._unattributed = True

    def count_dropped(self) -> None:
        """Count a call that could not be counted; any thread may call it."""
        self.dropped += 1
        now = self._correction.now()
        self._observation.lose(now, now)

    def _move_counts(self, since: float) -> None:
        for number, counted in enumerate(self._recorder.drain(), 1):
            corrected = self._correction.counted(counted)
            delta = self._as_delta(corrected)
            # Before its calls, and under the same lock: no batch has calls without their callers.
            self._callers.add(delta.endpoint_id, corrected, since)
            self._pending.add(delta)
            self._unattributed = self._unattributed or not counted.is_attributed
            if number % DELTAS_AT_ONCE == 0:
                time.sleep(BREATH_SECONDS)

    def _as_delta(self, counted: SeriesDelta) -> Delta:
        key = counted.key
        if key.path == OVERFLOW:
            # Their endpoints are unknown, and would look silent.
            self._observation.lose(counted.first_at, counted.last_at)
        identity = self._registration.id_of(key.method, key.path, counted.first_at)
        self._correction.note(identity, counted)
        return as_delta(counted, identity)

    def _drop(self, deltas: Iterable[Delta]) -> int:
        """Count calls that will never be written, and note when they were; returns their number."""
        dropped = 0
        for delta in deltas:
            dropped += delta.calls
            self._observation.lose(delta.first_at_us / 1_000_000, delta.last_at_us / 1_000_000)
        self.dropped += dropped
        return dropped
