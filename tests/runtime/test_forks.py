"""A fork is quick whatever the database does, and the child counts for itself."""

import json
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from benchmarks.support.proxy import Proxy
from fastapi_lens import LensConfig
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens

FORKING = """
    import concurrent.futures, json, multiprocessing, os, subprocess, sys, threading, time
    from fastapi import FastAPI
    from fastapi_lens.config.lens_config import LensConfig
    from fastapi_lens.runtime.lens import Lens

    lens = Lens(LensConfig(database_url=sys.argv[1], app_name="app", flush_interval=0.05))
    begun, ended, flush = [], [], lens.flusher.flush

    def noted(**options):
        begun.append(1)
        written = flush(**options)
        ended.append(1)
        return written

    lens.flusher.flush = noted
    lens.begin(FastAPI(), lifespan=True)

    def count(path, calls=1):
        for _ in range(calls):
            lens.recorder.count(method="GET", path=path, status=200, duration_ns=1)

    def until(look):
        while not look():
            time.sleep(0.01)

    def in_child():
        lens.begin(FastAPI(), lifespan=True)
        count("/child")

    def fork():
        child = os.fork()
        if child == 0:
            in_child()
            sys.exit(0)
        return lambda: os.waitpid(child, 0)

    def start_process():
        child = multiprocessing.get_context("fork").Process(target=in_child)
        child.start()
        return child.join

    def submit_to_pool():
        pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
        pool.submit(in_child)
        return pool.shutdown

    def run_program():
        child = subprocess.Popen(["true"], preexec_fn=lambda: None)
        return child.wait

    WAYS = (fork, start_process, submit_to_pool, run_program)
    # The second flush comes after the first visit of the deletion, and the next one in a minute.
    until(lambda: len(ended) >= 2)
"""


def calls_in(url: str) -> dict[str, int]:
    lens = Lens(LensConfig(database_url=url, app_name="app"))
    found = lens.reader.endpoints(window=Window(), now=lens.clock())
    lens.stop()
    return {one.path: one.usage.calls for one in found}


HUNG = """
    print("ready", flush=True)
    sys.stdin.readline()
    count("/parent")
    until(lambda: len(begun) > len(ended))
    hanging = len(ended)
    ends = [way() for way in WAYS]
    print(json.dumps(len(ended) == hanging), flush=True)
    sys.stdin.readline()
    for end in ends:
        end()
    lens.stop()
"""


def forks_at_once(url: str, *, hang: Callable[[], object], go_on: Callable[[], object]) -> bool:
    """Fork in four ways while the database hangs; True if a flush hung longer than all took."""
    text = textwrap.dedent(FORKING) + textwrap.dedent(HUNG)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", text, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            hang()
            print(file=child.stdin, flush=True)
            hung: bool = json.loads(child.stdout.readline())
            go_on()
            print(file=child.stdin, flush=True)
            assert child.wait(60) == 0
        except BaseException:
            child.kill()  # Else leaving this block would wait for it.
            raise
    return hung


def test_a_fork_does_not_wait_for_a_file_that_somebody_keeps_locked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lens.db'}"
    with closing(sqlite3.connect(tmp_path / "lens.db", isolation_level=None)) as other:
        assert forks_at_once(
            url,
            hang=lambda: other.execute("BEGIN IMMEDIATE"),
            go_on=lambda: other.execute("ROLLBACK"),
        )
    assert calls_in(url) == {"/parent": 1, "/child": 3}


def test_a_fork_in_the_middle_of_reads_leaves_the_child_no_lock(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'lens.db'}"
    program = """
        from fastapi_lens.reporting.model import Window
        done = threading.Event()

        def ask():
            while not done.is_set():
                lens.reader.endpoints(window=Window(), now=lens.clock())

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for end in [fork() for _ in range(4)]:
            assert end()[1] == 0
        done.set()
        for thread in threads:
            thread.join()
        lens.stop()
    """
    text = textwrap.dedent(FORKING) + textwrap.dedent(program)
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", text, url], check=False, timeout=60)
    assert ran.returncode == 0
    assert calls_in(url) == {"/child": 4}


@pytest.mark.unmeasured
def test_a_fork_does_not_wait_for_a_server_that_hangs(postgres_url: str) -> None:
    direct = make_url(postgres_url)
    with Proxy(direct.port or 5432) as proxy:
        through = direct.set(host="127.0.0.1", port=proxy.port)
        url = through.render_as_string(hide_password=False)
        assert forks_at_once(url, hang=proxy.stall, go_on=proxy.go_on)
    assert calls_in(postgres_url) == {"/parent": 1, "/child": 3}
