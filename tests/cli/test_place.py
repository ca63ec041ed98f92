"""Which database a command takes, and what it says of one that it cannot use."""

import runpy
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

import fastapi_lens
from benchmarks.support.ports import free_port
from benchmarks.support.rows import delta
from fastapi_lens import __main__ as program
from fastapi_lens.storage.schema.tables import META
from tests.cli.helpers import change, fill, run, url_of
from tests.support.users import unprivileged

READING = [("report",), ("export", "out.jsonl"), ("doctor",), ("purge", "--everything")]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", READING)
def test_a_missing_file_is_never_made(command: tuple[str, ...], tmp_path: Path) -> None:
    unnamed = run(*command)
    named = run(*command, "--database", "other.db")

    assert (unnamed.exit_code, named.exit_code) == (2, 3)
    assert "there is no lens.db here: name the database with --database" in unnamed.stderr
    assert f"there is no database at {tmp_path / 'other.db'}" in named.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_option_wins_over_the_environment_and_that_over_the_file_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lens", "path", "url", "option"):
        fill(url_of(tmp_path / f"{name}.db"), [delta(1)], app=name)

    def shown(*options: str) -> str:
        return run("doctor", *options).stdout.splitlines()[0].rsplit("/", 1)[1]

    assert shown() == "lens.db"
    monkeypatch.setenv("LENS_DB_PATH", "path.db")
    assert shown() == "path.db"
    monkeypatch.setenv("LENS_DATABASE_URL", url_of(tmp_path / "url.db"))
    assert shown() == "url.db"
    assert shown("--database", "option.db") == "option.db"


@pytest.mark.parametrize("command", READING)
def test_a_database_that_cannot_be_reached_ends_with_3_and_no_password(
    command: tuple[str, ...],
) -> None:
    url = f"postgresql://me:secret-1@127.0.0.1:{free_port()}/db?sslpassword=secret-2"

    done = run(*command, "--database", url)

    assert done.exit_code == 3
    assert "secret" not in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", READING)
def test_a_file_in_a_directory_that_cannot_be_entered_is_told_as_that(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither here nor there is `tmp_path`, which only its owner may enter.
    monkeypatch.chdir("/")
    with TemporaryDirectory(prefix="lens-place-", dir="/tmp") as folder:
        place = Path(folder) / "lens.db"
        fill(url_of(place), [delta(1)])
        place.parent.chmod(0o000)
        with unprivileged():
            done = run(*command, "--database", place)
        place.parent.chmod(0o755)

    assert done.exit_code == 3
    assert f"{place} cannot be read: its directory cannot be entered" in done.stderr


@pytest.mark.parametrize("url", ["oracle://me:secret@x/y", "postgresql://me:secret@x:port/y"])
def test_a_url_that_cannot_be_read_is_wrong_usage_and_not_repeated(url: str) -> None:
    done = run("report", "--database", url)

    assert (done.exit_code, "secret" in done.output) == (2, False)


@pytest.mark.parametrize("url", ["sqlite://", ":memory:"])
def test_a_database_in_memory_is_wrong_usage(url: str) -> None:
    assert run("report", "--database", url).exit_code == 2


def test_a_file_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    for name in ("text.db", "host.db"):
        (tmp_path / name).write_text("no database " * 100)
    (tmp_path / "host.db").unlink()
    with closing(sqlite3.connect(tmp_path / "host.db")) as host:
        host.execute("CREATE TABLE mine (x)")
    before = (tmp_path / "host.db").read_bytes()

    damaged, foreign = (
        run("doctor", "--database", "text.db"),
        run("doctor", "--database", "host.db"),
    )

    assert (damaged.exit_code, foreign.exit_code) == (3, 3)
    assert "cannot be read: file is not a database" in damaged.stderr
    assert "has no tables of fastapi_lens" in foreign.stderr
    assert (tmp_path / "host.db").read_bytes() == before


def test_an_empty_database_on_a_server_gets_no_tables(server_url: str) -> None:
    done = run("report", "--database", server_url)

    assert (done.exit_code, "has no tables of fastapi_lens" in done.stderr) == (3, True)


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    url = url_of(tmp_path / "lens.db")
    fill(url, [delta(1)])
    newer = sa.update(META).where(META.c.name == "schema_version").values(value="99")
    change(url, newer)

    done = run("report")

    assert (done.exit_code, "upgrade fastapi_lens" in done.stderr) == (3, True)


def test_without_typer_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)

    with pytest.raises(SystemExit) as ended:
        program.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "The command line needs Typer: pip install 'fastapi-lens-admin[cli]'\n"
    )


def test_the_package_runs_as_a_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fastapi_lens", "version"])
    monkeypatch.delitem(sys.modules, program.__name__)

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("fastapi_lens", run_name="__main__")

    assert (ended.value.code, capsys.readouterr().out) == (0, f"{fastapi_lens.__version__}\n")
