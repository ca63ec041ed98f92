"""Nobody is inside of SQLite while the process forks."""

import threading
from pathlib import Path

import pytest

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.fork_gate import ForkGate

pytestmark = pytest.mark.unit


def kept_out(gate: ForkGate, entered: threading.Event) -> threading.Thread:
    """A thread that waits at a held gate, and says when it has entered."""

    def enter() -> None:
        with gate.entered():
            entered.set()

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    assert not entered.wait(0.05)
    return thread


def test_whoever_holds_a_gate_keeps_others_out_until_it_lets_go() -> None:
    gate, entered = ForkGate(), threading.Event()
    assert gate.hold(timeout_seconds=1)
    thread = kept_out(gate, entered)
    gate.let_go()
    thread.join(10)
    assert entered.is_set()


def test_a_gate_is_held_only_once_everybody_has_left() -> None:
    gate, inside, leave = ForkGate(), threading.Event(), threading.Event()

    def stay() -> None:
        with gate.entered():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay, daemon=True)
    thread.start()
    assert inside.wait(10)
    assert not gate.hold(timeout_seconds=0.02)
    leave.set()
    assert gate.hold(timeout_seconds=10)
    thread.join(10)


def test_two_threads_may_hold_a_gate_at_once_and_the_last_one_opens_it() -> None:
    gate, entered = ForkGate(), threading.Event()
    assert [gate.hold(timeout_seconds=0), gate.hold(timeout_seconds=0)] == [True, True]
    gate.let_go()
    thread = kept_out(gate, entered)
    gate.let_go()
    assert entered.wait(10)
    thread.join(10)


def test_a_transaction_that_does_not_end_holds_a_fork_up_no_longer_than_it_may(
    tmp_path: Path,
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    with database.read():
        assert not database.hold(timeout_seconds=0.01)
        database.let_go()
    assert database.hold(timeout_seconds=0.01)
    database.let_go()
    database.close()


def test_a_fork_waits_for_no_server() -> None:
    database = Database("postgresql+psycopg://lens@127.0.0.1:9/none")
    assert database.hold(timeout_seconds=0)
    database.let_go()
    database.close()
