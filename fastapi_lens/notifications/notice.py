"""A notification as data, and its JSON. Pure; knows no receiver.

Programs depend on every name in the JSON, see docs/notifications.md.
"""

from enum import StrEnum

from pydantic import BaseModel

from fastapi_lens.notifications.alerts import Phase

FORMAT = 1
"""Number of the format, which grows when a key is renamed, removed or retyped."""


class Kind(StrEnum):
    """Kinds of notifications."""

    ALERT = "alert"
    DIGEST = "digest"
    TEST = "test"


class Listed(StrEnum):
    """Why an endpoint is in a notification."""

    ERRORS = "errors"
    SLOW = "slow"
    DEPRECATED = "deprecated"
    DEAD = "dead"
    NEVER_CALLED = "never_called"
    SAFE_TO_REMOVE = "safe_to_remove"


class EndpointNote(BaseModel):
    """One endpoint in a notification.

    Times are seconds since the epoch (UTC), durations milliseconds, shares 0 to 1. `phase` and
    `since` are None in a digest. `calls` and what follows are those of the last hour in an alert,
    and of the week in a digest; None where they are not what the note is about. `url` is None
    without `public_url`.
    """

    reason: Listed
    phase: Phase | None
    key: str
    method: str
    path: str
    since: float | None = None
    calls: int | None = None
    errors_5xx: int | None = None
    error_share: float | None = None
    p95_ms: float | None = None
    last_called_at: float | None = None
    url: str | None = None


class Totals(BaseModel):
    """Calls of all endpoints in a period, and the share of 5xx among them: 0 to 1."""

    calls: int
    errors_5xx: int
    error_share: float


class Week(BaseModel):
    """The week of a digest; `before` is None while fewer than two weeks were recorded."""

    begin: float
    end: float
    now: Totals
    before: Totals | None


class Notice(BaseModel):
    """A notification: `id` is the same each time that it is sent.

    `title` and `lines` are plain text. `more` counts endpoints that are left out of `endpoints`.
    """

    fastapi_lens_event: int = FORMAT
    id: str
    kind: Kind
    app: str
    environment: str | None
    created_at: float
    title: str
    lines: list[str] = []
    week: Week | None = None
    endpoints: list[EndpointNote] = []
    more: int = 0
    url: str | None = None
