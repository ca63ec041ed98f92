"""Deleting what somebody chose, in so many seconds, and going on later."""

from itertools import count

from benchmarks.support.rows import FlakyDatabase, delta, table_rows, worker
from fastapi_lens.storage.coordination.worker import Progress
from fastapi_lens.storage.retention.purge import Choice, purge_for
from fastapi_lens.storage.schema.tables import BUCKET, INBOX
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.drain import FIRST_AT_ONCE
from fastapi_lens.storage.writing.inbox import Inbox
from fastapi_lens.storage.writing.registrar import Registrar

NOW = 1_773_014_400.0


def test_a_deletion_that_first_adds_what_waits_ends_in_time_and_goes_on_later(
    local: FlakyDatabase,
) -> None:
    Registrar(local, worker()).register([], applied=0, now_us=1)
    inbox, batches = Inbox(local, worker()), 3 * FIRST_AT_ONCE
    for seq in range(1, batches + 1):
        inbox.put(Batch(seq, (delta(1),)), Progress())
    choice, seconds = Choice("orders", [1], keeps_endpoints=True), count()

    assert not purge_for(local, choice, now=NOW, seconds=1, timer=lambda: float(next(seconds)))
    assert len(table_rows(local, INBOX)) == batches - FIRST_AT_ONCE
    assert table_rows(local, BUCKET) != []

    assert purge_for(local, choice, now=NOW, seconds=60)
    assert table_rows(local, INBOX) == table_rows(local, BUCKET) == []
