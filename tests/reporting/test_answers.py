import threading

import pytest

from fastapi_lens.reporting.answers import Answers

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
    answers = Answers(max_age_seconds=1.0, clock=clock)
    assert [answers.get("calls", make) for _ in range(3)] == [1, 1, 1]
    clock.now += 0.9
    assert answers.get("calls", make) == 1
    clock.now += 0.1
    assert answers.get("calls", make) == 2


def test_another_question_has_another_answer() -> None:
    answers, make = Answers(), Maker()
    assert answers.get(("calls", 7), make) == 1
    assert answers.get(("calls", 30), make) == 2
    assert answers.get(("calls", 7), make) == 1


def test_who_asks_while_the_answer_is_made_waits_for_it() -> None:
    answers, make, found = Answers(), Maker(), list[int]()
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


def test_an_error_is_no_answer_to_whoever_asks_later() -> None:
    answers, make = Answers(), Maker()

    def fail() -> int:
        raise LookupError("no such table")

    with pytest.raises(LookupError, match="no such table"):
        answers.get("calls", fail)
    assert answers.get("calls", make) == 1


def test_the_oldest_answer_makes_room_for_one_too_many() -> None:
    answers, make = Answers(max_answers=2), Maker()
    assert [answers.get(question, make) for question in "abc"] == [1, 2, 3]
    assert [answers.get(question, make) for question in "bc"] == [2, 3]
    assert answers.get("a", make) == 4


def test_with_a_lower_limit_the_oldest_answers_are_dropped_at_once() -> None:
    answers, make = Answers(max_answers=3), Maker()
    for question in ("a", "b", "c"):
        answers.get(question, make)
    answers.limit(1)
    assert answers.known("b") is None
    assert answers.known("c") == 3
    answers.get("d", make)
    assert answers.known("c") is None


def test_only_an_answer_that_is_made_and_young_enough_is_known() -> None:
    clock, make = Clock(), Maker()
    answers = Answers(max_age_seconds=1.0, clock=clock)
    assert answers.known("calls") is None
    known_meanwhile = list[object]()

    def make_slowly() -> int:
        known_meanwhile.append(answers.known("calls"))
        return make()

    assert answers.get("calls", make_slowly) == 1
    assert known_meanwhile == [None]
    assert answers.known("calls") == 1
    clock.now += 1.0
    assert answers.known("calls") is None


def test_an_error_is_never_known() -> None:
    answers, asked = Answers(), list[object]()

    def fail() -> int:
        raise LookupError("no such table")

    for _ in range(2):
        with pytest.raises(LookupError, match="no such table"):
            answers.get("calls", fail)
        asked.append(answers.known("calls"))
    assert asked == [None, None]
