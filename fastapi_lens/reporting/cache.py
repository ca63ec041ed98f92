"""Time-to-live cache with single flight. Knows neither questions nor databases."""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

MAX_AGE_SECONDS = 2.0
"""The workers of an app may differ by so much, and pages depend on the time."""

MAX_ANSWERS = 16
"""One may have some megabytes: the report of thousands of endpoints."""

Answer = TypeVar("Answer")


class AnswerCache:
    """The latest answers; safe to use from several threads.

    Args:
        max_age_seconds: How long an answer is given again.
        max_answers: How many are kept; the oldest goes first.
        timer: Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        max_age_seconds: float = MAX_AGE_SECONDS,
        max_answers: int = MAX_ANSWERS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep no answer yet."""
        self._max_age_seconds = max_age_seconds
        self._max_answers = max_answers
        self._timer = timer
        # Each with the time at which it ends, in the order of these.
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._in_flight: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, question: Hashable, factory: Callable[[], Answer]) -> Answer:
        """The answer to a question; whoever asks while it is computed waits for it.

        Args:
            question: Holds everything that the answer depends on; the same question is always
                asked with the same kind of answer.
            factory: Computes the answer. Its error goes to all who wait, and is not kept.
        """
        with self._lock:
            kept: tuple[float, Answer] | None = self._answers.get(question)
            if kept is not None and self._timer() < kept[0]:
                return kept[1]
            future = self._in_flight.get(question)
            is_mine = future is None
            if future is None:
                future = self._in_flight[question] = Future()
        if is_mine:
            self._compute(question, future, factory)
        answer: Answer = future.result()
        return answer

    def _compute(self, question: Hashable, future: Future[Any], factory: Callable[[], Any]) -> None:
        try:
            answer = factory()
        except BaseException as error:  # noqa: BLE001  Handed to everybody who asked, us included.
            with self._lock:
                del self._in_flight[question]
            future.set_exception(error)
            return
        with self._lock:
            del self._in_flight[question]
            self._keep(question, answer)
        future.set_result(answer)

    def _keep(self, question: Hashable, answer: Any) -> None:
        now = self._timer()
        self._answers.pop(question, None)
        self._answers[question] = (now + self._max_age_seconds, answer)
        for old, (end, _) in list(self._answers.items()):
            if end <= now or len(self._answers) > self._max_answers:
                del self._answers[old]
