import sqlite3
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection

from benchmarks.support.ports import free_port
from benchmarks.support.rows import table_rows
from fastapi_lens.errors import ConfigError, StorageError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects import sqlite as sqlite_module
from fastapi_lens.storage.engine.dialects.base import LOCK_SECONDS
from fastapi_lens.storage.engine.dialects.sqlite import CACHE_KIB
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import BUCKET, LEASE

ROW = {"name": "prune", "owner": "w1", "expires_at": 7}


def insert(connection: Connection, **changes: object) -> None:
    connection.execute(sa.insert(LEASE), {**ROW, **changes})


def owners(connection: Connection) -> list[str]:
    return list(connection.execute(sa.select(LEASE.c.owner).order_by(LEASE.c.owner)).scalars())


def error_of(url: str) -> str:
    database = Database(url)
    with pytest.raises(StorageError) as caught, database.read():
        pass
    database.close()
    return str(caught.value)


def about_to_write(path: Path) -> sqlite3.Connection:
    """A connection that holds up the switch to WAL in a way that ignores busy_timeout."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_nothing_is_opened_before_the_first_use(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    assert list(tmp_path.iterdir()) == []
    with database.read():
        pass
    assert (tmp_path / "lens.db").exists()
    database.close()


def test_a_writing_transaction_is_committed_at_its_end(database: Database) -> None:
    with database.write() as connection:
        insert(connection)
    database.close()
    assert [(row.name, row.owner, row.expires_at) for row in table_rows(database, LEASE)] == [
        ("prune", "w1", 7)
    ]


def test_a_writing_transaction_is_rolled_back_on_an_error(sqlite_database: Database) -> None:
    database = sqlite_database

    def fail() -> None:
        with database.write() as connection:
            insert(connection)
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert table_rows(database, LEASE) == []


def test_an_error_of_the_database_is_a_storage_error_in_one_line(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            insert(connection)
            insert(connection, owner="hunter2")

    with pytest.raises(StorageError) as caught:
        fail()
    assert table_rows(database, LEASE) == []
    assert "\n" not in str(caught.value)
    # Neither the statement nor its parameters.
    assert "INSERT" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_reading_transaction_sees_one_state_while_others_write(
    database: Database, database_url: str
) -> None:
    other = Database(database_url)
    with database.read() as connection:
        assert owners(connection) == []
        with other.write() as writing:
            insert(writing)
        assert owners(connection) == []
    with database.read() as connection:
        assert owners(connection) == ["w1"]
    other.close()


def test_a_row_that_is_there_already_is_left_alone(database: Database) -> None:
    with database.write() as connection:
        insert(connection)
        connection.execute(
            database.insert_ignore(LEASE),
            [{**ROW, "owner": "w2"}, {**ROW, "name": "other", "owner": "w3"}],
        )
    with database.read() as connection:
        assert owners(connection) == ["w1", "w3"]


def test_the_threads_of_a_process_share_a_database_in_memory() -> None:
    database = Database("sqlite:///:memory:")
    migrate(database)

    def write(number: int) -> None:
        for turn in range(20):
            with database.write() as connection:
                insert(connection, name=f"{number}-{turn}")
            with database.read() as connection:
                owners(connection)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(table_rows(database, LEASE)) == 80
    database.close()


def test_a_file_lets_readers_in_gives_space_back_and_takes_little_memory(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    migrate(database)
    with database.read() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "auto_vacuum", "synchronous", "cache_size")
        ]
    assert modes == ["wal", 2, 1, -CACHE_KIB]
    database.close()


def test_the_switch_to_wal_waits_for_whoever_else_opens_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lens.db"
    other = about_to_write(path)
    waited: list[float] = []

    def let_go(seconds: float) -> None:
        waited.append(seconds)
        other.close()

    monkeypatch.setattr("fastapi_lens.storage.engine.dialects.sqlite.time.sleep", let_go)
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
    assert len(waited) == 1
    database.close()


def test_the_switch_to_wal_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lens.db"
    other = about_to_write(path)
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_MS", 0)
    assert "database is locked" in error_of(f"sqlite:///{path}")
    other.close()


def test_a_file_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(_seconds: float) -> None:
        raise AssertionError("waiting does not help")

    path = tmp_path / "lens.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.close()
    monkeypatch.setattr("fastapi_lens.storage.engine.dialects.sqlite.time.sleep", wait)
    assert "readonly" in error_of(f"sqlite:///file:{path}?mode=ro&uri=true")


def test_a_file_that_is_no_database_is_a_storage_error(tmp_path: Path) -> None:
    path = tmp_path / "lens.db"
    path.write_bytes(b"garbage " * 1_000)
    assert "not a database" in error_of(f"sqlite:///{path}")
    assert path.read_bytes() == b"garbage " * 1_000


def test_a_file_that_this_process_has_only_read_is_not_moved_when_it_is_damaged(
    tmp_path: Path,
) -> None:
    file = tmp_path / "lens.db"
    database = Database(f"sqlite:///{file}")
    with database.read():
        pass
    file.write_bytes(garbage := b"no database " * 500)
    with pytest.raises(StorageError), database.read():
        pass
    database.close()
    assert file.read_bytes() == garbage


def test_a_server_that_is_not_there_is_a_storage_error_without_the_password() -> None:
    message = error_of(f"postgresql+psycopg://lens:hunter2@127.0.0.1:{free_port()}/lens")
    assert "hunter2" not in message
    assert "\n" not in message


def test_an_error_without_words_is_told_by_its_type(sqlite_database: Database) -> None:
    def fail() -> None:
        with sqlite_database.read():
            raise sa.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError())

    with pytest.raises(StorageError, match=r"^OperationalError: $"):
        fail()


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("postgresql+psycopg://db.example/lens", "psycopg", "postgresql"),
        ("mysql+pymysql://db.example/lens", "pymysql", "mysql"),
    ],
)
def test_a_missing_driver_is_named_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, url: str, driver: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(
        ConfigError, match=rf"pip install 'fastapi-lens-admin\[{extra}\]'"
    ) as caught:
        Database(url)
    assert caught.value.field == "database_url"
    assert driver in caught.value.problem


def test_the_size_of_a_file_is_known(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    migrate(database)
    with database.read() as connection:
        size = database.size_bytes(connection)
    database.close()  # Brings the write-ahead log into the file.
    assert size == (tmp_path / "lens.db").stat().st_size


def test_on_a_server_the_tables_of_the_lens_alone_are_measured(server_url: str) -> None:
    database = Database(server_url)
    numbers = {"postgresql": "generate_series(1, 40000) n", "mysql": "seq_1_to_40000"}
    with database.write() as connection:
        assert database.size_bytes(connection) is None
        source = numbers[database.dialect.name]
        connection.exec_driver_sql(f"CREATE TABLE lenses AS SELECT * FROM {source}")  # noqa: S608
    migrate(database)
    with database.read() as connection:
        assert 0 < (database.size_bytes(connection) or 0) < 1_000_000
    database.close()


def test_a_server_waits_a_minute_at_most_for_a_host_that_is_gone(server_url: str) -> None:
    database = Database(server_url)
    asked = {
        "postgresql": "SHOW idle_in_transaction_session_timeout",
        "mysql": "SELECT concat(@@wait_timeout / 60, 'min')",
    }
    with database.read() as connection:
        limit = connection.exec_driver_sql(asked[database.dialect.name]).scalar_one()
    database.close()
    assert limit.replace(".0000", "") == "1min"


def test_a_reading_transaction_on_a_server_changes_nothing(server_url: str) -> None:
    database = Database(server_url)
    migrate(database)

    def change() -> None:
        with database.read() as connection:
            insert(connection)

    with pytest.raises(StorageError, match=r"(?i)read.only"):
        change()
    database.close()


def test_a_url_may_say_mariadb(mariadb_url: str) -> None:
    for scheme in ("mariadb+pymysql", "mysql+pymysql"):
        database = Database(mariadb_url.replace("mysql+pymysql", scheme))
        migrate(database)
        with database.write() as connection:
            connection.execute(database.insert_ignore(LEASE), ROW)
        assert len(table_rows(database, LEASE)) == 1
        database.close()


def test_what_a_url_says_itself_wins(server_url: str) -> None:
    database = Database(f"{server_url}?connect_timeout=77")
    with database.read() as connection:
        driver: Any = connection.connection.driver_connection
        seconds = (
            driver.info.get_parameters()["connect_timeout"]
            if database.dialect.name == "postgresql"
            else driver.connect_timeout
        )
    database.close()
    assert int(seconds) == 77


class MariaDatabase(Database):
    """Takes down what would be sent to MariaDB, also where the suite has none."""

    def __init__(self) -> None:
        super().__init__("mysql+pymysql://db.example/lens")
        self.sent: list[str] = []
        self.answer: int | None = 1

    @contextmanager
    def write(self) -> Generator[Any]:
        number = sum(each.startswith("begin") for each in self.sent)
        self.sent.append(f"begin {number}")
        yield self
        self.sent.append(f"commit {number}")

    def execute(self, statement: sa.Select[Any] | sa.TextClause) -> "MariaDatabase":
        compiled = statement.compile(
            dialect=mysql.dialect(), compile_kwargs={"literal_binds": True}
        )
        self.sent.append(str(compiled).split("(", maxsplit=1)[0])
        return self

    def exec_driver_sql(self, statement: str) -> None:
        self.sent.append(statement.split(",", maxsplit=1)[0])

    def detach(self) -> None:
        self.sent.append("detach")

    def scalar(self) -> int | None:
        return self.answer


def test_mariadb_lets_the_next_process_migrate_after_the_commit_only() -> None:
    database = MariaDatabase()
    with database.exclusive():
        database.sent.append("work")
    assert database.sent == [
        "begin 0",
        "detach",
        "SET SESSION wait_timeout = 86400",
        "SELECT get_lock",
        "begin 1",
        "detach",
        "SET SESSION wait_timeout = 86400",
        "work",
        "commit 1",
        "commit 0",
    ]


@pytest.mark.parametrize("answer", [0, None])
def test_mariadb_does_not_migrate_without_the_lock(answer: int | None) -> None:
    database = MariaDatabase()
    database.answer = answer
    with pytest.raises(StorageError, match="another process"), database.exclusive():
        raise AssertionError("it went on")


def test_a_migration_that_fails_leaves_neither_its_lock_nor_its_patience_behind(
    server_url: str,
) -> None:
    database = Database(server_url)
    with pytest.raises(LookupError), database.exclusive():
        raise LookupError
    other = Database(server_url)
    with other.exclusive(), database.write() as connection:
        asked = {"postgresql": "SHOW lock_timeout", "mysql": "SELECT @@lock_wait_timeout"}
        limit = connection.exec_driver_sql(asked[database.dialect.name]).scalar_one()
    database.close()
    other.close()
    assert str(limit).rstrip("s") == str(LOCK_SECONDS)


def test_mariadb_is_asked_in_its_own_words() -> None:
    database = MariaDatabase()
    statement = database.insert_ignore(BUCKET)
    assert str(statement.compile(dialect=mysql.dialect())).startswith("INSERT IGNORE INTO lens_")
    database.answer = 81_920
    assert database.size_bytes(database) == 81_920  # type: ignore[arg-type]
    assert "unix_timestamp()" in str(database.dialect.clock_us)
    assert Database("mariadb://lens@localhost/lens").dialect.name == "mysql"
