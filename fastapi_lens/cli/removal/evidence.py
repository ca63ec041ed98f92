"""Evidence of use as `check` reads it: the JSON of ``/lens/report/evidence``. No I/O.

Only what is used here is read, so that other releases may add to it. What is read is checked:
a document that could be misunderstood is damaged, never a pass.
"""

from math import inf
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.text.methods import MAX_METHOD_LENGTH
from fastapi_lens.text.sources import file_and_line
from fastapi_lens.verdict.level import Level

FORMAT: Final = 1
_SIGN: Final = "fastapi_lens_evidence"
SECONDS_PER_HOUR = 3_600
CLOCK_TOLERANCE_HOURS = 1.0
"""Hours by which the clock that wrote the evidence may be ahead of this one."""

IGNORED: Final = "A rule of the settings ignores it, so nothing is known of its use."
"""The reason why too little is known of an ignored endpoint."""

_LATEST_TIME = 253_402_300_799
"""The end of the year 9999 in epoch seconds."""

Time = Annotated[float, Field(ge=0, le=_LATEST_TIME)]
Key = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Method = Annotated[str, Field(min_length=1, max_length=MAX_METHOD_LENGTH)]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class CallerEvidence(_Part):
    """One caller of an endpoint that used it.

    Attributes:
        last_at: Of its last use, epoch seconds.
        noise: True for a bot, a health check or a test.
    """

    name: str
    last_at: Time
    noise: bool = False


class RefusedEvidence(_Part):
    """One caller of an endpoint that was only refused, so that a removal takes nothing from it."""

    name: str
    last_at: None


class ReleasesEvidence(_Part):
    """Releases of an endpoint; those that are not known are empty or None."""

    introduced: str | None = None
    last_called: str | None = None


class EndpointEvidence(_Part):
    """One endpoint of production.

    Attributes:
        key: The last part of the address of its page.
        source: File and line of its handler, ``shop/exports.py:77``; may be empty.
        removed_at: Epoch seconds; None while production has it in its routes.
        pattern: Of its uses; None where it is not known.
        sentences: The reasons of the verdict.
        callers: Those that used it, the latest first, and some that were only refused.
        more_callers: Number of those that used it and are left out.
        is_recorded: False where a rule of the settings ignores it.
    """

    is_recorded: ClassVar[bool] = True

    key: Key
    method: Method
    path: str
    source: str = ""
    verdict: Level
    probably_from: Day | None
    safe_from: Day | None
    last_used_at: Time | None
    first_seen_at: Time
    removed_at: Time | None
    pattern: str | None = None
    sentences: tuple[str, ...] = ()
    callers: tuple[CallerEvidence | RefusedEvidence, ...] = ()
    more_callers: Annotated[int, Field(ge=0)] = 0
    releases: ReleasesEvidence = ReleasesEvidence()

    @property
    def name(self) -> str:
        """Method and path, as waivers name it: ``POST /v1/exports``."""
        return f"{self.method} {self.path}"

    @property
    def file(self) -> str:
        """The file of its handler in production; empty where it is not known."""
        return file_and_line(self.source)[0]


class UnrecordedEndpoint(EndpointEvidence):
    """One endpoint of production of whose use nothing is known."""

    is_recorded: ClassVar[bool] = False


class IgnoredEvidence(_Part):
    """One endpoint of production that a rule of its settings ignores."""

    key: Key
    method: Method
    path: str
    source: str = ""
    first_seen_at: Time

    @property
    def judged(self) -> EndpointEvidence:
        """The endpoint as one of which too little was observed: not even its calls."""
        return UnrecordedEndpoint(
            key=self.key,
            method=self.method,
            path=self.path,
            source=self.source,
            verdict=Level.NOT_ENOUGH_OBSERVATION,
            probably_from=None,
            safe_from=None,
            last_used_at=None,
            first_seen_at=self.first_seen_at,
            removed_at=None,
            sentences=(IGNORED,),
        )


class CallersEvidence(_Part):
    """The time from which on callers are known.

    Attributes:
        since: Epoch seconds.
    """

    since: Time


