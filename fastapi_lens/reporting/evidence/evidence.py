"""Evidence for or against the removal of endpoints: frozen values. No SQL, no HTML.

Days are numbers since the epoch (UTC), times are epoch seconds.
"""

from dataclasses import dataclass
from enum import StrEnum

from fastapi_lens.reporting.evidence.gone import Gone
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.verdict.history import History
from fastapi_lens.verdict.verdict import Verdict

WEEKS = 57
"""Steps of seven days that end today; as long as rows of days are kept."""


class WeekState(StrEnum):
    """States of a week of one endpoint."""

    USED = "used"
    SILENT = "silent"
    UNOBSERVED = "unobserved"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days of one endpoint.

    Attributes:
        state: Used if it had a use; else absent before it was in the routes, unobserved if most of
            its days were not fully observed or are no longer kept, and silent otherwise.
        calls: Calls that are uses.
    """

    state: WeekState
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """One endpoint with its verdict and what it is made of.

    `Reader.evidence` does not read the used days of an endpoint that was used in the last seven
    days, see `is_read`: its level, silence and exclusions are exact all the same.

    Attributes:
        endpoint: Its facts; its usage is empty.
        shape: Its path without the names of parameters.
        verdict: The answer.
        ids: The ids of all endpoints of its shape that were ever called.
        history: The source of the answer: that of all endpoints of its shape.
        is_read: True if its used days were read; otherwise the verdict's pattern, longest gap,
            needs and dates mean nothing, and `history` has no days.
        present_since: Time since which it has been in the routes and its history is whole.
        last_used_at: Time of its last use, also before `present_since`; None if it was never used.
        weeks: `WEEKS` steps, the oldest first; empty until `Reader.with_weeks` adds them.
        introduced: Name of the release that had it first; empty if unknown.
        first_called: Name of the release that recorded its first call; empty if unknown.
        last_called: The same of its last call.
        last_release: Name of the last release that had it; empty if unknown.
        removed_at: Time at which it was found to be no longer in the routes; None if it is there.
        gone: Calls after its removal; None without any.
    """

    endpoint: Endpoint
    shape: str
    ids: tuple[int, ...]
    verdict: Verdict
    history: History
    is_read: bool
    present_since: float
    last_used_at: float | None
    weeks: tuple[Week, ...] = ()
    introduced: str = ""
    first_called: str = ""
    last_called: str = ""
    last_release: str = ""
    removed_at: float | None = None
    gone: Gone | None = None

    @property
    def safe_day(self) -> int | None:
        """The first day on which it is safe to remove, if no further use and no hole comes.

        None where waiting alone never leads there, and while it was used in the last seven days.
        """
        return self.verdict.safe_from if self.is_read else None


@dataclass(frozen=True, slots=True)
class AppEvidence:
    """The endpoints of one app, all judged.

    Attributes:
        observation: Since when the app is watched, and its holes.
        releases: Names of its releases, the latest first, without empty ones.
        endpoints: Those that are in the routes, by path and method.
        removed: Those that are not, and were still called; by path and method.
        ignored: Those that are in the routes, and of which a rule lets nothing be recorded.
        twins: Other apps in this database with the same endpoints and no living worker: a title
            that was changed.
    """

    observation: Observation
    releases: tuple[str, ...]
    endpoints: tuple[Judged, ...]
    removed: tuple[Judged, ...] = ()
    ignored: tuple[Endpoint, ...] = ()
    twins: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[Judged, ...]:
        """All endpoints, those that are in the routes first."""
        return (*self.endpoints, *self.removed)

    def by_id(self) -> dict[int, Judged]:
        """The endpoints that are in the routes, by their ids."""
        return {one.endpoint.id: one for one in self.endpoints}
