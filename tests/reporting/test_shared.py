import weakref
from typing import Any

import pytest

from fastapi_lens.reporting.shared import Shared

pytestmark = pytest.mark.unit


class Body:
    """A large answer."""


class Written:
    """Counts that are written, and what is shared of them."""

    def __init__(self) -> None:
        self.version = 0
        self.made: list[weakref.ref[Body]] = []
        self.shared = Shared(lambda: (str(self.version), True), lambda: "app")

    def ask(self, question: str) -> Any:
        def make() -> Body:
            body = Body()
            self.made.append(weakref.ref(body))
            return body

        return self.shared.get(question, make)


def test_an_answer_is_shared_while_nothing_is_written() -> None:
    written = Written()
    assert written.ask("report") is written.ask("report")
    assert written.ask("top") is not written.ask("report")
    assert len(written.made) == 2


def test_what_is_written_lets_go_of_all_earlier_answers_at_the_next_question() -> None:
    written = Written()
    written.ask("report")
    written.ask("top")
    written.version += 1
    written.ask("dead")
    assert [each() is None for each in written.made] == [True, True, False]
