"""A database in trouble costs no request anything, and recording goes on by itself."""

import contextlib
import logging
import resource
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import event

from benchmarks.support.postgres import PostgresServer
from benchmarks.support.waiting import wait_until
from fastapi_lens.errors import DamagedFileError
from fastapi_lens.recording.flush import collector
from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.engine.dialects import sqlite as sqlite_module
from fastapi_lens.storage.schema.models import lens_metadata
from fastapi_lens.storage.writing.drain import drain_all
from tests.recording.probe import Probe
from tests.support.statements import engine_of, listening

GARBAGE = b"this is no database" * 1_000
SIDECARS = ("-wal", "-shm")


class Shop(Probe):
    """An application whose database gets into trouble; its lens writes when it is told to."""

    def __init__(self, **settings: Any) -> None:
        app = FastAPI()
        app.add_api_route("/orders/{order_id}", lambda order_id: order_id)
        super().__init__(app, **settings)
        self.sold = 0

    @classmethod
    def opened(cls, **settings: Any) -> "Shop":
        """One that has sold and written three."""
        made = cls(**settings)
        made.sell()
        made.lens.flusher.stop()
        assert made.writes()
        return made

    def sell(self, calls: int = 3) -> None:
        for _ in range(calls):
            assert self.client.get("/orders/1").status_code == 200
        self.sold += calls

    def writes(self) -> bool:
        return self.lens.flusher.flush()

    def recovers(self) -> bool:
        """True when it writes again without help, at once or after it has noticed the outage."""
        return self.writes() or self.writes() or self.writes()

    @property
    def counted(self) -> int:
        # What the other worker has written, too.
        drain_all(self.lens.database)
        found = self.lens.reader.endpoints(window=Window(), now=self.lens.clock())
        return sum(one.usage.calls for one in found)

    @property
    def dropped(self) -> int:
        return self.lens.reader.health(self.lens.clock()).dropped


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock is waited for 20 ms."""
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_MS", 20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database lies, with nothing else beside it."""
    (folder := tmp_path / "var").mkdir()
    return folder / "lens.db"


@pytest.fixture
def open_shop(file: Path) -> Iterator[Callable[[], Shop]]:
    """Opens shops that share a file, as workers of one application do."""
    made: list[Shop] = []

    def open_one() -> Shop:
        made.append(Shop.opened(db_path=str(file)))
        return made[-1]

    yield open_one
    for each in made:
        each.stop()


@pytest.fixture
def shop(open_shop: Callable[[], Shop]) -> Shop:
    """On SQLite, with three calls written."""
    return open_shop()


def beside(file: Path, suffix: str) -> Path:
    return file.with_name(file.name + suffix)


def damaged(file: Path) -> list[Path]:
    return [each for each in file.parent.glob("lens.db.damaged-*Z") if each.name[-1] == "Z"]


