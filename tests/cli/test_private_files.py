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


@pytest.mark.parametrize(
    "command", [("export",), ("export", "--overwrite"), ("report", "--output")]
)
@pytest.mark.parametrize("form", ["/dev/fd/{}", "/proc/self/fd/{}", "/proc/{pid}/fd/{}"])
def test_an_open_pipe_is_written_to(filled: str, command: tuple[str, ...], form: str) -> None:
    reader, writer = os.pipe()
    place = form.format(writer, pid=os.getpid())
    assert run(*command, place, "--database", filled).exit_code == 0
    os.close(writer)
    with open(reader, "rb") as stream:  # noqa: PTH123  It is open already.
        assert b"/" in stream.read()


def test_an_open_file_is_neither_emptied_nor_replaced(filled: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as opened:
        place = f"/dev/fd/{opened.fileno()}"
        assert run("report", "--output", place, "--database", filled).exit_code == 0
    text = log.read_text()
    assert text.startswith("before\n")
    assert len(text) > len("before\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_standard_stream_is_written_to_by_its_name(
    filled: str, stream: str, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run("report", "--output", f"/dev/{stream}", "--database", filled)
    assert result.exit_code == 0
    assert "4 endpoints" in getattr(capfd.readouterr(), stream.removeprefix("std"))


def test_the_open_file_of_another_process_is_written_to_at_its_end(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as opened:
        place = f"/proc/{os.getpid()}/fd/{opened.fileno()}"
        monkeypatch.setattr("fastapi_lens.cli.files.os.getpid", lambda: 0)
        assert run("report", "--output", place, "--database", filled).exit_code == 0
    text = log.read_text()
    assert text.startswith("before\n")
    assert len(text) > len("before\n")


def test_a_descriptor_that_is_not_open_is_an_error_of_one_line(filled: str) -> None:
    result = run("report", "--output", "/dev/fd/999", "--database", filled)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


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
