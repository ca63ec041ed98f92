"""The suite's PostgreSQL: empty databases, gone afterwards, also from the wheel's programs."""

from pathlib import Path

import psycopg
import pytest

from benchmarks.support.postgres import (
    NoPostgresError,
    PostgresServer,
    find_programs,
    packaged_programs,
)


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def tables(url: str) -> list[str]:
    with connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return [name for (name,) in rows]


def test_each_database_is_empty_and_its_own(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    other = postgres_server.create_database()
    with connect(other) as connection:
        connection.execute("CREATE TABLE something (id bigint)")

    assert tables(other) == ["something"]
    assert tables(postgres_url) == []

    with connect(other):  # dropped although somebody is connected
        postgres_server.drop_database(other)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(other)


@pytest.mark.postgres
def test_the_programs_of_the_wheel_work_where_there_are_none_of_the_system() -> None:
    (programs,) = packaged_programs()

    with PostgresServer(programs) as server:
        assert tables(server.create_database()) == []


def test_a_missing_postgresql_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LENS_TEST_PG_BIN", str(tmp_path))

    with pytest.raises(NoPostgresError, match="make setup"):
        find_programs()
