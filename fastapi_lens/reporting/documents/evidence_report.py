"""Models of the evidence as JSON. Programs depend on every name in them. No I/O."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel

from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.evidence.gone import Gone
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.reporting.ledger.callers import AppCallers, CallerUse, ListedCallers
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.verdict.cadence import Pattern
from fastapi_lens.verdict.days import date_of
from fastapi_lens.verdict.history import Keep, KeepSource
from fastapi_lens.verdict.level import Level, latest_keep
from fastapi_lens.verdict.reasons import Code
from fastapi_lens.verdict.sentences import sentence

FORMAT = 1
"""Number of the format, which grows when a key is renamed, removed or retyped."""


_NOBODY = ListedCallers()


def iso_date(day: int | None) -> str | None:
    """A day number as 2027-03-09; None stays."""
    return None if day is None else date_of(day).isoformat()


class Observed(BaseModel):
    """The observed time: from a day to the end of a minute, both None before the first minute.

    `holes` are pairs of dates.
    """

    since: float | None
    until: float | None
    days: int
    hole_days: int
    holes: list[tuple[str | None, str | None]]

    @classmethod
    def of(cls, observation: Observation) -> Self:
        """The observed time of an app."""
        since, today = observation.since_day, observation.today
        return cls(
            since=None if since is None else float(since * SECONDS_PER_DAY),
            until=observation.until,
            days=0 if since is None else today - since + 1,
            hole_days=observation.hole_days,
            holes=[(iso_date(first), iso_date(last)) for first, last in observation.holes],
        )


class CallersSince(BaseModel):
    """The time from which on each call has a caller; `complete` if each of them has a name."""

    since: float
    complete: bool

    @classmethod
    def of(cls, callers: AppCallers) -> Self | None:
        """The time of an app; None if no caller was recorded."""
        if callers.since is None:
            return None
        return cls(since=callers.since, complete=callers.is_complete)


class NeedDays(BaseModel):
    """Silent days that the verdicts ask for."""

    probably: float
    safe: float


class ReasonCode(BaseModel):
    """A reason: its code and its numbers, which differ between codes; days are day numbers."""

    model_config = {"extra": "allow"}

    code: Code


class EvidenceCaller(BaseModel):
    """One caller of an endpoint; `key` is the last part of the address of its page.

    Times and days are those of uses: None and 0 if it was only refused. Calls include refused ones.
    """

    name: str
    last_at: float | None
    first_at: float | None
    days: int
    longest_gap_days: int
    calls: int
    noise: bool
    key: str
    kind: CallerKind

    @classmethod
    def of(cls, use: CallerUse) -> Self:
        """A caller from its use of the endpoint."""
        return cls(
            name=use.caller.name,
            last_at=use.last_at,
            first_at=use.first_at,
            days=use.days,
            longest_gap_days=use.longest_gap_days,
            calls=use.calls,
            noise=use.caller.is_noise,
            key=use.caller.key,
            kind=use.caller.kind,
        )


class EndpointReleases(BaseModel):
    """Names of releases; None where it is not known, or has not happened."""

    introduced: str | None
    first_called: str | None
    last_called: str | None
    removed: str | None


class Deprecation(BaseModel):
    """Marks of a deprecated endpoint: dates, None where none was given."""

    since: str | None
    sunset: str | None


class Kept(BaseModel):
    """The decision to keep an endpoint on purpose, up to the day `until`."""

    reason: str
    until: str | None
    source: KeepSource

    @classmethod
    def of(cls, keep: Keep | None, today: int) -> Self | None:
        """The decision that holds today; None if there is none."""
        if keep is None or keep.until < today:
            return None
        return cls(reason=keep.reason, until=iso_date(keep.until), source=keep.source)


class CallsSinceRemoval(BaseModel):
    """Calls of a removed endpoint that were answered with 404; `last_at` is the begin of a day."""

    calls: int
    noise_calls: int
    days: int
    last_at: float | None

    @classmethod
    def of(cls, gone: Gone | None) -> Self | None:
        """The calls since a removal; None without any."""
        if gone is None:
            return None
        last = gone.last_day
        return cls(
            calls=gone.calls,
            noise_calls=gone.noise_calls,
            days=gone.days,
            last_at=None if last is None else float(last * SECONDS_PER_DAY),
        )


class EndpointEvidence(BaseModel):
    """One endpoint with its verdict.

    Times are seconds since the epoch (UTC), dates ISO 8601. Those that are in the routes have
    `removed_at` None; the others are here because they were still called, see `gone`. Pattern,
    longest gap, needed days and dates are None for an endpoint that was used in the last seven
    days, because they are not read then. `safe_from` is None as well for a WebSocket, which
    waiting never makes safe to remove. Callers are those that used it under any names of its path
    parameters, the latest first, and then those that were only refused, in the last 90 days;
    `more_callers` used it and are not listed.
    """

    key: str
    method: str
    path: str
    shape: str
    source: str
    verdict: Level
    probably_from: str | None
    safe_from: str | None
    last_used_at: float | None
    last_called_at: float | None
    first_seen_at: float
    present_since: float
    removed_at: float | None
    silence_days: int
    hole_days: int
    pattern: Pattern | None
    longest_gap_days: int | None
    need_days: NeedDays | None
    excluded: dict[str, bool]
    reasons: list[ReasonCode]
    sentences: list[str]
    callers: list[EvidenceCaller]
    more_callers: int
    releases: EndpointReleases
    deprecated: Deprecation | None
    kept: Kept | None
    gone: CallsSinceRemoval | None

    @classmethod
    def of(cls, judged: Judged, callers: ListedCallers) -> Self:
        """The evidence of one endpoint."""
        endpoint, verdict, history = judged.endpoint, judged.verdict, judged.history
        return cls(
            key=endpoint.key,
            method=endpoint.method,
            path=endpoint.path,
            shape=judged.shape,
            source=endpoint.source,
            verdict=verdict.level,
            last_used_at=judged.last_used_at,
            last_called_at=endpoint.last_called_at,
            first_seen_at=endpoint.first_seen_at,
            present_since=judged.present_since,
            removed_at=judged.removed_at,
            silence_days=verdict.silence_days,
            hole_days=verdict.hole_days,
            excluded={str(one.cadence): one.is_excluded for one in verdict.exclusions},
            reasons=[ReasonCode(code=one.code, **one.numbers) for one in verdict.reasons],
            sentences=[sentence(one) for one in verdict.reasons],
            callers=[EvidenceCaller.of(one) for one in callers.uses],
            more_callers=callers.more,
            releases=_releases_of(judged),
            deprecated=Deprecation(since=None, sunset=None) if endpoint.deprecated else None,
            kept=Kept.of(latest_keep(history), history.today),
            gone=CallsSinceRemoval.of(judged.gone),
            **_of_days(judged),
        )


class IgnoredEndpoint(BaseModel):
    """An endpoint that a rule of the settings ignores, so that nothing is known of its use."""

    key: str
    method: str
    path: str
    source: str
    first_seen_at: float

    @classmethod
    def of(cls, endpoint: Endpoint) -> Self:
        """The same as JSON."""
        return cls(
            key=endpoint.key,
            method=endpoint.method,
            path=endpoint.path,
            source=endpoint.source,
            first_seen_at=endpoint.first_seen_at,
        )


class Evidence(BaseModel):
    """``GET /lens/report/evidence``: all endpoints, by path and method, with their verdicts."""

    fastapi_lens_evidence: int
    generated_at: float
    app: str
    environment: str | None
    releases: list[str]
    observed: Observed
    callers: CallersSince | None
    twins: list[str]
    endpoints: list[EndpointEvidence]
    ignored: list[IgnoredEndpoint]

    @classmethod
    def of(
        cls,
        evidence: AppEvidence,
        callers: AppCallers,
        *,
        app: str,
        now: float,
        environment: str | None = None,
    ) -> Self:
        """The evidence of an app as JSON.

        Args:
            evidence: As it was read.
            callers: Of all its endpoints.
            app: Name of the app.
            now: Epoch seconds.
            environment: Its environment, such as ``production``.
        """
        listed = callers.by_endpoint
        return cls(
            fastapi_lens_evidence=FORMAT,
            generated_at=now,
            app=app,
            environment=environment,
            releases=list(evidence.releases),
            observed=Observed.of(evidence.observation),
            callers=CallersSince.of(callers),
            twins=list(evidence.twins),
            endpoints=[
                EndpointEvidence.of(one, listed.get(one.endpoint.id, _NOBODY))
                for one in yield_gil(evidence.every)
            ],
            ignored=[IgnoredEndpoint.of(one) for one in evidence.ignored],
        )


def _of_days(judged: Judged) -> Mapping[str, Any]:
    """The fields that follow from the used days."""
    verdict = judged.verdict
    if not judged.is_read:
        names = ("probably_from", "safe_from", "pattern", "longest_gap_days", "need_days")
        return dict.fromkeys(names)
    needs = NeedDays(probably=verdict.need_probably_days, safe=verdict.need_safe_days)
    return {
        "probably_from": iso_date(verdict.probably_from),
        "safe_from": iso_date(verdict.safe_from),
        "pattern": verdict.pattern,
        "longest_gap_days": verdict.longest_gap_days,
        "need_days": needs,
    }


def _releases_of(judged: Judged) -> EndpointReleases:
    return EndpointReleases(
        introduced=judged.introduced or None,
        first_called=judged.first_called or None,
        last_called=judged.last_called or None,
        removed=None if judged.removed_at is None else judged.last_release or None,
    )
