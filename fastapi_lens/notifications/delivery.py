"""Effects of an attempt to deliver on the state: retries, giving up, the outcome. Pure."""

from fastapi_lens.notifications.state import State, Waiting

RETRY_SECONDS = (60, 120, 240, 480, 960)
"""Pauses after the first attempts that failed; after one more, a notification is given up."""


def due(state: State, *, now: float) -> Waiting | None:
    """The next notification to send; None if none is due."""
    longest = RETRY_SECONDS[-1]
    # Later than the longest pause only after a clock was set back.
    return next((one for one in state.waiting if not 0 < one.next_at - now <= longest), None)


def delivered(state: State, sent: Waiting, *, now: float) -> State:
    """The state after a notification was delivered."""
    outcome = {"sent_at": int(now), "sent_kind": sent.notice.kind}
    return state.model_copy(
        update={
            "waiting": _without(state, sent),
            "outcome": state.outcome.model_copy(
                update={**outcome, "failed_at": None, "problem": ""}
            ),
        }
    )


def failed(state: State, tried: Waiting, problem: str, *, now: float) -> tuple[State, bool]:
    """The state after an attempt has failed, and true if that was the last one.

    Args:
        state: The state before.
        tried: The notification.
        problem: Why it failed.
        now: Epoch seconds.
    """
    is_last = tried.tries >= len(RETRY_SECONDS)
    waiting = _without(state, tried)
    if not is_last:
        pause = RETRY_SECONDS[tried.tries]
        again = tried.model_copy(update={"tries": tried.tries + 1, "next_at": int(now) + pause})
        waiting = [again if one is tried else one for one in state.waiting]
    outcome = state.outcome.model_copy(update={"failed_at": int(now), "problem": problem})
    return state.model_copy(update={"waiting": waiting, "outcome": outcome}), is_last


def _without(state: State, done: Waiting) -> list[Waiting]:
    return [one for one in state.waiting if one is not done]
