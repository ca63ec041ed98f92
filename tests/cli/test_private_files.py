"""Files with what an application is asked for are their owner's alone, and no link leads away."""

import os
import stat
from pathlib import Path

import pytest

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.sqlite_file import DatabaseFile, make_private
from fastapi_lens.storage.schema.migrations import migrate
from tests.cli.helpers import fill, run, url_of


@pytest.fixture
def filled(tmp_path: Path) -> str:
    url = url_of(tmp_path / "lens.db")
    fill(url, [])
    return url


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_what_is_written_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        file = tmp_path / "lens.db"
        database = Database(url_of(file))
        migrate(database)
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE lens_x (x)")
            modes = {one.name: mode(one) for one in tmp_path.iterdir()}
        database.close()
        for arguments in (("export", "out.jsonl.gz"), ("report", "--output", "report.csv")):
            *command, name = arguments
            fill(url_of(file), [])
            assert run(*command, tmp_path / name, "--database", file).exit_code == 0
            modes[name] = mode(tmp_path / name)
    finally:
        os.umask(before)
    assert set(modes) == {"lens.db", "lens.db-wal", "lens.db-shm", "out.jsonl.gz", "report.csv"}
    assert set(modes.values()) == {0o600}


def test_a_file_that_is_there_keeps_its_permissions(filled: str, tmp_path: Path) -> None:
    report, export = tmp_path / "report.txt", tmp_path / "out.jsonl"
    for file in (report, export):
        file.write_text("replaced")
        file.chmod(0o640)
    (tmp_path / "lens.db").chmod(0o660)

    assert run("report", "--output", report, "--database", filled).exit_code == 0
    assert run("export", export, "--database", filled).exit_code == 2
    assert export.read_text() == "replaced"
    assert run("export", export, "--overwrite", "--database", filled).exit_code == 0

    assert "replaced" not in report.read_text() + export.read_text()
    assert {mode(report), mode(export)} == {0o640}
    assert mode(tmp_path / "lens.db") == 0o660


@pytest.mark.parametrize("command", [("export", "--overwrite"), ("report", "--output")])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_written_through_a_link(
    filled: str, tmp_path: Path, command: tuple[str, ...], *, there: bool
) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    if there:
        victim.write_text("precious")
    link.symlink_to(victim)

    result = run(*command, link, "--database", filled)

    assert (result.exit_code, f"{link} is a link" in result.stderr) == (2, True)
    assert victim.exists() is there
    assert not there or victim.read_text() == "precious"


def test_nobody_can_guess_where_an_export_is_written_first(filled: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("out.jsonl.part", ".out.jsonl.part"):
        (tmp_path / name).symlink_to(victim)

    assert run("export", tmp_path / "out.jsonl", "--database", filled).exit_code == 0

    assert victim.read_text() == "precious"
    assert not (tmp_path / "out.jsonl").is_symlink()


def test_a_device_is_written_to_as_it_is(filled: str, tmp_path: Path) -> None:
    for name in ("null", "full"):
        result = run("report", "--output", f"/dev/{name}", "--database", filled)
        assert result.exit_code == (0 if name == "null" else 1)
        assert stat.S_ISCHR(Path(f"/dev/{name}").stat().st_mode)


def test_no_database_is_made_where_something_is_already(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("link", "file"):
        (tmp_path / "file").touch()
        with pytest.raises(FileExistsError):
            make_private(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_the_file_after_a_damaged_one_is_open_to_the_same_people(tmp_path: Path) -> None:
    file = tmp_path / "lens.db"
    file.write_bytes(b"garbage " * 1_000)
    file.chmod(0o660)

    assert DatabaseFile(file).set_aside()

    assert {mode(one) for one in tmp_path.iterdir()} == {0o660}
