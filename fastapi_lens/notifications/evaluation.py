"""Evaluation of the rules and the digest: from the state before to the state after. Sends nothing.

What is to be sent waits in the state. The caller stores it before anything is sent, so a message is
sent at least once, whoever dies when; its id stays the same.
"""

import secrets
from dataclasses import dataclass

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.notifications.alerts import Rule, follow
from fastapi_lens.notifications.digest import is_due, last_due, read_digest
from fastapi_lens.notifications.findings import (
    Findings,
    alert_notes,
    read_load,
    read_silence,
)
from fastapi_lens.notifications.notice import Kind, Notice
from fastapi_lens.notifications.sentences import (
    alert_lines,
    alerts_title,
    digest_lines,
    digest_title,
    heading,
)
from fastapi_lens.notifications.state import State, Waiting, stored
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.storage.engine.texts import storable

LOAD_SECONDS = 60
SILENCE_SECONDS = 3_600
"""Seconds between two looks at rules."""

MOST_WAITING = 10
"""Notifications that wait at most; the oldest go first."""

MOST_ENDPOINTS = 50
"""Endpoints of one notification; of more it has the number."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The app that notifications come from.

    Attributes:
        app: Its name.
        config: The active settings.
        reader: Of its counts.
    """

    app: str
    config: LensConfig
    reader: Reader

    def notice(self, kind: Kind, what: str, lines: list[str], *, now: float) -> Notice:
        """A notification of this app, with an id of its own."""
        environment = self.config.environment and storable(self.config.environment)
        return Notice(
            id=secrets.token_hex(16),
            kind=kind,
            app=self.app,
            environment=environment,
            created_at=float(int(now)),
            title=heading(self.app, environment, what),
            lines=lines,
            url=None if self.config.public_url is None else f"{self.config.public_url}/",
        )


class Evaluation:
    """Looks at the rules, each as often as it has to be.

    The times of the looks are in memory: a worker that takes over looks at everything at once,
    which finds nothing new where the worker before has just looked.
    """

    def __init__(self) -> None:
        """Look at everything at the first time."""
        self._load_at = self._silence_at = float("-inf")

    def after(self, state: State, origin: Origin, *, now: float) -> State:
        """The state after everything that is due was looked at; equal if nothing has changed.

        Args:
            state: The state before.
            origin: The app that notifications come from.
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        if _is_over(self._load_at, LOAD_SECONDS, now):
            findings = read_load(origin.reader, origin.config, now=now)
            state = _with_alerts(state, findings, origin, now=now)
            self._load_at = now
        if _is_over(self._silence_at, SILENCE_SECONDS, now):
            findings = read_silence(origin.reader, origin.config, now=now)
            state = _with_alerts(state, findings, origin, now=now)
            self._silence_at = now
        return _with_digest(state, origin, now=now)


def _is_over(looked_at: float, seconds: int, now: float) -> bool:
    # In both directions: after a clock was set back, nothing must wait until the former time.
    return abs(now - looked_at) >= seconds


def _with_alerts(state: State, findings: Findings, origin: Origin, *, now: float) -> State:
    config = origin.config
    quiet = {rule: words for rule in findings.rules if (words := _quiet_words(rule, config))}
    standings, alerts = follow(
        state.as_standings(),
        findings.findings,
        rules=findings.rules,
        quiet=[rule for rule, words in quiet.items() if state.quiet.get(rule) != words],
        now=int(now),
    )
    others = {rule: words for rule, words in state.quiet.items() if rule not in findings.rules}
    state = state.model_copy(update={"standings": stored(standings), "quiet": {**others, **quiet}})
    if not alerts:
        return state
    notes = alert_notes(alerts, findings.endpoints, public_url=config.public_url)
    lines = alert_lines(notes, limit_ms=config.slow_threshold_ms, now=now)
    notice = origin.notice(Kind.ALERT, alerts_title(notes), lines, now=now)
    listed = {"endpoints": notes[:MOST_ENDPOINTS], "more": max(0, len(notes) - MOST_ENDPOINTS)}
    return with_waiting(state, notice.model_copy(update=listed))


def _quiet_words(rule: Rule, config: LensConfig) -> str:
    """The setting by which a rule on last calls goes; empty for other rules, and if it is off."""
    match rule:
        case Rule.DEAD if config.alert_dead:
            return f"{config.dead_threshold_days:g} days"
        case Rule.DEPRECATED if config.alert_deprecated:
            return "on"
        case _:
            return ""


def _with_digest(state: State, origin: Origin, *, now: float) -> State:
    due = last_due(origin.config.digest_day, now)
    if is_due(due, sent_for=state.digest_for, now=now):
        week, notes, counts = read_digest(origin.reader, origin.config, now=now)
        lines = digest_lines(week, notes, counts)
        notice = origin.notice(Kind.DIGEST, digest_title(week), lines, now=now)
        more = sum(counts.values()) - len(notes)
        notice = notice.model_copy(update={"week": week, "endpoints": notes, "more": more})
        state = with_waiting(state, notice)
    # Never back: an earlier day of the week would let the same digest be sent twice.
    if due is not None and (state.digest_for is None or due > state.digest_for):
        return state.model_copy(update={"digest_for": due})
    return state


def with_waiting(state: State, notice: Notice) -> State:
    """The state with one more notification to send."""
    waiting = [*state.waiting, Waiting(notice=notice)][-MOST_WAITING:]
    return state.model_copy(update={"waiting": waiting})
