"""All-time sums: what a Prometheus server reads never decreases, whatever happens to the rows."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from benchmarks.support.rows import APP, delta, facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens import LensConfig
from fastapi_lens.reporting.documents.exposition import Format, exposition
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET
from fastapi_lens.storage.writing.batches import Batch
from tests.support.prometheus import open_metrics
from tests.support.statements import engine_of

START = 1_775_000_000.0
DAY = float(Tier.DAY)
PATHS = ("/a", "/b", '/"quoted"\\')
SETTINGS = Settings.of(LensConfig())
Series = tuple[str, frozenset[tuple[str, str]]]
REQUESTS = "http_server_requests_total"
DURATION = "http_server_request_duration_seconds"


class World:
    """One database, its calls, and the readers of some workers.

    Attributes:
        now: Epoch seconds.
        calls: Recorded calls by path and class of status code.
    """

    def __init__(self, database: Database) -> None:
        """Create the tables, and three endpoints that are in the routes."""
        migrate(database)
        self.database, self.now = database, START
        self.calls = Counter[tuple[str, str]]()
        self._seen: dict[Series, float] = {}
        self.readers = [self._reader(), self._reader()]
        self._writer = Writer(database, worker(started_at=START))
        found = [facts(path) for path in PATHS]
        self._writer.register(found, applied=0, now_us=microseconds(START))
        self._seqs = count(1)

    def _reader(self) -> Reader:
        return Reader(
            self.database, app=lambda: APP, settings=lambda: SETTINGS, retention=Retention()
        )

    def call(self, path: str, days_ago: int, status: int, durations_us: Sequence[int]) -> None:
        """Calls that a worker flushes late, or now."""
        minute = int((self.now - days_ago * DAY) // 60)
        counted = delta(facts(path).id, durations_us, minute=minute, status=status)
        self._writer.write(Batch(next(self._seqs), (counted,)))
        self.calls[path, f"{status // 100}xx"] += len(durations_us)

    def restart(self, number: int) -> None:
        """Another process takes the place of a worker."""
        self.readers[number] = self._reader()

    def prune(self, ttl_days: int) -> None:
        """A run of the retention."""
        prune(self.database, Retention(ttl_days, app=APP), now=self.now)

    def purge(self, days_ago: int) -> None:
        """An admin deletes what is older."""
        ids = [facts(path).id for path in PATHS]
        choice = Choice(APP, ids, before=int(self.now - days_ago * DAY))
        assert list(purge(self.database, choice, now=self.now))

    def scrape(self, number: int) -> dict[Series, float]:
        """All series that a worker answers with, after checks of their sums."""
        found: dict[Series, float] = {}
        text = exposition(self.readers[number].totals(now=self.now), Format.OPEN_METRICS)
        for family in open_metrics(text):
            for one in family.samples:
                found[one.name, frozenset(one.labels.items())] = one.value
        return found

    def check(self, number: int) -> None:
        """Nothing has decreased, and all sums are those of the calls."""
        found = self.scrape(number)
        assert all(found[series] >= value for series, value in self._seen.items())
        self._seen = found
        for path in PATHS:
            of_path = Counter(
                {name: calls for (at, name), calls in self.calls.items() if at == path}
            )
            for name in ("2xx", "3xx", "4xx", "5xx"):
                series = series_of(
                    "http_server_requests_total", path, http_response_status_code=name
                )
                assert found[series] == of_path[name]
            assert found[series_of(f"{DURATION}_count", path)] == of_path.total()
            assert found[series_of(f"{DURATION}_bucket", path, le="+Inf")] == of_path.total()


def series_of(name: str, path: str, **labels: str) -> Series:
    """One series of an endpoint."""
    of_endpoint = {"http_request_method": "GET", "http_route": path}
    return name, frozenset({**of_endpoint, **labels}.items())


@pytest.fixture
def world(database: Database) -> World:
    """On each database."""
    return World(database)


STEPS = st.one_of(
    st.builds(
        lambda *values: lambda world: world.call(*values),
        st.sampled_from(PATHS),
        st.integers(0, 40),
        st.sampled_from((200, 304, 404, 500)),
        st.lists(st.integers(0, 20_000_000), min_size=1, max_size=3),
    ),
    st.builds(lambda ttl_days: lambda world: world.prune(ttl_days), st.integers(1, 60)),
    st.builds(lambda days_ago: lambda world: world.purge(days_ago), st.integers(0, 30)),
    st.builds(
        lambda days: lambda world: setattr(world, "now", world.now + days * DAY),
        st.integers(1, 20),
    ),
)


@settings(max_examples=15)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=10))
def test_no_count_ever_decreases(steps: list[tuple[Callable[[World], None], bool]]) -> None:
    database = Database("sqlite://")
    world = World(database)
    for step, restarts in steps:
        step(world)
        if restarts:
            world.restart(1)
        # The one that knows the earlier weeks, and the one that may have just started.
        world.check(0)
        world.check(1)
    database.close()


def test_weeks_past_their_retention_stay_in_the_totals(world: World) -> None:
    for days_ago in (0, 10, 30, 90, 91):
        world.call("/a", days_ago, 500, [1_000, 2_000_000])
    world.check(0)
    world.prune(60)
    world.check(0)
    world.restart(0)
    world.check(0)
    world.now += 50 * DAY
    world.prune(60)
    world.check(1)
    world.check(0)


def test_a_deletion_of_what_is_older_leaves_the_totals(world: World) -> None:
    world.call("/a", 30, 200, [1_000])
    world.call("/b", 0, 200, [1_000])
    world.purge(10)
    world.check(0)
    with world.database.read() as connection:
        weeks = sa.select(BUCKET.c.endpoint_id).where(BUCKET.c.tier == Tier.WEEK.value)
        assert connection.execute(weeks).all()


def test_a_deleted_history_begins_at_zero_again(world: World) -> None:
    world.call("/a", 30, 200, [1_000])
    world.prune(1)
    world.check(0)
    ids = [facts(path).id for path in PATHS]
    choice = Choice(APP, ids, keeps_endpoints=True)
    assert list(purge(world.database, choice, now=world.now))
    for number in (0, 1):
        assert set(world.scrape(number).values()) == {0.0}


def test_weeks_of_another_app_are_not_counted(world: World) -> None:
    other = facts("/a", app="billing")
    writer = Writer(world.database, worker("w9", "billing"))
    writer.register([other], applied=0, now_us=microseconds(world.now))
    minute = int(world.now // 60)
    writer.write(
        Batch(1, (delta(other.id, minute=minute), delta(other.id, minute=minute - 50_000)))
    )
    world.call("/a", 30, 200, [1_000])
    world.check(0)


@pytest.fixture
def statements(world: World) -> Iterator[list[str]]:
    """The statements that read buckets."""
    found: list[str] = []

    @event.listens_for(engine_of(world.database), "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM lens_bucket" in statement:
            found.append(statement)

    yield found
    event.remove(engine_of(world.database), "before_cursor_execute", note)


def test_earlier_weeks_are_read_only_after_a_change_of_them(
    world: World, statements: list[str]
) -> None:
    def reads_earlier() -> bool:
        before = len(statements)
        world.scrape(0)
        return len(statements) - before > 2

    world.call("/a", 0, 200, [1_000])
    assert not reads_earlier()
    world.call("/a", 30, 200, [1_000])
    assert reads_earlier()
    world.call("/a", 0, 200, [1_000])
    assert not reads_earlier()
    world.now += 7 * DAY
    assert not reads_earlier()
    world.now += 7 * DAY
    assert reads_earlier()
    world.check(0)
