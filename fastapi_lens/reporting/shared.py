"""Answers that are given again while nothing is written. Knows no questions and no SQL."""

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from fastapi_lens.reporting.answers import Answers

FRESH_SECONDS, WRITING_SECONDS = 1.0, 3.0
"""After them it is looked up whether somebody else has written; later while this process does."""

_NEVER = (float("-inf"), 0, "")

Version = Callable[[], tuple[str, bool]]
Answer = TypeVar("Answer")


class Shared:
    """Answers to one app's questions, and up to when they are good.

    Args:
        version: Reads a text that changes whenever any row may have changed, and whether this
            process is the only one that writes; blocks.
        depends: What every answer depends on besides the question, the rows and the time.

    Attributes:
        writes: Gives a number that grows by one when this process begins to write, and when it
            has written: it is odd in between.
        alone: Whether this process was the only one that writes when that was looked up last.
    """

    def __init__(
        self, version: Callable[[], tuple[str, bool]], depends: Callable[[], Hashable]
    ) -> None:
        """Know no answer yet."""
        self._version = version
        self._depends = depends
        self.writes: Callable[[], int] = lambda: 0
        self.alone = False
        self._clock = time.monotonic
        # When the version was read, the number of `writes` by then, and the version.
        self._latest = _NEVER
        self._answers = Answers()
        self._answered: Hashable = None

    def get(
        self, question: Hashable, make: Callable[[], Answer], *, state: Hashable | None = None
    ) -> Answer:
        """An answer that all get who ask the same while nothing is written, for 10 s at most.

        Args:
            question: Everything that the answer depends on besides the rows and what every answer
                depends on. Two kinds of answers need two questions.
            make: Makes it; those who ask meanwhile wait for it.
            state: What `state` gave a moment ago, where it was asked for already.

        Raises:
            StorageError: The database cannot be read.
        """
        state = self.state() if state is None else state
        if state != self._answered:
            # Nobody asks for those of another state again; they are large.
            self._answers.clear()
            self._answered = state
        return self._answers.get((question, state), make)

    def ready(self, question: Hashable) -> Any:
        """What `get` would give, from memory, where this process is the only one that writes.

        What it has written is seen at once, when all of it is written. Several workers look the
        version up each time: else one would give lower numbers than another has given before.

        Returns:
            None where it has to be asked for.
        """
        began, then, version = self._latest
        now = self.writes()
        # A flush in several transactions is one change, and not one for each of them.
        is_writing = now % 2
        if now - then > is_writing:
            return None
        if self._clock() - began >= (WRITING_SECONDS if is_writing else FRESH_SECONDS):
            return None
        return self._answers.known((question, (self._depends(), version)))

    def state(self) -> Hashable:
        """What every answer depends on besides the question and the time; blocks.

        Raises:
            StorageError: The database cannot be read.
        """
        began, writes = self._clock(), self.writes()
        version, self.alone = self._version()
        self._latest = (began, writes, version) if self.alone else _NEVER
        return (self._depends(), version)

    def forget(self) -> None:
        """Make every answer anew from now on."""
        self._latest = _NEVER
        self._answers.clear()
