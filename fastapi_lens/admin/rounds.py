"""Requests for the same answer take one thread, not one each; a crowd's answers go out one by one.

Knows neither answers nor HTTP.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import RunVar

from fastapi_lens.admin.threads import in_reader_thread

TURN_SECONDS, EACH_SECONDS = 0.002, 0.0002
"""From one answer of a crowd to the next; more of it for each that waits."""

FEW = 10
"""So many may wait at once without being a crowd."""

Answer = TypeVar("Answer")


class _Round:
    """One piece of work, and all who wait for it."""

    __slots__ = ("answer", "done", "error", "is_made")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.is_made = False
        self.answer: Any = None
        self.error: Exception | None = None


class _Rounds:
    """The rounds of one event loop."""

    __slots__ = ("following", "next_turn", "running", "turn", "waited")

    def __init__(self) -> None:
        self.turn = anyio.Lock()
        self.waited = 0  # The most that waited at once since nobody did.
        self.next_turn = float("-inf")
        self.running: dict[Hashable, _Round] = {}
        self.following: dict[Hashable, _Round] = {}


_rounds: RunVar[_Rounds] = RunVar("fastapi_lens_rounds")


async def in_round(question: Hashable, work: Callable[[], Answer]) -> Answer:
    """Do something in a reader thread, once for all who ask before it begins.

    Whoever asks while it is done waits for the next round, so that nobody gets an answer that is
    older than the question.

    Args:
        question: Everything that the answer depends on. The same question is always asked with
            the same kind of work.
        work: Blocks. Its error goes to all who wait.
    """
    rounds = _of_this_loop()
    while (round_ := rounds.following.get(question)) is not None:
        await round_.done.wait()
        if round_.error is not None:
            raise round_.error
        if round_.is_made:
            answer: Answer = round_.answer
            return answer
        # Whoever did it was cancelled.
    return await _led(rounds, question, work)


async def in_turn() -> None:
    """Wait until an answer of the lens may be sent; at once unless it is one of many.

    What the event loop does for fifty answers takes as long as many requests of the host, so that
    these get their turn between any two of them.
    """
    rounds = _of_this_loop()
    async with rounds.turn:
        wait = rounds.next_turn - anyio.current_time()
        if wait > 0:
            await anyio.sleep(wait)
        waiting = rounds.turn.statistics().tasks_waiting
        rounds.waited = max(rounds.waited, waiting) if waiting else 0
        turn = TURN_SECONDS + EACH_SECONDS * waiting if rounds.waited > FEW else 0.0
        rounds.next_turn = anyio.current_time() + turn


async def _led(rounds: _Rounds, question: Hashable, work: Callable[[], Answer]) -> Answer:
    mine = rounds.following[question] = _Round()
    try:
        if (before := rounds.running.get(question)) is not None:
            await before.done.wait()
        rounds.running[question] = mine
        del rounds.following[question]
        mine.answer = answer = await in_reader_thread(work)
        mine.is_made = True
    except Exception as error:
        mine.error = error
        raise
    finally:
        for each in (rounds.following, rounds.running):
            if each.get(question) is mine:
                del each[question]
        mine.done.set()
    return answer


def _of_this_loop() -> _Rounds:
    rounds = _rounds.get(None)
    if rounds is None:
        rounds = _Rounds()
        _rounds.set(rounds)
    return rounds
