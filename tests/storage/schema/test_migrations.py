import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from benchmarks.support.rows import table_rows
from fastapi_lens.errors import SchemaTooNewError, StorageError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema import migrations
from fastapi_lens.storage.schema.migrations import STEPS, WRITTEN_AS, migrate, session_salt
from fastapi_lens.storage.schema.models import lens_metadata
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDED_SESSION,
    EXCEPTIONS_COUNTED_SINCE,
    INBOX,
    META,
    SCHEMA_STEP,
    SCHEMA_VERSION,
    SETTING,
    WORKER,
)
from fastapi_lens.text.methods import MAX_METHOD_LENGTH
from tests.storage.conftest import Together
from tests.storage.processes import die_in_a_migration, make_tables

TABLES = {
    f"lens_{name}"
    for name in (
        *("endpoint", "bucket", "status", "worker", "inbox", "lease", "meta"),
        *("request", "failure", "setting", "audit", "throttle"),
        *("ended_session", "release", "observed", "gone"),
        *("caller", "use", "use_week", "failure_count"),
    )
}


def tables_in(database: Database) -> set[str]:
    with database.read() as connection:
        return set(sa.inspect(connection).get_table_names())


def set_version(database: Database, version: int) -> None:
    with database.write() as connection:
        connection.execute(sa.delete(META).where(META.c.name == SCHEMA_STEP))
        connection.execute(
            sa.update(META).where(META.c.name == SCHEMA_VERSION).values(value=str(version))
        )


def test_an_empty_database_gets_the_tables_of_the_lens_and_no_others(database: Database) -> None:
    assert tables_in(database) == TABLES
    facts = table_rows(database, META)
    found = {row.name: row.value for row in facts}
    since = int(found.pop(EXCEPTIONS_COUNTED_SINCE)) / 1e6
    assert time.time() - 60 < since <= time.time()
    assert found == {
        "schema_version": str(WRITTEN_AS),
        "schema_step": str(len(STEPS)),
        "session_salt": session_salt(database).hex(),
    }
    migrate(database)
    assert table_rows(database, META) == facts


def test_twelve_processes_may_start_at_once(database_url: str, together: Together) -> None:
    together(make_tables, [(database_url,)] * 12)
    database = Database(database_url)
    assert tables_in(database) == TABLES
    assert len(table_rows(database, META)) == 4
    database.close()


def test_every_database_has_a_salt_of_its_own() -> None:
    databases = [Database("sqlite://") for _ in range(2)]
    for database in databases:
        migrate(database)
    salts = [session_salt(database) for database in databases]
    assert salts[0] != salts[1]
    assert [len(salt) for salt in salts] == [16, 16]
    for database in databases:
        database.close()


def test_a_salt_that_is_not_there_yet_is_a_storage_error() -> None:
    database = Database("sqlite://")
    with pytest.raises(StorageError):
        session_salt(database)
    database.close()


def test_a_database_of_a_newer_release_is_left_alone(database: Database) -> None:
    set_version(database, len(STEPS) + 2)
    before = table_rows(database, META)
    with pytest.raises(SchemaTooNewError, match="upgrade fastapi_lens on this host") as caught:
        migrate(database)
    assert (caught.value.found, caught.value.known) == (len(STEPS) + 2, len(STEPS))
    assert table_rows(database, META) == before


def test_an_older_database_takes_the_missing_steps_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_column(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE lens_worker ADD COLUMN region VARCHAR(20)")

    salt = session_salt(database)
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, add_column))
    migrate(database)
    migrate(database)
    with database.read() as connection:
        columns = {column["name"] for column in sa.inspect(connection).get_columns("lens_worker")}
    assert "region" in columns
    assert session_salt(database) == salt
    assert ("schema_step", str(len(STEPS) + 1)) in {
        (row.name, row.value) for row in table_rows(database, META)
    }


def test_a_database_of_the_first_schema_gets_the_log_the_settings_and_their_column(
    database: Database,
) -> None:
    with database.write() as connection:
        for name in ("request", "failure", "setting", "audit", "throttle", "ended_session"):
            connection.exec_driver_sql(f"DROP TABLE lens_{name}")
        connection.exec_driver_sql("ALTER TABLE lens_worker DROP COLUMN log_seq")
    set_version(database, 1)
    migrate(database)
    assert tables_in(database) == TABLES
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.sum(WORKER.c.log_seq))).scalar() is None


def test_a_database_of_the_second_schema_gets_the_sessions_that_were_logged_out(
    database: Database,
) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("DROP TABLE lens_ended_session")
        for name in ("sessions", "retention"):
            row = {"app": "one", "name": name, "value": "{}", "version": 1}
            connection.execute(SETTING.insert(), row)
    set_version(database, 2)
    migrate(database)
    assert tables_in(database) == TABLES
    assert table_rows(database, ENDED_SESSION) == []
    # The sessions of before are all over: the section that told of their ends says nothing more.
    assert [row.name for row in table_rows(database, SETTING)] == ["retention"]


