"""Answers that several ask for at once are made once. Knows neither questions nor databases."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

MAX_AGE_SECONDS = 10.0
"""Statuses and windows depend on the time, so no answer is given for longer."""

MAX_ANSWERS = 16

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Made:
    """An answer that is made, or being made; its age counts from when that began."""

    began: float
    answer: Future[Any]


class Answers:
    """The latest answers; safe to use from several threads.

    Args:
        max_age_seconds: How long an answer is given after it was asked for first.
        max_answers: How many are kept; those that are too old are dropped at each question.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        max_age_seconds: float = MAX_AGE_SECONDS,
        max_answers: int = MAX_ANSWERS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know no answer yet."""
        self._max_age_seconds = max_age_seconds
        self._max_answers = max_answers
        self._clock = clock
        self._made: OrderedDict[Hashable, _Made] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, question: Hashable, make: Callable[[], Answer]) -> Answer:
        """The answer to a question, made by the first who asks while the others wait for it.

        Args:
            question: Holds everything that the answer depends on; the same question is always
                asked with the same kind of answer.
            make: Makes the answer. Its error goes to all who wait for it, and is forgotten.
        """
        with self._guard:
            now = self._clock()
            self._drop(now)
            found = self._made.get(question)
            mine = found is None
            if found is None:
                if len(self._made) >= self._max_answers:
                    self._made.popitem(last=False)
                found = self._made[question] = _Made(now, Future())
        if mine:
            self._make(question, found.answer, make)
        answer: Answer = found.answer.result()
        return answer

    def known(self, question: Hashable) -> Any:
        """The answer that `get` would give at once; None where it had to be made or waited for."""
        with self._guard:
            self._drop(self._clock())
            found = self._made.get(question)
        if found is None or not found.answer.done() or found.answer.exception() is not None:
            return None
        return found.answer.result()

    def limit(self, max_answers: int) -> None:
        """Keep no more than so many from now on, and drop the oldest of those that are more."""
        with self._guard:
            self._max_answers = max_answers
            while len(self._made) > max_answers:
                self._made.popitem(last=False)

    def clear(self) -> None:
        """Give none of them any more."""
        with self._guard:
            self._made.clear()

    def _make(self, question: Hashable, answer: Future[Any], make: Callable[[], Any]) -> None:
        try:
            answer.set_result(make())
        except BaseException as error:  # noqa: BLE001  Handed to everybody who asked, us included.
            answer.set_exception(error)
            with self._guard:
                self._made.pop(question, None)

    def _drop(self, now: float) -> None:
        """Forget what is too old."""
        while self._made:
            oldest = next(iter(self._made.values()))
            if now - oldest.began < self._max_age_seconds:
                return
            self._made.popitem(last=False)
