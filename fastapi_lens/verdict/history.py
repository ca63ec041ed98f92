"""The history of one endpoint, from which a verdict is made. Pure data.

A use is a response that is not refused (see `REFUSED`), to a caller that is not noise: no bot,
health check or test. Other calls are `Noise`: they do not end a silence, but they are named.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from fastapi_lens.verdict.cadence import Cadence
from fastapi_lens.verdict.callers import Ledger

REFUSED = frozenset({400, 401, 403, 404, 405, 406, 410, 415, 421, 422})
"""Statuses that refuse a request before it is of use to the caller. All others are uses."""

NOISE_WINDOW = 90
"""Days up to today in which noise is counted."""

# A choice, not a measurement: the noise of the simulations came daily.
MOST_NOISE_DAYS = 2
"""Days with noise in that window that still let an endpoint be safe to remove."""


class Kind(StrEnum):
    """Kinds of endpoints."""

    HTTP = "http"
    WEBSOCKET = "websocket"
    MOUNT = "mount"


class KeepSource(StrEnum):
    """The places where somebody can say that an endpoint is kept on purpose."""

    CODE = "code"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Keep:
    """An endpoint is kept on purpose.

    Attributes:
        reason: The reason, in the author's words.
        until: The last day on which it holds.
        source: Where the decision was made.
    """

    reason: str
    until: int
    source: KeepSource = KeepSource.CODE


@dataclass(frozen=True, slots=True)
class Noise:
    """Calls of the last 90 days that are no use.

    Attributes:
        noise_days: Days on which a caller that is noise called.
        refused_days: Days on which a call was refused.
        names: Callers that are noise, as pages show them, in any order.
        refused_users: Callers that were refused, and whose calls succeeded at some time, in any
            order: one of these is a doubt however rarely it comes.
    """

    noise_days: int = 0
    refused_days: int = 0
    names: tuple[str, ...] = ()
    refused_users: tuple[str, ...] = ()

    @property
    def is_doubt(self) -> bool:
        """True if the endpoint may be in use by somebody whose calls do not count."""
        # Days with both are counted twice, which errs on the side of waiting.
        return self.noise_days + self.refused_days > MOST_NOISE_DAYS or bool(self.refused_users)


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of one endpoint on one day. Days are numbers since the epoch (UTC).

    The order of days, weeks, holes, callers and keeps does not matter.

    Attributes:
        today: The day of the verdict.
        present_since: The first day since which it has been in the routes without a break and its
            history is whole: the latest of first seen, return after a removal, deletion of its
            history, and the end of a rule that ignored it.
        observed_since: The first day that was observed at all. Days before are a hole.
        days: Used days, as far as rows of days are kept (400 days).
        weeks: The first days of used weeks before that.
        last_used: The day of the last use, which is known also when `days` and `weeks` are no
            longer kept; None if it was never used.
        holes: First and last days of what was not observed, also in earlier years; may overlap.
        kind: Of the endpoint.
        noise: Calls that are no use.
        ledger: Its callers; None where they are not recorded.
        keeps: Entries of people who keep it on purpose, including expired ones.
        cadence: Declared frequency of use; None if nothing is declared.
        has_waiting: True if older calls of its app still wait to be added: one may be its own.
    """

    today: int
    present_since: int
    observed_since: int
    days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    last_used: int | None = None
    holes: tuple[tuple[int, int], ...] = ()
    kind: Kind = Kind.HTTP
    noise: Noise = field(default_factory=Noise)
    ledger: Ledger | None = None
    keeps: tuple[Keep, ...] = ()
    cadence: Cadence | None = None
    has_waiting: bool = False