def test_a_database_of_a_development_version_takes_batches_again(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql(
            f"ALTER TABLE {INBOX.name} ADD COLUMN written_at BIGINT DEFAULT 0 NOT NULL"
        )
        # The step that created the column was the seventh.
        connection.execute(sa.update(META).where(META.c.name == SCHEMA_STEP).values(value="7"))
    migrate(database)
    with database.read() as connection:
        columns = {one["name"] for one in sa.inspect(connection).get_columns(INBOX.name)}
    assert columns == set(INBOX.c.keys())


@pytest.mark.parametrize("row_format", ["compact", "redundant"])
def test_names_fit_into_keys_whatever_format_of_rows_a_server_takes_by_default(
    mariadb_url: str, row_format: str
) -> None:
    database = Database(mariadb_url)
    setting = "SET GLOBAL innodb_default_row_format"
    with database.write() as connection:
        connection.exec_driver_sql(f"{setting} = {row_format}")
    try:
        migrate(database)
        assert tables_in(database) == TABLES
        # A table of workers that an earlier release made there.
        with database.write() as connection:
            for index in WORKER.indexes:
                connection.exec_driver_sql(f"DROP INDEX {index.name} ON lens_worker")
            connection.exec_driver_sql(f"ALTER TABLE lens_worker ROW_FORMAT={row_format}")
        set_version(database, 3)
        migrate(database)
    finally:
        with database.write() as connection:
            connection.exec_driver_sql(f"{setting} = dynamic")
    with database.read() as connection:
        indexes = {one["name"]: one for one in sa.inspect(connection).get_indexes("lens_worker")}
    names = {index.name for index in WORKER.indexes}
    assert names <= indexes.keys()
    # Whole names: an index of their beginnings is in no order that a question could use.
    assert not any(indexes[str(name)].get("dialect_options", {}) for name in names)
    database.close()


def test_a_database_of_the_second_schema_gets_columns_for_long_methods(server_url: str) -> None:
    database = Database(server_url)
    migrate(database)
    with database.write() as connection:
        for table in ("lens_endpoint", "lens_request"):
            change = {
                "postgresql": f"ALTER TABLE {table} ALTER COLUMN method TYPE VARCHAR(16)",
                "mysql": f"ALTER TABLE {table} MODIFY method VARCHAR(16) NOT NULL",
            }[connection.dialect.name]
            connection.exec_driver_sql(change)
    set_version(database, 2)
    migrate(database)
    with database.read() as connection:
        for table in ("lens_endpoint", "lens_request"):
            found = {one["name"]: one for one in sa.inspect(connection).get_columns(table)}
            assert getattr(found["method"]["type"], "length", None) == MAX_METHOD_LENGTH
            assert found["method"]["nullable"] is False
    database.close()


def test_a_step_that_fails_leaves_the_version_where_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE no_such_table ADD COLUMN x INTEGER")

    before = table_rows(database, META)
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, fail))
    with pytest.raises(StorageError, match="no_such_table"):
        migrate(database)
    assert table_rows(database, META) == before


# Between a table and its index; between the facts and the version.
@pytest.mark.parametrize("statement", [3, 9])
def test_a_process_that_is_killed_in_a_migration_leaves_it_to_the_next(
    database_url: str, fork_server: ForkServerContext, statement: int
) -> None:
    process = fork_server.Process(target=die_in_a_migration, args=(database_url, statement))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    database = Database(database_url)
    migrate(database)
    assert tables_in(database) == TABLES
    with database.read() as connection:
        indexes = sa.inspect(connection).get_indexes("lens_endpoint")
    assert sorted(index["column_names"] for index in indexes) == [["app"], ["shape_id"]]
    assert len(session_salt(database)) == 16
    database.close()


def test_steps_that_are_interrupted_go_on_where_they_were(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    interruptions = [LookupError()]

    def second(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS lens_second (x INTEGER)")

    def third(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS lens_third (x INTEGER)")
        if interruptions:
            raise interruptions.pop()

    monkeypatch.setattr(migrations, "STEPS", (*STEPS, second, third))
    with pytest.raises(LookupError):
        migrate(database)
    migrate(database)
    assert tables_in(database) == TABLES | {"lens_second", "lens_third"}


def test_the_tables_are_the_same_whatever_a_mariadb_takes_by_default(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    migrate(database)
    with database.read() as connection:
        found = connection.execute(
            sa.text(
                "SELECT DISTINCT engine, table_collation FROM information_schema.tables "
                "WHERE table_schema = database()"
            )
        ).all()
    assert found == [("InnoDB", "utf8mb4_bin")]
    database.close()


def test_a_database_that_cannot_be_opened_is_a_storage_error() -> None:
    with pytest.raises(StorageError):
        migrate(Database("sqlite:////no/such/folder/lens.db"))


def test_the_hosts_metadata_never_learns_of_our_tables() -> None:
    assert not TABLES & set(SQLModel.metadata.tables)
    assert set(lens_metadata.tables) == TABLES
    engine = sa.create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    assert not TABLES & set(sa.inspect(engine).get_table_names())
    engine.dispose()


def test_every_whole_number_is_wide_enough_for_microseconds_and_big_sums() -> None:
    narrow = {
        str(column)
        for table in lens_metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, sa.Integer) and not isinstance(column.type, sa.BigInteger)
    }
    tiers = {"lens_bucket.tier", "lens_failure_count.tier"}
    assert narrow == tiers | {"lens_status.status", "lens_request.status"}


def test_the_buckets_of_sqlite_lie_in_their_primary_key_alone(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/lens.db")
    migrate(database)
    with database.read() as connection:
        statement = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE name = 'lens_bucket'"
        ).scalar_one()
        indexes = sa.inspect(connection).get_indexes(BUCKET.name)
    assert "WITHOUT ROWID" in statement
    assert indexes == []
    database.close()


def test_a_database_that_is_made_anew_keeps_the_salt_that_the_workers_have(tmp_path: Path) -> None:
    file = tmp_path / "lens.db"
    maker, other, newcomer = (Database(f"sqlite:///{file}") for _ in range(3))
    migrate(maker)
    migrate(other)
    salt = session_salt(maker)
    for worker in (other, maker):
        file.unlink()
        migrate(worker)
        assert session_salt(newcomer) == salt
    for database in (maker, other, newcomer):
        database.close()
