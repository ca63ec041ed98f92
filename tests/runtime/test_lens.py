import atexit
import gc
import logging
import os
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI

from fastapi_lens import LensConfig
from fastapi_lens.errors import StorageError
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.settings.status import Thresholds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.settings import Stored, write_section


def lens_on(database: Path, **settings: object) -> Lens:
    return Lens(LensConfig(db_path=str(database), app_name="app", **settings))  # type: ignore[arg-type]


def calls_in(database: Path) -> dict[str, int]:
    lens = lens_on(database)
    found = lens.reader.endpoints(window=Window(), now=lens.clock())
    lens.stop()
    return {one.path: one.usage.calls for one in found}


def count(lens: Lens, path: str = "/x", calls: int = 1) -> None:
    for _ in range(calls):
        lens.recorder.count(method="GET", path=path, status=200, duration_ns=1_000_000)


def test_a_lens_that_was_never_used_makes_no_file(tmp_path: Path) -> None:
    lens = lens_on(tmp_path / "lens.db")
    lens.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_lens_starts_again_after_it_was_stopped(tmp_path: Path) -> None:
    lens = lens_on(tmp_path / "lens.db")
    for _ in range(2):
        lens.begin(FastAPI(), lifespan=True)
        lens.begin(FastAPI())
        count(lens)
        anyio.run(lens.end)
    assert calls_in(tmp_path / "lens.db") == {"/x": 2}


def test_what_holds_at_every_start_is_logged_at_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "fastapi_lens")
    lens = lens_on(tmp_path / "lens.db")
    for _ in range(3):
        lens.begin(FastAPI())
        count(lens)
        lens.stop()
    assert caplog.text.count("gets no lifespan events") == 1
    assert caplog.text.count("has no report_key") == 1


def test_a_lens_that_is_gone_is_asked_nothing_at_a_fork_or_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks: list[Any] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **given: hooks.extend(given.values()))
    monkeypatch.setattr(atexit, "register", hooks.append)
    lens = lens_on(tmp_path / "lens.db")
    lens.begin(FastAPI(), lifespan=True)
    lens.stop()

    gone = weakref.ref(lens)
    del lens
    gc.collect()
    assert gone() is None
    assert [hook() for hook in hooks] == [None] * 4


def test_the_name_comes_from_the_settings_or_from_the_application() -> None:
    named, unnamed = Lens(LensConfig(app_name="shop")), Lens(LensConfig())
    for lens in (named, unnamed):
        lens.discover(FastAPI(title="Title"))
    assert (named.title, unnamed.title) == ("shop", "Title")


def test_counts_that_cannot_be_written_at_the_end_are_named_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lens = lens_on(tmp_path / "lens.db")
    count(lens, calls=3)

    def down(self: Database) -> None:
        raise StorageError("down")

    monkeypatch.setattr(Database, "write", down)
    monkeypatch.setattr(Database, "read", down)
    with caplog.at_level(logging.ERROR, "fastapi_lens"):
        lens.stop()
    assert "could not write 3 calls" in caplog.text


def test_counts_that_no_flush_has_taken_are_named_in_the_log_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lens = lens_on(tmp_path / "lens.db")
    count(lens, calls=2)
    lens.flusher.collect()
    count(lens, calls=40)  # Of which some are folded and some are not.
    # As it is where the thread hangs in the database for longer than the host may wait.
    monkeypatch.setattr(lens.flusher, "stop", lambda: False)
    with caplog.at_level(logging.ERROR, "fastapi_lens"):
        lens.stop()
    assert "could not write 42 calls" in caplog.text


def test_a_fault_while_stopping_does_not_reach_the_hosts_shutdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lens = lens_on(tmp_path / "lens.db")
    count(lens, calls=2)

    def fail(**_: object) -> bool:
        raise LookupError("ours")

    monkeypatch.setattr(lens.flusher, "flush", fail)
    lens.stop()
    assert "failed to stop" in caplog.text


def test_a_long_title_is_cut_to_what_the_tables_hold() -> None:
    lens = Lens(LensConfig())
    lens.discover(FastAPI(title="x" * 300))
    assert lens.title == "x" * 200


def test_a_title_or_release_that_no_database_can_store_keeps_nothing_from_being_written() -> None:
    lens = Lens(LensConfig(db_path=":memory:", release="1\0\ud800"))
    lens.discover(FastAPI(title="Bücher \ud800\0"))
    count(lens, calls=2)
    assert lens.title == "Bücher ?\N{REPLACEMENT CHARACTER}"
    assert lens.flusher.flush()
    assert [one.release for one in lens.reader.workers(lens.clock())] == [
        "1\N{REPLACEMENT CHARACTER}?"
    ]
    lens.stop()


def test_what_is_attached_is_made_once_and_not_after_an_error() -> None:
    lens = Lens(LensConfig())
    made: list[int] = []

    def make() -> Path:
        made.append(1)
        if len(made) == 1:
            raise StorageError("not yet")
        return Path()

    with pytest.raises(StorageError):
        lens.get_or_create(Path, make)
    assert lens.get_or_create(Path, make) is lens.get_or_create(Path, make)
    assert len(made) == 2


