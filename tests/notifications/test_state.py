"""The stored state: read back as it was written, and the beginning if it cannot be read."""

import pytest

from fastapi_lens.notifications.alerts import Rule, Standing, Subject
from fastapi_lens.notifications.delivery import RETRY_SECONDS, delivered, due, failed
from fastapi_lens.notifications.evaluation import MOST_WAITING, with_waiting
from fastapi_lens.notifications.notice import Kind, Notice
from fastapi_lens.notifications.state import Outcome, State, Waiting, stored

pytestmark = pytest.mark.unit

NOW = 1_775_243_992


def notice(identity: str) -> Notice:
    return Notice(
        id=identity, kind=Kind.ALERT, app="a", environment=None, created_at=1.0, title="t"
    )


def test_a_state_is_read_as_it_was_written() -> None:
    standings = {
        Subject(Rule.DEAD, "00aa"): Standing(NOW, is_told=True, told_at=NOW),
        Subject(Rule.SLOW, "00bb"): Standing(told_at=NOW),
    }
    state = State(
        changes=7,
        quiet={Rule.DEAD: "30 days"},
        standings=stored(standings),
        digest_for=NOW,
        waiting=[Waiting(notice=notice("1"), tries=2, next_at=NOW)],
        outcome=Outcome(sent_at=NOW, sent_kind=Kind.TEST),
    )
    found = State.parse(state.text())
    assert found == state
    assert found.as_standings() == standings


@pytest.mark.parametrize("text", ["", "{", "[]", '{"changes": "x"}', '{"standings": [1]}'])
def test_an_unreadable_state_is_that_of_the_beginning(text: str) -> None:
    assert State.parse(text) == State()


def test_only_the_latest_notifications_wait() -> None:
    state = State()
    for number in range(MOST_WAITING + 3):
        state = with_waiting(state, notice(str(number)))
    assert [one.notice.id for one in state.waiting] == [str(n) for n in range(3, MOST_WAITING + 3)]


def test_one_that_waits_for_its_retry_holds_up_no_other() -> None:
    state = with_waiting(with_waiting(State(), notice("1")), notice("2"))
    first = due(state, now=NOW)
    assert first is not None
    state, is_last = failed(state, first, "no", now=NOW)
    assert not is_last
    second = due(state, now=NOW)
    assert second is not None
    assert second.notice.id == "2"
    state = delivered(state, second, now=NOW)
    assert due(state, now=NOW) is None
    again = due(state, now=NOW + RETRY_SECONDS[0])
    assert again is not None
    assert (again.notice.id, again.tries) == ("1", 1)


def test_a_retry_is_not_put_off_by_a_clock_that_was_set_back() -> None:
    state = with_waiting(State(), notice("1"))
    state, _ = failed(state, state.waiting[0], "no", now=NOW)
    assert due(state, now=NOW - 86_400) is not None