def assert_sound(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- what passes by -------------------------------------------------------------------------------


def test_counts_wait_while_somebody_else_holds_the_lock(shop: Shop, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            shop.sell()
            assert not shop.writes()
        assert shop.lens.flusher.pending_calls == 6
        other.rollback()
    assert shop.writes()
    assert (shop.counted, shop.dropped) == (shop.sold, 0)


@contextlib.contextmanager
def refusing(shop: Shop, pragma: str) -> Generator[None]:
    """SQLite itself refuses, with the error that the operating system would make it raise."""

    def refuse(connection: Any) -> None:
        connection.exec_driver_sql(pragma)

    with listening(shop.lens.database, "begin", refuse):
        yield


@contextlib.contextmanager
def limited(_shop: Shop, _pragma: str) -> Generator[None]:
    """The operating system lets no file of this process grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("trouble", "pragma", "reason"),
    [
        (refusing, "PRAGMA max_page_count=1", "is full"),
        (refusing, "PRAGMA query_only=1", "readonly"),
        (limited, "", "disk I/O error"),
    ],
    ids=["full", "read-only", "I/O errors"],
)
def test_counts_wait_while_nothing_can_be_written(
    shop: Shop, caplog: pytest.LogCaptureFixture, trouble: Any, pragma: str, reason: str
) -> None:
    for number in range(100):
        shop.app.add_api_route(f"/{'new' * 50}/{number}", lambda: 1)
        shop.get(f"/{'new' * 50}/{number}")
    shop.lens.flusher.rediscover()
    for _ in range(2):
        with trouble(shop, pragma):
            written = shop.writes()
        assert not written
        shop.sell()
    assert reason in caplog.text
    assert shop.writes()
    assert (shop.counted, shop.dropped) == (shop.sold + 100, 0)


def test_what_memory_cannot_hold_is_lost_counted_and_shown(
    shop: Shop, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MAX_PENDING", 1)
    shop.app.add_api_route("/more", lambda: 1)
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        shop.sell(3)
        shop.get("/more", "/more")
        assert not shop.writes()
        other.rollback()
    assert shop.writes()
    assert shop.dropped in (2, 3)
    assert shop.counted + shop.dropped == shop.sold + 2
    shop.sell()
    assert shop.writes()
    assert shop.counted + shop.dropped == shop.sold + 2


# --- another file, or none ------------------------------------------------------------------------


@pytest.mark.unmeasured
@pytest.mark.parametrize("left", [(), ("-wal",), ("-shm",), SIDECARS], ids=str)
def test_a_file_that_is_deleted_is_made_anew_with_all_that_waits(
    open_shop: Callable[[], Shop], file: Path, left: tuple[str, ...]
) -> None:
    shops = [open_shop(), open_shop()]
    for shop in shops:
        shop.sell(2)
    file.unlink()
    for suffix in set(SIDECARS) - set(left):
        beside(file, suffix).unlink()
    for shop in shops:
        shop.sell(2)
    assert [shop.recovers() for shop in shops] == [True, True]
    # What had been written lay in the file that somebody has deleted.
    assert [shop.counted for shop in shops] == [8, 8]
    for shop in shops:
        shop.sell(1)
    assert [shop.writes() for shop in shops] == [True, True]
    assert [shop.counted for shop in shops] == [10, 10]
    assert_sound(file)
    assert damaged(file) == []


def test_a_file_that_is_deleted_while_it_is_written_costs_nothing(shop: Shop, file: Path) -> None:
    def delete(_connection: Any) -> None:
        file.unlink(missing_ok=True)

    shop.sell()
    with listening(shop.lens.database, "commit", delete):
        assert not shop.writes()
    assert shop.recovers()
    assert shop.counted == 3


def test_a_backup_that_takes_the_place_of_the_file_is_gone_on_with(
    open_shop: Callable[[], Shop], file: Path
) -> None:
    shops = [open_shop(), open_shop()]
    backup = file.with_name("backup.db")
    with (
        contextlib.closing(sqlite3.connect(file)) as source,
        contextlib.closing(sqlite3.connect(backup)) as target,
    ):
        source.backup(target)
    for shop in shops:
        shop.sell(2)
        assert shop.writes()
        shop.sell(1)
    assert shops[0].counted == 10
    # With the log of the file that was there, which does not belong to it.
    backup.replace(file)
    assert [shop.recovers() for shop in shops] == [True, True]
    assert [shop.counted for shop in shops] == [3 + 3 + 1 + 1] * 2
    assert_sound(file)
    assert damaged(file) == []


def test_a_folder_that_comes_back_is_gone_on_with(shop: Shop, file: Path) -> None:
    away = file.parent.rename(file.parent.with_name("away"))
    shop.sell()
    assert not shop.recovers()
    away.rename(file.parent)
    shop.sell()
    assert shop.recovers()
    assert (shop.counted, shop.dropped) == (shop.sold, 0)


def test_a_file_that_cannot_be_looked_at_is_waited_for(shop: Shop, file: Path) -> None:
    away = file.rename(file.with_name("away.db"))
    file.symlink_to(file)
    shop.sell()
    assert not shop.recovers()
    file.unlink()
    away.rename(file)
    assert shop.recovers()
    assert (shop.counted, shop.dropped) == (shop.sold, 0)


# --- what is no database --------------------------------------------------------------------------


def overwrite(file: Path) -> None:
    file.write_bytes(GARBAGE)


def replace(file: Path) -> None:
    (other := file.with_name("other")).write_bytes(GARBAGE)
    other.replace(file)


def replace_and_clean(file: Path) -> None:
    replace(file)
    for suffix in SIDECARS:
        beside(file, suffix).unlink()


@pytest.mark.unmeasured
@pytest.mark.parametrize("how", [overwrite, replace, replace_and_clean])
def test_garbage_is_moved_aside_and_recording_goes_on(
    open_shop: Callable[[], Shop],
    file: Path,
    caplog: pytest.LogCaptureFixture,
    how: Callable[[Path], None],
) -> None:
    shops = [open_shop(), open_shop()]
    for shop in shops:
        shop.sell(2)
    how(file)
    for shop in shops:
        shop.sell(2)
    assert [shop.recovers() for shop in shops] == [True, True]
    assert [shop.counted for shop in shops] == [8, 8]
    (aside,) = damaged(file)
    assert aside.read_bytes() == GARBAGE
    (told,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert f"found {file} damaged, moved it to {aside.name}" in told.getMessage()
    assert_sound(file)


def test_a_file_that_is_damaged_twice_in_a_second_is_kept_twice(shop: Shop, file: Path) -> None:
    for _ in range(3):
        file.write_bytes(GARBAGE)
        shop.sell()
        assert shop.recovers()
    kept = list(file.parent.glob("lens.db.damaged-*"))
    assert len([each for each in kept if each.read_bytes() == GARBAGE]) == 3


def test_an_emptied_file_is_a_new_one(open_shop: Callable[[], Shop], file: Path) -> None:
    shops = [open_shop(), open_shop()]
    file.write_bytes(b"")
    for shop in shops:
        shop.sell(2)
    assert [shop.recovers() for shop in shops] == [True, True]
    assert [shop.counted for shop in shops] == [4, 4]
    assert_sound(file)
    assert damaged(file) == []


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2 + 100]


def scratch(content: bytes) -> bytes:
    return content[:4_096] + b"\xff" * (len(content) - 4_096)


@pytest.mark.parametrize("harm", [cut, scratch])
def test_a_file_that_is_damaged_in_the_middle_is_moved_aside_too(
    shop: Shop, file: Path, harm: Callable[[bytes], bytes]
) -> None:
    shop.lens.database.close()  # The last connection writes all pages into the file.
    file.write_bytes(harm(file.read_bytes()))
    shop.sell()
    assert shop.recovers()
    assert shop.counted == 3
    assert len(damaged(file)) == 1
    assert_sound(file)


def test_a_page_of_the_file_that_cannot_be_read_is_an_error_and_no_move(
    shop: Shop, file: Path
) -> None:
    shop.lens.database.close()
    file.write_bytes(GARBAGE)
    with pytest.raises(DamagedFileError, match="move it away"):
        _ = shop.counted
    assert damaged(file) == []
    shop.sell()
    assert shop.recovers()
    assert shop.counted == 3
    assert len(damaged(file)) == 1


def test_a_file_that_never_was_a_database_is_left_alone_until_it_is_away(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("My diary. " * 100)
    shop = Shop(db_path=str(file))
    shop.sell()
    shop.lens.flusher.stop()
    assert not shop.recovers()
    assert list(file.parent.iterdir()) == [file]
    assert file.read_text() == "My diary. " * 100
    (told,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert told.levelno == logging.ERROR
    assert told.getMessage().endswith("move it away or set another db_path")
    file.rename(file.with_name("diary.txt"))
    assert shop.writes()
    assert shop.counted == shop.sold
    shop.stop()


def test_a_damaged_file_that_holds_the_tables_of_others_is_left_to_them(
    shop: Shop, file: Path
) -> None:
    with contextlib.closing(sqlite3.connect(file)) as host:
        host.execute("CREATE TABLE customer (id)")
        host.commit()
    shop.sell()
    assert shop.writes()
    shop.lens.database.close()
    sound = file.read_bytes()
    file.write_bytes(GARBAGE)
    shop.sell()
    assert not shop.recovers()
    assert file.read_bytes() == GARBAGE
    assert damaged(file) == []
    file.write_bytes(sound)
    assert shop.recovers()
    assert shop.counted == shop.sold


def test_a_damaged_file_that_cannot_be_moved_is_waited_for(
    shop: Shop, file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_paths: Path) -> None:
        raise PermissionError("not yours")

    shop.lens.database.close()
    file.write_bytes(GARBAGE)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        shop.sell()
        assert not shop.recovers()
    assert "PermissionError: not yours" in caplog.text
    assert shop.recovers()
    assert shop.counted == 3


# --- servers --------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_postgresql_may_stop_and_start() -> None:
    with PostgresServer() as server:
        shop = Shop.opened(database_url=server.create_database())
        server.halt()
        for _ in range(2):
            shop.sell()
            assert not shop.writes()
        server.resume()
        assert shop.writes()
        assert (shop.counted, shop.dropped) == (shop.sold, 0)
        shop.stop()


def execute_as_somebody_else(url: str, statement: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement.encode())


def test_connections_that_are_cut_lose_nothing(postgres_url: str) -> None:
    shop = Shop.opened(database_url=postgres_url)
    engine = engine_of(shop.lens.database)
    cut_all = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def cut_now(_connection: Any) -> None:
        execute_as_somebody_else(postgres_url, cut_all)

    shop.sell()
    cut_now(None)
    assert shop.writes()  # Found out and connected anew before anything was sent.
    shop.sell()
    event.listen(engine, "commit", cut_now)
    assert not shop.writes()
    event.remove(engine, "commit", cut_now)
    assert shop.writes()
    assert (shop.counted, shop.dropped) == (shop.sold, 0)
    shop.stop()


def test_tables_that_somebody_has_locked_are_waited_for(postgres_url: str) -> None:
    shop = Shop.opened(database_url=postgres_url)
    written: list[bool] = []
    thread = threading.Thread(target=lambda: written.append(shop.writes()))
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE lens_worker")
        shop.sell()
        thread.start()
        wait_until(lambda: shop.lens.flusher.pending_calls == 3)
        shop.sell()
        assert written == []
    thread.join()
    assert written == [True]
    assert shop.writes()
    assert (shop.counted, shop.dropped) == (shop.sold, 0)
    shop.stop()


def test_a_database_that_is_dropped_and_made_anew_is_filled_anew(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.create_database()
    shop = Shop.opened(database_url=url)
    postgres_server.drop_database(url)
    shop.sell()
    assert not shop.writes()
    execute_as_somebody_else(
        url.rpartition("/")[0] + "/postgres", f'CREATE DATABASE "{url.rpartition("/")[2]}"'
    )
    assert shop.writes()
    assert shop.counted == 3
    shop.stop()
    postgres_server.drop_database(url)


def test_tables_that_are_dropped_are_made_anew(database_url: str) -> None:
    shop = Shop.opened(database_url=database_url)
    with shop.lens.database.write() as connection:
        lens_metadata.drop_all(connection)
    shop.sell()
    assert shop.recovers()
    assert shop.counted == 3
    shop.stop()