def test_an_endpoint_that_was_never_called_goes_when_no_living_worker_has_it(
    tmp_path: Path,
) -> None:
    def app_with(*paths: str) -> FastAPI:
        app = FastAPI()
        for path in paths:
            app.add_api_route(path, lambda: 1)
        return app

    def seen_by(lens: Lens) -> set[str]:
        found = lens.reader.endpoints(window=Window(), now=lens.clock())
        return {one.path for one in found}

    old = lens_on(tmp_path / "lens.db")
    old.discover(app_with("/kept", "/removed", "/removed-but-called"))
    count(old, "/removed-but-called")
    assert old.flusher.flush()
    new = lens_on(tmp_path / "lens.db")
    new.discover(app_with("/kept", "/added"))
    assert new.flusher.flush()
    everything = {"/kept", "/removed", "/removed-but-called", "/added"}
    assert seen_by(new) == everything  # A rolling release: the old worker still has it.
    old.stop()
    assert seen_by(new) == everything - {"/removed"}
    new.stop()
    assert seen_by(new) == everything  # Nobody lives who could tell.
    new.stop()  # Asking has opened the database again.


FORKING = """
    import os, sys
    from fastapi import FastAPI
    from fastapi_lens.config.lens_config import LensConfig
    from fastapi_lens.runtime.lens import Lens

    lens = Lens(LensConfig(db_path=sys.argv[1], app_name="app", flush_interval=3600))
    lens.begin(FastAPI(), lifespan=True)

    def count(calls):
        for _ in range(calls):
            lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)

    count(3)
    child = os.fork()
    if child == 0:
        assert not lens.started
        lens.begin(FastAPI(), lifespan=True)
        count(2)
        sys.exit(0)     # the interpreter's end writes the rest
    os.waitpid(child, 0)
    count(4)
    lens.stop()
"""


def test_a_forked_child_counts_for_itself_and_takes_nothing_along(tmp_path: Path) -> None:
    program = tmp_path / "forking.py"
    program.write_text(textwrap.dedent(FORKING))
    database = tmp_path / "lens.db"
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", program, database], capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert calls_in(database) == {"/x": 9}


def test_the_end_of_the_interpreter_writes_what_is_pending(tmp_path: Path) -> None:
    program = tmp_path / "ending.py"
    program.write_text(
        textwrap.dedent(
            """
            import sys
            from fastapi import FastAPI
            from fastapi_lens.config.lens_config import LensConfig
            from fastapi_lens.runtime.lens import Lens

            lens = Lens(LensConfig(db_path=sys.argv[1], app_name="app", flush_interval=3600))
            lens.begin(FastAPI(), lifespan=True)
            lens.recorder.count(method="GET", path="/x", status=200, duration_ns=1)
            """
        )
    )
    subprocess.run([sys.executable, program, tmp_path / "lens.db"], check=True)
    assert calls_in(tmp_path / "lens.db") == {"/x": 1}


def test_a_lens_that_is_gone_is_not_kept_by_the_interpreter(tmp_path: Path) -> None:
    program = tmp_path / "gone.py"
    program.write_text(
        textwrap.dedent(
            """
            import gc, os
            from fastapi import FastAPI
            from fastapi_lens.config.lens_config import LensConfig
            from fastapi_lens.runtime.lens import Lens

            lens = Lens(LensConfig(db_path=":memory:"))
            lens.begin(FastAPI(), lifespan=True)
            lens.stop()
            del lens
            gc.collect()
            if os.fork():
                os.wait()
            """
        )
    )
    subprocess.run([sys.executable, "-W", "ignore", program], check=True)


def test_a_retention_that_changes_while_the_app_runs_holds_for_reading_and_deleting(
    tmp_path: Path,
) -> None:
    day = 86_400
    now = 1_773_014_400.0
    at = now - 20 * day
    lens = Lens(LensConfig(db_path=str(tmp_path / "lens.db"), ttl_days=90), clock=lambda: at)
    count(lens)
    assert lens.flusher.flush()
    while at < now:
        at += day
        assert lens.flusher.flush()

    def calls(seconds: int) -> tuple[int, int]:
        (found,) = lens.reader.endpoints(window=Window(seconds), now=now)
        return found.usage.calls, found.total_calls

    # Hours reach back so far; then only weeks do, and the call is in the first one.
    assert calls(20 * day - 7_200) == (0, 1)
    lens.retention.ttl_days = 7
    assert calls(20 * day - 7_200) == (1, 1)
    assert lens.flusher.prune() > 0
    lens.retention.ttl_days = 90
    assert calls(30 * day) == (0, 1)
    lens.stop()


def test_settings_that_are_stored_are_in_force_after_the_next_flush(tmp_path: Path) -> None:
    lens = Lens(LensConfig(db_path=str(tmp_path / "lens.db"), ttl_days=90))
    assert lens.flusher.flush()
    entry = AuditEntry(at_us=0, actor="", client="", action="save")
    for name, values in (
        ("retention", {"ttl_days": 7}),
        ("thresholds", {"cold_threshold_days": 2}),
    ):
        assert write_section(lens.database, lens.app_name, name, Stored(values, 0), entry)
    assert lens.settings.config.ttl_days == 90
    assert lens.flusher.flush()
    assert (lens.settings.config.ttl_days, lens.retention.ttl_days) == (7, 7)
    assert lens.settings.thresholds == Thresholds(2, 30)
    lens.stop()


def test_settings_that_cannot_be_read_stay_and_hold_no_count_up(tmp_path: Path) -> None:
    lens = lens_on(tmp_path / "lens.db")
    assert lens.flusher.flush()
    with lens.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE lens_setting")
    before = lens.settings
    count(lens)
    assert lens.flusher.flush()
    assert lens.settings is before
    assert lens.flusher.pending_calls == 0
    lens.stop()
