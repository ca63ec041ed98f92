"""Reasons of a verdict: codes with numbers, from which sentences are made. Pure data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

Number = int | str | Sequence[int] | Sequence[str] | Sequence[tuple[int, int]] | None
"""A number of a reason. Keys that end in ``_day`` are day numbers, all others count days or things;
names are of callers, cadences and sources."""


class Code(StrEnum):
    """Codes of reasons; `sentences` documents the numbers of each."""

    # What was seen.
    SILENT = "silent"
    USED_BEFORE = "used_before"
    CALLERS_GONE = "callers_gone"
    NO_NOISE = "no_noise"
    NEXT_DUE = "next_due"
    # What decides, or what the verdict waits for.
    KEPT = "kept"
    KEEP_ENDED = "keep_ended"
    NEVER_CALLED = "never_called"
    NOT_OBSERVED = "not_observed"
    LONGER_THAN_EVER = "longer_than_ever"
    ONLY_NOISE = "only_noise"
    WEBSOCKET = "websocket"
    IRREGULAR = "irregular"
    CADENCE_DECLARED = "cadence_declared"
    HIDDEN_RARE_CALLER = "hidden_rare_caller"
    CALLER_NOT_EXCLUDED = "caller_not_excluded"
    YEARLY_NOT_EXCLUDED = "yearly_not_excluded"
    CADENCES_NOT_EXCLUDED = "cadences_not_excluded"
    DAYS_NOT_SEEN = "days_not_seen"
    DATES = "dates"
    CANNOT_TELL = "cannot_tell"

    @property
    def is_evidence(self) -> bool:
        """True for what was seen; all others are limits, doubts, and decisions of people."""
        return self in _EVIDENCE


_EVIDENCE = frozenset({Code.SILENT, Code.USED_BEFORE, Code.CALLERS_GONE, Code.NO_NOISE})


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason.

    Attributes:
        code: Which.
        numbers: By name, as the sentence of the code asks for them; JSON can hold them.
    """

    code: Code
    numbers: Mapping[str, Number]
