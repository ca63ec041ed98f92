"""The share of one core that a thread uses."""

import threading

import pytest

from fastapi_lens.recording.flush.core_share import CoreShare

pytestmark = pytest.mark.unit


class Thread:
    """The two clocks of a thread."""

    def __init__(self) -> None:
        self.cpu = self.wall = 1_000.0
        self.share = CoreShare(lambda: self.cpu, lambda: self.wall)

    def live(self, wall: float, *, cpu: float) -> int | None:
        """Let time pass; returns the share afterwards."""
        self.wall += wall
        self.cpu += cpu
        return self.share.ppm()


@pytest.fixture
def thread() -> Thread:
    made = Thread()
    made.share.begin()
    return made


def test_the_share_is_cpu_time_divided_by_the_time_that_passed(thread: Thread) -> None:
    assert thread.live(5, cpu=0.02) == 4_000
    assert thread.live(5, cpu=0.0) == 2_000


def test_a_time_of_less_than_five_seconds_tells_nothing(thread: Thread) -> None:
    assert thread.live(4.9, cpu=1.0) is None


def test_only_the_last_minute_is_looked_at(thread: Thread) -> None:
    thread.live(5, cpu=5.0)
    shares = [thread.live(5, cpu=0.05) for _ in range(13)]
    assert shares[10] == round((5.0 + 0.55) / 60 * 1_000_000)
    assert shares[11:] == [10_000, 10_000]


def test_after_a_long_rest_the_share_is_that_of_the_whole_rest(thread: Thread) -> None:
    thread.live(5, cpu=0.0)
    assert thread.live(3_600, cpu=36.0) == 10_000


def test_the_clock_of_another_thread_is_not_taken_for_that_of_the_measured_one(
    thread: Thread,
) -> None:
    thread.live(10, cpu=0.1)
    told: list[int | None] = []
    other = threading.Thread(target=lambda: told.append(thread.live(10, cpu=1_000.0)))
    other.start()
    other.join()
    assert told == [10_000]


def test_what_another_thread_does_for_the_lens_counts_as_well(thread: Thread) -> None:
    def work() -> None:
        thread.cpu += 0.03

    other = threading.Thread(target=thread.share.add, args=(work,))
    other.start()
    other.join()
    # Each thread has a clock of its own.
    thread.cpu -= 0.03
    assert thread.live(10, cpu=0.02) == 5_000


def test_a_new_thread_is_measured_from_its_own_start(thread: Thread) -> None:
    thread.live(10, cpu=10.0)
    thread.cpu = 0.0
    thread.share.begin()
    assert thread.share.ppm() is None
    assert thread.live(10, cpu=0.1) == 10_000


def test_before_a_thread_has_begun_nothing_is_told() -> None:
    assert CoreShare().ppm() is None
