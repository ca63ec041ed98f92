from collections.abc import Iterable, Sequence
from itertools import groupby

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.reporting.evidence.observation import (
    HOLE_MINUTES,
    UNWRITTEN_SECONDS,
    Observation,
    read_observation,
    release_names,
)
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import dropped_id, release_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import OBSERVED, RELEASE

DAY_MINUTES = 1_440
FIRST_DAY = 20_000
BEGIN = FIRST_DAY * DAY_MINUTES
"""A midnight, in minutes since the epoch."""


def mark(database: Database, identity: int, minutes: Iterable[int]) -> None:
    """Mark minutes since the epoch as observed."""
    hours = [
        {
            "release_id": identity,
            "hour": hour,
            "minutes": sum({1 << minute % 60 for minute in of_hour}),
        }
        for hour, of_hour in groupby(sorted(minutes), lambda minute: minute // 60)
    ]
    if hours:
        with database.write() as connection:
            connection.execute(sa.insert(OBSERVED), hours)


def add_release(
    database: Database,
    name: str,
    minutes: Iterable[int] = (),
    *,
    app: str = "shop",
    first_at: int = 0,
) -> None:
    row = {
        "id": release_id(app, name),
        "app": app,
        "name": name,
        "first_at": first_at,
        "last_at": first_at + 1,
    }
    with database.write() as connection:
        connection.execute(sa.insert(RELEASE), row)
    mark(database, row["id"], minutes)  # type: ignore[arg-type]


def observed(database: Database, now_minute: float) -> Observation:
    with database.read() as connection:
        return read_observation(connection, "shop", now=now_minute * 60)


def recount(minutes: set[int], now_minute: float) -> Observation:
    """The same, minute by minute."""
    today = int(now_minute // DAY_MINUTES)
    if not minutes:
        return Observation(None, today)
    end = int((now_minute * 60 - UNWRITTEN_SECONDS) // 60)
    days = set[int]()
    for is_seen, run in groupby(range(min(minutes), end), lambda minute: minute in minutes):
        missing = list(run)
        if not is_seen and len(missing) >= HOLE_MINUTES:
            days |= {minute // DAY_MINUTES for minute in missing}
    holes: list[tuple[int, int]] = []
    for day in sorted(days):
        if holes and holes[-1][1] == day - 1:
            holes[-1] = holes[-1][0], day
        else:
            holes.append((day, day))
    until = (max(minutes) + 1) * 60.0
    return Observation(min(minutes) // DAY_MINUTES, today, tuple(holes), len(days), until)


def ranges(*spans: tuple[int, int]) -> list[int]:
    """Minutes from the beginning on: of each span from the first to before the last."""
    return [BEGIN + minute for begin, end in spans for minute in range(begin, end)]


@pytest.fixture
def tables(memory: Database) -> Database:
    migrate(memory)
    return memory


def test_nothing_is_observed_before_the_first_mark(tables: Database) -> None:
    assert observed(tables, BEGIN) == Observation(None, FIRST_DAY)


def test_59_minutes_are_a_deployment_and_60_are_a_hole(tables: Database) -> None:
    add_release(tables, "1", ranges((100, 200), (259, 300), (360, 400)))
    found = observed(tables, BEGIN + 400)
    until = (BEGIN + 400) * 60.0
    assert found == Observation(FIRST_DAY, FIRST_DAY, ((FIRST_DAY, FIRST_DAY),), 1, until)
    with tables.write() as connection:
        connection.execute(sa.delete(OBSERVED).where(OBSERVED.c.hour == BEGIN // 60 + 6))
    assert observed(tables, BEGIN + 330).holes == ()


def test_a_hole_over_midnight_makes_both_days_hole_days(tables: Database) -> None:
    evening = DAY_MINUTES - 1
    add_release(tables, "1", ranges((0, evening), (evening + 60, 2 * DAY_MINUTES)))
    found = observed(tables, BEGIN + 2 * DAY_MINUTES)
    assert (found.holes, found.hole_days) == (((FIRST_DAY, FIRST_DAY + 1),), 2)


def test_the_present_is_a_hole_only_once_it_is_surely_one(tables: Database) -> None:
    add_release(tables, "1", ranges((0, 100)))
    slack = UNWRITTEN_SECONDS / 60
    assert observed(tables, BEGIN + 160 + slack - 0.01).hole_days == 0
    assert observed(tables, BEGIN + 160 + slack).hole_days == 1
    assert observed(tables, BEGIN + 3 * DAY_MINUTES + 61).holes == ((FIRST_DAY, FIRST_DAY + 3),)


def test_what_one_release_saw_closes_the_hole_of_another(tables: Database) -> None:
    add_release(tables, "1", ranges((0, 100)))
    add_release(tables, "2", ranges((90, 300)))
    assert observed(tables, BEGIN + 300).holes == ()


def test_other_apps_close_no_hole(tables: Database) -> None:
    add_release(tables, "1", ranges((0, 100), (200, 300)))
    add_release(tables, "1", ranges((0, 300)), app="other")
    assert observed(tables, BEGIN + 300).hole_days == 1


def test_hours_with_dropped_calls_are_a_hole(tables: Database) -> None:
    add_release(tables, "1", ranges((0, 3 * DAY_MINUTES)))
    mark(tables, dropped_id("shop"), ranges((DAY_MINUTES, DAY_MINUTES + 60)))
    found = observed(tables, BEGIN + 3 * DAY_MINUTES)
    assert found.holes == ((FIRST_DAY + 1, FIRST_DAY + 1),)


def test_marks_of_the_future_and_wrong_rows_are_left_out(tables: Database) -> None:
    add_release(tables, "1", ranges((0, 60), (600, 660)))
    with tables.write() as connection:
        for hour, minutes in ((BEGIN // 60 + 1, -1), (BEGIN // 60 + 2, 1 << 61)):
            values = {"release_id": release_id("shop", "1"), "hour": hour, "minutes": minutes}
            connection.execute(sa.insert(OBSERVED), values)
    assert observed(tables, BEGIN + 300).holes == ((FIRST_DAY, FIRST_DAY),)
    assert observed(tables, BEGIN - 300) == Observation(None, FIRST_DAY - 1)


def test_releases_come_in_the_order_of_their_first_recording(database: Database) -> None:
    migrate(database)
    add_release(database, "2026.2", first_at=2_000_000)
    add_release(database, "2026.1", first_at=1_000_000)
    add_release(database, "", app="other")
    with database.read() as connection:
        found = release_names(connection, "shop")
    assert [(one.name, one.first_at, one.last_at) for one in found] == [
        ("2026.1", 1.0, 1.000001),
        ("2026.2", 2.0, 2.000001),
    ]
    assert found[0].id == release_id("shop", "2026.1")


SPANS = st.lists(st.tuples(st.integers(0, 4_000), st.integers(1, 300)), max_size=8)


def minutes_of(spans: Sequence[tuple[int, int]]) -> set[int]:
    return set(ranges(*((begin, begin + length) for begin, length in spans)))


@given(
    releases=st.lists(SPANS, min_size=1, max_size=3),
    dropped=st.lists(st.integers(0, 70), max_size=3, unique=True),
    now=st.floats(0, 6_000),
)
def test_holes_equal_a_recount_of_every_minute(
    releases: list[list[tuple[int, int]]], dropped: list[int], now: float
) -> None:
    database = Database("sqlite://")
    migrate(database)
    for number, spans in enumerate(releases):
        add_release(database, str(number), minutes_of(spans))
    holes = [BEGIN + hour * 60 + minute for hour in dropped for minute in range(60)]
    mark(database, dropped_id("shop"), holes)

    this_hour = int(BEGIN + now) // 60
    seen = set[int]().union(*map(minutes_of, releases)) - set(holes)
    seen = {minute for minute in seen if minute // 60 <= this_hour}
    assert observed(database, BEGIN + now) == recount(seen, BEGIN + now)
    database.close()


def test_observation_reads_the_same_on_every_database(database: Database) -> None:
    migrate(database)
    add_release(database, "1", ranges((0, 100), (200, 300)))
    add_release(database, "2", ranges((150, 151), (300, 2_000)))
    mark(database, dropped_id("shop"), ranges((360, 420)))
    found = observed(database, BEGIN + 2_000)
    until = (BEGIN + 2_000) * 60.0
    assert found == Observation(FIRST_DAY, FIRST_DAY + 1, ((FIRST_DAY, FIRST_DAY),), 1, until)
