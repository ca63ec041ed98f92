"""The state of an app's notifications as stored text: standing alerts, and what waits to be sent.

Pure. All workers of an app share it, so that none sends what another one has sent.
"""

from typing import Self

from pydantic import BaseModel, ValidationError

from fastapi_lens.notifications.alerts import Rule, Standing, Standings, Subject
from fastapi_lens.notifications.notice import Kind, Notice


class StoredStanding(BaseModel):
    """A standing of an alert."""

    rule: Rule
    key: str
    since: int | None
    is_told: bool
    told_at: int | None


class Waiting(BaseModel):
    """A notification that is to be sent.

    Attributes:
        tries: Attempts so far.
        next_at: Epoch seconds of the next one.
    """

    notice: Notice
    tries: int = 0
    next_at: int = 0


class Outcome(BaseModel):
    """The result of the last attempts, for the settings page.

    Attributes:
        sent_at: Epoch seconds of the latest that was delivered; None before the first.
        sent_kind: Its kind.
        failed_at: Epoch seconds of the latest failure since then; None without any.
        problem: Why it failed, as a phrase.
    """

    sent_at: int | None = None
    sent_kind: Kind | None = None
    failed_at: int | None = None
    problem: str = ""


class State(BaseModel):
    """The state of an app's notifications.

    Attributes:
        changes: Number of changes, so that no two states are the same text.
        quiet: For each rule that was looked at, the setting it went by, in words. A rule whose
            setting is another one is looked at as if for the first time.
        digest_for: Time of the last digest that was due; None before the first look.
    """

    changes: int = 0
    quiet: dict[Rule, str] = {}
    standings: list[StoredStanding] = []
    digest_for: int | None = None
    waiting: list[Waiting] = []
    outcome: Outcome = Outcome()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a stored state; an empty or unreadable one is that of the beginning."""
        try:
            return cls.model_validate_json(text or "{}")
        except ValidationError:
            return cls()

    def text(self) -> str:
        """The state as text, which `parse` reads."""
        return self.model_dump_json(exclude_defaults=True)

    def as_standings(self) -> Standings:
        """The standings of all alerts."""
        return {
            Subject(one.rule, one.key): Standing(one.since, one.is_told, one.told_at)
            for one in self.standings
        }


def stored(standings: Standings) -> list[StoredStanding]:
    """Standings as they are stored."""
    return [
        StoredStanding(
            rule=subject.rule,
            key=subject.key,
            since=one.since,
            is_told=one.is_told,
            told_at=one.told_at,
        )
        for subject, one in standings.items()
    ]
