"""Deleting what somebody chose, in so many seconds, and going on later."""

from itertools import count

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import FlakyDatabase, delta, table_rows, worker
from fastapi_lens.storage.coordination.worker import Progress
from fastapi_lens.storage.retention.purge import Choice, amount, purge_for
from fastapi_lens.storage.schema.tables import BUCKET, GONE, INBOX
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


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        (Choice("orders", [1]), [(20_000, 2)]),
        (Choice("orders", [1, 2, 3, 4], whole_app=True), []),
        (Choice("orders", [1], keeps_endpoints=True), [(20_000, 2)]),
        (Choice("orders", [1], before=20_000 * 86_400), [(20_000, 1), (20_000, 2)]),
    ],
)
def test_calls_of_a_removed_endpoint_are_deleted_with_its_history(
    local: FlakyDatabase, choice: Choice, left: list[tuple[int, int]]
) -> None:
    with local.write() as connection:
        for day, endpoint in ((19_999, 1), (20_000, 1), (20_000, 2)):
            row = {"day": day, "endpoint_id": endpoint, "is_noise": 0, "calls": 1}
            connection.execute(sa.insert(GONE).values(row))
    assert amount(local, choice).statuses == 3 - len(left)

    assert purge_for(local, choice, now=NOW, seconds=60)
    found = [(row.day, row.endpoint_id) for row in table_rows(local, GONE)]
    assert sorted(found) == left
