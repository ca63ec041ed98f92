import threading
import time

import pytest

from fastapi_lens.reporting.cache import TTLCache

pytestmark = pytest.mark.unit


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Maker:
    """Makes a new answer each time."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> int:
        self.made += 1
        return self.made


def test_an_answer_is_given_again_until_it_is_too_old() -> None:
    clock, make = Clock(), Maker()
    answers = TTLCache(max_age_seconds=1.0, timer=clock)
    assert [answers.get("calls", make) for _ in range(3)] == [1, 1, 1]
    clock.now += 0.9
    assert answers.get("calls", make) == 1
    clock.now += 0.1
    assert answers.get("calls", make) == 2


def test_another_question_has_another_answer() -> None:
    answers, make = TTLCache(), Maker()
    assert answers.get(("calls", 7), make) == 1
    assert answers.get(("calls", 30), make) == 2
    assert answers.get(("calls", 7), make) == 1


def test_who_asks_while_the_answer_is_made_waits_for_it() -> None:
    answers, make, found = TTLCache(), Maker(), list[int]()
    others = [
        threading.Thread(target=lambda: found.append(answers.get("calls", make))) for _ in range(3)
    ]

    def make_slowly() -> int:
        for other in others:
            other.start()
        return 4_711

    assert answers.get("calls", make_slowly) == 4_711
    for other in others:
        other.join()
    assert found == [4_711] * 3
    assert make.made == 0


def test_an_error_goes_to_all_who_wait_and_to_nobody_later() -> None:
    answers, make, told = TTLCache(), Maker(), list[str]()

    def ask() -> None:
        with pytest.raises(LookupError, match="no such table"):
            answers.get("calls", make)
        told.append("no such table")

    others = [threading.Thread(target=ask) for _ in range(3)]

    def fail() -> int:
        for other in others:
            other.start()
        time.sleep(0.05)  # They wait by now; whoever comes later computes the answer anew.
        raise LookupError("no such table")

    with pytest.raises(LookupError, match="no such table"):
        answers.get("calls", fail)
    for other in others:
        other.join()
    assert told == ["no such table"] * 3
    assert answers.get("calls", make) == 1


def test_the_oldest_answer_makes_room_for_one_too_many() -> None:
    answers, make = TTLCache(max_values=2), Maker()
    assert [answers.get(question, make) for question in "abc"] == [1, 2, 3]
    assert [answers.get(question, make) for question in "bc"] == [2, 3]
    assert answers.get("a", make) == 4
