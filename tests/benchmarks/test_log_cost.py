"""The benchmark of the request log leaves out what it says; none of its numbers is judged."""

import pytest

from benchmarks import log_cost
from benchmarks.log_cost import DEFAULT, NOT_KEPT, WITHOUT, added
from benchmarks.unlogged import unlogged
from fastapi_lens import LensMiddleware


class _Asking:
    """The shape of the middleware's method."""

    def __init__(self, taken: list[str]) -> None:
        self.taken = taken

    def __call__(self, call: str, *, kept: bool) -> str:
        recorder = _Recorder(self.taken)
        if kept:
            recorder.log.take(call)
        return call


class _Log:
    def __init__(self, taken: list[str]) -> None:
        self.take = taken.append


class _Recorder:
    def __init__(self, taken: list[str]) -> None:
        self.log = _Log(taken)


class _AskingNothing:
    def __call__(self) -> None: ...


def test_without_its_log_a_middleware_does_all_but_ask_the_log() -> None:
    taken: list[str] = []

    assert _Asking(taken)("first", kept=True) == "first"
    assert unlogged(_Asking)(taken)("second", kept=True) == "second"
    assert taken == ["first"]


def test_the_lens_asks_its_log_in_exactly_one_place_that_can_be_left_out() -> None:
    assert unlogged(LensMiddleware).__call__ is not LensMiddleware.__call__

    with pytest.raises(AssertionError, match="asks the log 0 times"):
        unlogged(_AskingNothing)


def test_what_the_log_adds_is_the_difference_within_each_round() -> None:
    # The machine was slow in the second round: for both.
    rounds = [{WITHOUT: bare, NOT_KEPT: bare + 0.25} for bare in (4.0, 9.0, 5.0)]

    assert added(rounds, NOT_KEPT) == [0.25] * 3


def test_it_runs_and_shows_each_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    log_cost.main(["--quick"])
    shown = capsys.readouterr().out

    for name in (WITHOUT, NOT_KEPT, DEFAULT):
        assert f"| {name} | " in shown
    assert "| at most 1 µs | " in shown
