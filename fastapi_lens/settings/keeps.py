"""Endpoints that an admin keeps on purpose, with reasons and ends. Pure; knows no database."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast
from unicodedata import category

from fastapi_lens.errors import ConfigError
from fastapi_lens.verdict.days import date_of
from fastapi_lens.verdict.history import Keep, KeepSource
from fastapi_lens.verdict.overrides import LONGEST_REASON

REASON, UNTIL = "reason", "until"
MAX_KEPT = 500
MAX_YEARS = 5
"""Longest time for which an endpoint is kept, counted from the day of the decision."""

_LONGEST_DAYS = MAX_YEARS * 366
_DAYS = range(1 << 20)
"""Days that a calendar can name."""

_UNWRITABLE = frozenset({"Cc", "Cs"})
"""Unicode's categories of control characters and of lone surrogates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEndpoint:
    """An endpoint that is kept on purpose.

    Attributes:
        endpoint: Its id.
        method: Its method, for people.
        path: Its path template, for people.
        reason: The reason, in the admin's words.
        until: The last day on which it is kept, as a number since the epoch (UTC).
    """

    endpoint: int
    method: str
    path: str
    reason: str
    until: int

    def __post_init__(self) -> None:
        """Check what people choose.

        Raises:
            ConfigError: The reason or the day cannot work; `field` is its name here.
        """
        if not 0 < len(self.reason) <= LONGEST_REASON:
            raise ConfigError(REASON, f"must have 1 to {LONGEST_REASON} characters")
        if any(category(letter) in _UNWRITABLE for letter in self.reason):
            raise ConfigError(REASON, "must have no control characters")
        if self.until not in _DAYS:
            raise ConfigError(UNTIL, "must be a day")

    @classmethod
    def of(cls, stored: object) -> "KeptEndpoint":
        """An entry from its stored form, see `as_stored`.

        Raises:
            ConfigError: It is none.
        """
        values = cast("dict[str, Any]", stored) if isinstance(stored, dict) else {}
        endpoint, until = values.get("endpoint"), values.get(UNTIL)
        method, path, reason = map(values.get, ("method", "path", REASON))
        if not (
            isinstance(endpoint, int)
            and isinstance(until, int)
            and isinstance(method, str)
            and isinstance(path, str)
            and isinstance(reason, str)
        ):
            raise ConfigError("endpoints", "contains an entry that is not a kept endpoint")
        return cls(endpoint=endpoint, method=method, path=path, reason=reason, until=until)

    def as_stored(self) -> dict[str, Any]:
        """Its stored form, as JSON values."""
        return asdict(self)

    @property
    def name(self) -> str:
        """The endpoint, as people name it: ``POST /v1/exports``."""
        return f"{self.method} {self.path}"

    @property
    def keep(self) -> Keep:
        """The decision, as verdicts read it."""
        return Keep(self.reason, self.until, KeepSource.ADMIN)

    def __str__(self) -> str:
        """Its text in the audit log."""
        return f"until {date_of(self.until).isoformat()}: {self.reason}"


@dataclass(frozen=True, slots=True)
class KeptEndpoints:
    """All endpoints of an app that an admin keeps, one entry each, the latest decisions last."""

    all: tuple[KeptEndpoint, ...] = ()

    @property
    def by_endpoint(self) -> dict[int, Keep]:
        """The decisions by the ids of the endpoints; expired ones, too."""
        return {one.endpoint: one.keep for one in self.all}

    def of(self, endpoints: Iterable[int]) -> tuple[KeptEndpoint, ...]:
        """The entries of endpoints, by id."""
        wanted = frozenset(endpoints)
        return tuple(one for one in self.all if one.endpoint in wanted)

    def without(self, endpoints: Iterable[int]) -> "KeptEndpoints":
        """All entries but those of endpoints, by id."""
        gone = frozenset(endpoints)
        return KeptEndpoints(tuple(one for one in self.all if one.endpoint not in gone))

    def with_entries(self, entries: Iterable[KeptEndpoint], *, today: int) -> "KeptEndpoints":
        """All entries, with further ones in the place of those of the same endpoints.

        Entries that have ended are left out where there would be too many.

        Args:
            entries: The further ones.
            today: The day of the decision, as a number since the epoch (UTC).

        Raises:
            ConfigError: An end lies too far ahead or in the past, or too many endpoints are kept.
        """
        further = tuple(entries)
        if any(not today <= one.until <= today + _LONGEST_DAYS for one in further):
            raise ConfigError(UNTIL, f"must be a day from today up to {MAX_YEARS} years ahead")
        kept = (*self.without(one.endpoint for one in further).all, *further)
        if len(kept) > MAX_KEPT:
            # Only now: as long as there is room, a page says that they have ended.
            kept = tuple(one for one in kept if one.until >= today)
        if len(kept) > MAX_KEPT:
            raise ConfigError(REASON, f"cannot be saved: at most {MAX_KEPT} endpoints are kept")
        return KeptEndpoints(kept)

    def as_stored(self) -> dict[str, Any]:
        """The stored form of its section."""
        return {"endpoints": [one.as_stored() for one in self.all]}


def read_keeps(values: Mapping[str, Any]) -> tuple[KeptEndpoints, list[str]]:
    """The entries of a stored section, and the faults of unusable ones."""
    stored: Any = values.get("endpoints", [])
    if not isinstance(stored, list):
        return KeptEndpoints(), ["keeps: endpoints is not a list"]
    found: dict[int, KeptEndpoint] = {}
    wrong: list[str] = []
    for number, one in enumerate(cast("list[object]", stored)[:MAX_KEPT], 1):
        try:
            entry = KeptEndpoint.of(one)
            found.setdefault(entry.endpoint, entry)
        except ConfigError as error:
            wrong.append(f"keeps: entry {number}: {error.field} {error.problem}")
    return KeptEndpoints(tuple(found.values())), wrong