class ObservedEvidence(_Part):
    """The time in which production was observed.

    Attributes:
        since: Epoch seconds; None if it never was.
        until: End of the last observed minute in epoch seconds; None if it is not known.
    """

    since: Time | None
    until: Time | None = None
    days: Annotated[int, Field(ge=0)]
    hole_days: Annotated[int, Field(ge=0)]


class Evidence(_Part):
    """The endpoints of one application in production, with a verdict on each.

    Attributes:
        callers: None where callers are not recorded.
        ignored: Endpoints in its routes that are not recorded.
    """

    fastapi_lens_evidence: Literal[1]
    generated_at: Time
    app: str
    environment: str | None = None
    observed: ObservedEvidence
    callers: CallersEvidence | None = None
    endpoints: tuple[EndpointEvidence, ...]
    ignored: tuple[IgnoredEvidence, ...] = ()

    @property
    def recorded(self) -> list[EndpointEvidence]:
        """Those that production has in its routes, and records."""
        return [endpoint for endpoint in self.endpoints if endpoint.removed_at is None]

    @property
    def present(self) -> list[EndpointEvidence]:
        """Those that production has in its routes."""
        return self.recorded + [endpoint.judged for endpoint in self.ignored]

    @property
    def recorded_since(self) -> float:
        """The time at which the first endpoint was seen; infinite where none is known."""
        return min((one.first_seen_at for one in self.endpoints if one.first_seen_at), default=inf)


def parsed(text: bytes, source: str) -> Evidence:
    """The evidence in a document.

    Args:
        text: JSON in UTF-8.
        source: The document's name in errors.

    Raises:
        CommandError: It is damaged, of another format, or something else.
    """
    try:
        return Evidence.model_validate_json(text)
    except ValidationError as error:
        faults = {".".join(map(str, fault["loc"])): fault["msg"] for fault in error.errors()}
    if _SIGN in faults:
        raise CommandError(
            Exit.BAD_FILE,
            f"{source} is not evidence of format {FORMAT}: write it with 'python -m fastapi_lens "
            "evidence', of the same release as here",
        )
    # The faulty value itself may be anything, and is not shown.
    where, problem = next(iter(faults.items()))
    raise CommandError(
        Exit.BAD_FILE,
        f"{source} is damaged{where and f' at {where}'}: {problem}; write it again",
    )


def require_fresh(evidence: Evidence, source: str, *, max_age_hours: float, now: float) -> None:
    """Refuse evidence that is no longer, or not yet, about production's use.

    Args:
        evidence: As it was read.
        source: The document's name in errors.
        max_age_hours: The oldest that is allowed.
        now: Epoch seconds.

    Raises:
        CommandError: It is older than allowed, from the future, of a time in which nothing was
            observed, or has no endpoint.
    """
    age, observed_until = (now - evidence.generated_at) / SECONDS_PER_HOUR, evidence.observed.until
    # Written so that an age that is no number is refused, too.
    if not age <= max_age_hours:
        raise CommandError(
            Exit.UNREACHABLE,
            f"{source} is {age:,.0f} hours old, and --max-age-hours allows {max_age_hours:g}: "
            "get new evidence",
        )
    if age < -CLOCK_TOLERANCE_HOURS:
        raise CommandError(
            Exit.UNREACHABLE,
            f"{source} was written {-age:,.0f} hours in the future: set the clocks of this host "
            "and of production",
        )
    unseen = 0.0 if observed_until is None else evidence.generated_at - observed_until
    if unseen > max_age_hours * SECONDS_PER_HOUR:
        raise CommandError(
            Exit.UNREACHABLE,
            f"{source} is new, but {evidence.app} had recorded nothing for "
            f"{unseen / SECONDS_PER_HOUR:,.0f} hours, and --max-age-hours allows "
            f"{max_age_hours:g}: is this the database, and the name, of the application that runs?",
        )
    if not evidence.present:
        raise CommandError(
            Exit.UNREACHABLE,
            f"{source} has no endpoint: production has recorded nothing, so nothing can be said",
        )
