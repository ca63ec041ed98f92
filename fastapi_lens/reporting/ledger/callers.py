"""Callers of endpoints, as pages and reports show them: frozen values. No SQL, no HTML.

Times are epoch seconds. Days are those with a call that was not refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi_lens.reporting.model import key_from_id
from fastapi_lens.storage.schema.models import CallerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One caller of an app.

    Attributes:
        id: Its id; 0 for all those beyond the bounds, and for forgotten ones.
        kind: The source of its name.
        name: As pages show it: its label, else its own name.
        own_name: The same without the label: of a key ``key …a3f9``, the last digits of its hash;
            ``no name`` and ``others`` for the kinds `NONE` and `OTHERS`.
        label: Its name by an admin; may be empty.
        is_noise: True for a bot, a health check or a test.
        first_at: Its first call that was not refused; None without any.
        last_at: The last one.
    """

    id: int
    kind: CallerKind
    name: str
    own_name: str
    label: str = ""
    is_noise: bool = False
    first_at: float | None = None
    last_at: float | None = None

    @property
    def key(self) -> str:
        """The id in 16 hexadecimal digits, which pages use in links."""
        return key_from_id(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerUse:
    """The calls of one endpoint by one caller, since the ledger began.

    Attributes:
        endpoint: Key of the endpoint, see `model.Endpoint.key`.
        is_removed: True if the endpoint was noted as removed from the routes.
        calls: All of them, including refused ones.
        refused: Calls that were refused.
        errors_5xx: Calls that failed.
        first_at: The first call that was not refused; None without any.
        last_at: The last one; None without any.
        days: Number of days with such a call.
        longest_gap_days: Longest distance between two such days; 0 with fewer than two.
        weeks: Calls of the last 57 weeks, the oldest first; empty where weeks are not kept.
    """

    caller: Caller
    endpoint: str
    method: str
    path: str
    calls: int
    refused: int
    errors_5xx: int
    first_at: float | None
    last_at: float | None
    days: int
    longest_gap_days: int
    is_removed: bool = False
    weeks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerTotals:
    """One caller with what it calls, for a list of callers.

    Attributes:
        endpoints: Number of endpoints that it has called.
        calls: Its calls of all endpoints, including refused ones.
        refused: Those that were refused.
    """

    caller: Caller
    endpoints: int
    calls: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerDetail:
    """One caller with everything that it uses.

    Attributes:
        uses: One for each endpoint, the latest first.
    """

    caller: Caller
    uses: tuple[CallerUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCallers:
    """The callers of one endpoint, or of all endpoints of an app.

    Attributes:
        since: Time from which on each of its calls was attributed to a caller; None if none was.
        is_complete: True if no call is under others, and each has a name.
        uses: One for each caller and endpoint, the latest first.
        more: Number of uses that are left out.
    """

    since: float | None
    is_complete: bool
    uses: tuple[CallerUse, ...] = ()
    more: int = 0


NO_CALLERS = EndpointCallers(since=None, is_complete=False)
"""The callers of an endpoint that does not exist or is not shown, or where none were recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCallers:
    """Callers of an endpoint under any names of its path parameters.

    Attributes:
        uses: Some of them, the latest first; at the end those that were only refused.
        more: Number of those that used it and are left out, at most.
    """

    uses: tuple[CallerUse, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppCallers:
    """The callers of some endpoints of an app.

    Attributes:
        since: Time from which on each call of the app was attributed to a caller; None if none was.
        is_complete: True if no call is under others, and each has a name.
        by_endpoint: By id of the endpoint; those without a caller are missing.
    """

    since: float | None
    is_complete: bool
    by_endpoint: Mapping[int, ListedCallers]
