"""Open calls of all workers of an app together."""

from dataclasses import replace

from benchmarks.support.rows import facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.settings.status import Status
from fastapi_lens.storage.coordination.heartbeat import beat, note_killed
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import Batch, Use
from fastapi_lens.storage.writing.open_calls import as_text
from tests.reporting.recount import DAY, NOW, reader_of

TALK = facts("/talk", "WEBSOCKET")


def at(ago: float) -> int:
    return round((NOW - ago) * 1_000_000)


def told(
    database: Database, who: WorkerFacts, *, connections: int, since: float, ago: float = 1
) -> None:
    """A worker that says what is open in it, as long ago as is said."""
    writer = Writer(database, who)
    writer.register([TALK], applied=0, now_us=at(ago))
    uses = (Use(TALK.id, connections, at(since), at(ago)),) if connections else ()
    writer.write(Batch(1, uses=uses, open_calls=as_text(uses)))
    beat(database, who, Heartbeat(now_us=at(ago), complete_to_us=at(ago)))


def only(database: Database) -> Endpoint:
    reader = reader_of(database)
    (listed,) = reader.endpoints(window=Window(), now=NOW)
    assert reader.endpoint(listed.key, window=Window(), now=NOW) == listed
    return listed


def test_the_connections_of_all_living_workers_are_added_up(database: Database) -> None:
    migrate(database)
    told(database, worker("a"), connections=2, since=100)
    told(database, worker("b"), connections=1, since=11 * DAY)
    told(database, worker("c"), connections=4, since=7)
    told(database, worker("idle"), connections=0, since=7)
    # Of an app of another name with the same path.
    told(database, worker("other", app="other"), connections=8, since=12 * DAY)
    found = only(database)
    assert (found.status, found.total_calls) == (Status.ACTIVE, 0)
    assert (found.open_connections, found.open_since) == (7, NOW - 11 * DAY)


def test_a_worker_that_ended_was_killed_or_is_silent_has_nothing_open(database: Database) -> None:
    migrate(database)
    told(database, worker("silent"), connections=1, since=200, ago=100)
    told(database, replace(worker("killed"), pid=1), connections=1, since=200, ago=2)
    told(database, worker("ended"), connections=1, since=200, ago=2)
    beat(database, worker("ended"), Heartbeat(now_us=at(1), complete_to_us=at(1), ended=True))
    note_killed(database, worker("new"), lambda one: one.pid == 1, now_us=at(0))
    found = only(database)
    assert (found.open_connections, found.open_since) == (0, None)
    # It was in use when they said so last, though no call has been counted.
    assert found.status is Status.ACTIVE
    assert (found.total_calls, found.usage.calls) == (0, 0)
    assert found.first_called_at == NOW - 200
    assert found.last_called_at == NOW - 2


def test_an_endpoint_goes_cold_and_dead_after_its_last_use(memory: Database) -> None:
    migrate(memory)
    told(memory, worker("killed"), connections=1, since=40 * DAY, ago=39 * DAY)
    reader = reader_of(memory)
    statuses = [
        reader.endpoints(window=Window.of_days(7), now=NOW - days * DAY)[0].status
        for days in (38, 20, 0)
    ]
    assert statuses == [Status.ACTIVE, Status.COLD, Status.DEAD]


def test_a_list_that_is_known_already_says_what_was_told_since(memory: Database) -> None:
    migrate(memory)
    who = worker("a")
    told(memory, who, connections=1, since=500, ago=400)
    reader, writer = reader_of(memory), Writer(memory, who)
    first = reader.endpoints(window=Window(), now=NOW - 399)[0]
    use = Use(TALK.id, 3, at(500), at(390))
    writer.write(Batch(2, uses=(use,), open_calls=as_text([use])))
    second = reader.endpoints(window=Window(), now=NOW - 389)[0]
    assert (first.open_connections, first.last_called_at) == (1, NOW - 400)
    assert (second.open_connections, second.last_called_at) == (3, NOW - 390)


def test_an_endpoint_in_use_is_listed_where_no_worker_lives_that_has_it(memory: Database) -> None:
    migrate(memory)
    told(memory, worker("killed"), connections=1, since=5 * DAY, ago=4 * DAY)
    newer = worker("new", started_at=NOW - 10)
    Writer(memory, newer).register([facts("/new")], applied=0, now_us=at(1))
    beat(memory, newer, Heartbeat(now_us=at(1), complete_to_us=at(1)))
    listed = reader_of(memory).endpoints(window=Window(), now=NOW)
    assert [one.path for one in listed] == ["/new", "/talk"]
