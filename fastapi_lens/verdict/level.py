"""The level of a verdict, by its dates. Pure."""

from enum import StrEnum

from fastapi_lens.verdict.dates import Dates, Silence, dates_of
from fastapi_lens.verdict.days import NO_HOLES
from fastapi_lens.verdict.history import History, Keep, Kind

IN_USE_DAYS = 7
"""Silent days up to which every used endpoint is in use."""


class Level(StrEnum):
    """Levels of verdicts."""

    SAFE_TO_REMOVE = "safe_to_remove"
    PROBABLY_UNUSED = "probably_unused"
    WAIT = "wait"
    IN_USE = "in_use"
    NOT_ENOUGH_OBSERVATION = "not_enough_observation"
    KEPT = "kept"


def level_of(silence: Silence, dates: Dates) -> Level:
    """The level of a silence; with a fixed history it only rises as days pass.

    A WebSocket is counted when it opens, so that one that stays open looks silent: never safe.
    Noise and refused callers are a doubt that silence does not remove: not safe either. While calls
    wait to be added, nothing is unused.

    Args:
        silence: Of one endpoint.
        dates: Of that silence, with all its holes.
    """
    history, today = silence.history, silence.history.today
    keep = latest_keep(history)
    if keep is not None and today <= keep.until:
        return Level.KEPT
    if history.has_waiting:
        return _level_of_short(silence)
    is_capped = history.noise.is_doubt or history.kind is Kind.WEBSOCKET
    if today >= dates.safe and not is_capped:
        return Level.SAFE_TO_REMOVE
    if today >= dates.probably:
        return Level.PROBABLY_UNUSED
    return _level_of_short(silence)


def _level_of_short(silence: Silence) -> Level:
    """The level of a silence that is too short for probably, or that a waiting call may end."""
    if silence.last_used is None:
        return Level.NOT_ENOUGH_OBSERVATION
    # Were nothing unobserved, the silence would do: observation is what is missing.
    if silence.unseen and silence.history.today >= dates_of(silence, NO_HOLES).probably:
        return Level.NOT_ENOUGH_OBSERVATION
    if silence.days <= max(IN_USE_DAYS, 1.1 * silence.gaps.longest + 1):
        return Level.IN_USE
    return Level.WAIT


def latest_keep(history: History) -> Keep | None:
    """Of all that keep an endpoint on purpose the one that ends last; None if nobody does."""
    # Reasons decide ties, so that all workers give the same verdict.
    return max(history.keeps, key=lambda keep: (keep.until, keep.source, keep.reason), default=None)
