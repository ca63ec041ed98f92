"""Which workers of this host are told as killed, and which are left alone."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.support.rows import table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens.recording.flush import processes
from fastapi_lens.recording.flush.processes import is_gone, new_id, report_killed
from fastapi_lens.storage.coordination.heartbeat import Neighbour, beat
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import WORKER


@pytest.fixture
def sqlite_database() -> Iterator[Database]:
    made = Database("sqlite://")
    migrate(made)
    yield made
    made.close()


NOW_US = 1_773_014_400_000_000
MINUTE_US = 60_000_000
HERE, ELSEWHERE, BEFORE = "a" * 12, "b" * 12, "c" * 12
"""Prefixes of ids: in this boot and namespace, in another namespace, and before a reboot."""


def id_of(place: str, *, started: int = 500) -> str:
    return f"{place}{started:08x}{0:012x}"


def proc(folder: Path, *, pid: int = 7, started: int = 500, state: str = "S") -> Path:
    """A folder that tells of this process and of one more."""
    for name in ("self/ns", str(pid), "sys/kernel/random"):
        (folder / name).mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text("boot-1\n")
    (folder / "self/ns/pid").symlink_to("pid:[4026531836]")
    rest = " ".join(["0"] * 18)
    (folder / "self/stat").write_text(f"1 (web (1) server) S {rest} 900 0 0")
    (folder / f"{pid}/stat").write_text(f"{pid} (a) b) {state} {rest} {started} 0")
    return folder


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number is that of a process."""
    monkeypatch.setattr(os, "kill", lambda _pid, _signal: None)


def test_an_id_tells_boot_namespace_and_start_and_is_never_given_twice(tmp_path: Path) -> None:
    one, other = new_id(proc(tmp_path)), new_id(tmp_path)
    assert (one[:12], one[12:20], len(one)) == (other[:12], f"{900:08x}", 32)
    assert one != other
    assert len({new_id()[:20] for _ in range(5)}) == 1
    unknown = [new_id(tmp_path / "none") for _ in range(2)]
    assert unknown[0][:12] != unknown[1][:12]


@pytest.mark.usefixtures("alive")
@pytest.mark.parametrize(
    ("place", "started", "gone"),
    [
        (HERE, 500, False),
        (HERE, 400, True),  # The number is another process's by now.
        (ELSEWHERE, 500, None),  # Another container, another host of this name.
        (BEFORE, 500, None),
    ],
)
def test_a_number_means_something_in_the_same_boot_and_namespace_only(
    place: str, started: int, gone: object, tmp_path: Path
) -> None:
    other = Neighbour(id_of(place, started=started), 7, is_silent=False)
    assert is_gone(other, id_of(HERE, started=900), proc(tmp_path)) is gone


@pytest.mark.usefixtures("alive")
def test_a_process_that_nobody_has_waited_for_is_gone(tmp_path: Path) -> None:
    other = Neighbour(id_of(HERE), 7, is_silent=False)
    assert is_gone(other, id_of(HERE, started=900), proc(tmp_path, state="Z"))


@pytest.mark.usefixtures("alive")
def test_a_process_that_is_hidden_is_there(tmp_path: Path) -> None:
    other = Neighbour(id_of(HERE), 8, is_silent=True)
    assert is_gone(other, id_of(HERE, started=900), proc(tmp_path)) is False


def test_a_process_that_does_not_run_is_gone_and_its_parent_is_not() -> None:
    mine = new_id()
    child = subprocess.Popen(["true"])
    child.wait()
    assert is_gone(Neighbour(mine, child.pid, is_silent=False), mine)
    assert not is_gone(Neighbour(mine, os.getpid(), is_silent=True), mine)


def test_a_process_of_somebody_else_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    other = Neighbour(id_of(HERE), 7, is_silent=True)
    assert not is_gone(other, id_of(HERE, started=900), proc(tmp_path))


def heard_of(database: Database, facts: WorkerFacts, *, ago_us: int) -> None:
    at_us = NOW_US - ago_us
    Writer(database, facts).register([], applied=0, now_us=at_us)
    beat(database, facts, Heartbeat(now_us=at_us, complete_to_us=at_us))


def killed(database: Database) -> set[str]:
    return {row.id for row in table_rows(database, WORKER) if row.killed}


MINE = replace(worker(id_of(HERE, started=900)), pid=1)
NEIGHBOUR = replace(worker(id_of(ELSEWHERE)), pid=1)


def test_two_containers_with_one_host_name_are_told_apart(sqlite_database: Database) -> None:
    heard_of(sqlite_database, NEIGHBOUR, ago_us=5_000_000)
    assert report_killed(sqlite_database, MINE, now_us=NOW_US, reached_seconds=3_600)
    assert killed(sqlite_database) == set()


def test_the_container_before_this_one_is_told_as_killed_once_it_is_silent(
    sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    heard_of(sqlite_database, NEIGHBOUR, ago_us=2 * MINUTE_US)
    # It may only be back in a moment, as this process is, where the database was away.
    assert report_killed(sqlite_database, MINE, now_us=NOW_US, reached_seconds=1)
    assert killed(sqlite_database) == set()
    assert not report_killed(sqlite_database, MINE, now_us=NOW_US, reached_seconds=31)
    assert killed(sqlite_database) == {NEIGHBOUR.id}
    assert "worker 1 of orders was killed" in caplog.text


def test_a_worker_before_a_reboot_is_told_as_killed_though_its_number_is_taken(
    sqlite_database: Database,
) -> None:
    heard_of(sqlite_database, replace(NEIGHBOUR, id=id_of(BEFORE)), ago_us=2 * MINUTE_US)
    assert not report_killed(sqlite_database, MINE, now_us=NOW_US, reached_seconds=31)
    assert killed(sqlite_database) == {id_of(BEFORE)}


def test_the_log_names_a_few_of_many_that_were_killed(
    sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(processes.MOST_NAMED + 2):
        name = f"spot-{number}"
        heard_of(sqlite_database, replace(NEIGHBOUR, id=name), ago_us=2 * MINUTE_US)
    report_killed(sqlite_database, MINE, now_us=NOW_US, reached_seconds=31)
    assert caplog.text.count("was killed") == processes.MOST_NAMED
    assert "2 more workers of this host were killed, too" in caplog.text
