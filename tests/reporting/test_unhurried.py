import pytest

from fastapi_lens.reporting.unhurried import (
    REST_SECONDS,
    WANTED_REST_SECONDS,
    WANTED_SECONDS,
    WANTED_WORK_SECONDS,
    WORK_SECONDS,
    unhurried,
)

pytestmark = pytest.mark.unit


class Machine:
    """Time that work takes, and rests of which some take longer because somebody else is busy."""

    def __init__(self, *, busy: frozenset[int] = frozenset()) -> None:
        self.now = 5.0
        self.rests: list[float] = []
        self._busy = busy

    def timer(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += WANTED_SECONDS if len(self.rests) in self._busy else seconds
        self.rests.append(seconds)

    def work(self, steps: int, *, each: float, every: int = 1) -> list[int]:
        found = []
        numbers = unhurried(range(steps), every=every, timer=self.timer, sleep=self.sleep)
        for number in numbers:
            self.now += each
            found.append(number)
        return found


def test_short_work_is_done_at_a_stretch() -> None:
    machine = Machine()
    assert machine.work(10, each=WORK_SECONDS / 20) == list(range(10))
    assert machine.rests == []


def test_long_work_rests_briefly_after_each_stretch() -> None:
    machine = Machine()
    assert machine.work(40, each=WORK_SECONDS / 7.5) == list(range(40))
    assert machine.rests == [REST_SECONDS] * 5


def test_of_quick_steps_the_time_is_looked_at_once_in_some() -> None:
    machine = Machine()
    assert machine.work(40, each=WORK_SECONDS, every=10) == list(range(40))
    assert machine.rests == [REST_SECONDS] * 4


def test_while_somebody_else_wants_the_interpreter_the_work_goes_on_in_small_pieces() -> None:
    machine = Machine(busy=frozenset({0, 2}))
    machine.work(8, each=1.1 * WANTED_WORK_SECONDS)
    small = [REST_SECONDS, WANTED_REST_SECONDS]
    # Twice it was wanted: each time one small piece of work comes next, then long ones again.
    assert machine.rests == [*small, *small, REST_SECONDS, REST_SECONDS]
