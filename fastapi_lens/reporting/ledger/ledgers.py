"""Ledgers of callers for verdicts, put together from rows. Pure: no I/O, no clock.

Where a row does not tell, a call was not attributed: nothing unknown may make an endpoint look
safer to remove.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from fastapi_lens.reporting.ledger.caller_rows import StoredUse
from fastapi_lens.reporting.ledger.callers import Caller as NamedCaller
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.text.user_agents import is_program
from fastapi_lens.verdict.callers import Caller, Ledger
from fastapi_lens.verdict.history import NOISE_WINDOW

_NAMES = {
    CallerKind.NONE: "callers without a name",
    CallerKind.OTHERS: "callers that are forgotten or were too many to name",
}


@dataclass(frozen=True, slots=True)
class ShapeLedger:
    """The callers of all endpoints of one shape, as their rows tell.

    Attributes:
        attributed_from: The first day from which each call has a row.
        ledger: For the verdict. Its `since` is later if a name may have hidden several callers: a
            call under such a name is as one without a caller.
        noise_days: Days of the last `NOISE_WINDOW` on which noise called, or more.
        noise_names: The callers of these.
        refused_users: Callers that were refused in that time, and not refused at some time.
        last_day: Latest day of a use by anybody, noise included; -1 without any.
        last_used: Latest day of a use that is known to be no noise, or may be; -1 without any.
        last_used_at_us: Time of the latest use that is known to be no noise; 0 without any.
    """

    attributed_from: int
    ledger: Ledger
    noise_days: int = 0
    noise_names: tuple[str, ...] = ()
    refused_users: tuple[str, ...] = ()
    last_day: int = -1
    last_used: int = -1
    last_used_at_us: int = 0

    @classmethod
    def of(
        cls, uses: Iterable[StoredUse], *, unattributed_day: int, whole_from: int, today: int
    ) -> "ShapeLedger":
        """The callers of one shape.

        Args:
            uses: Of all its endpoints.
            unattributed_day: Last day with a call without a row; -1 without any.
            whole_from: First day from which on no rows are deleted, and all calls are counted.
            today: The present day.
        """
        found = [_until(use, today) for use in merged(uses)]
        if any(use.is_damaged for use in found):
            unattributed_day = today
        attributed_from = min(today, max(unattributed_day, whole_from - 1)) + 1
        used = [use for use in found if use.days]
        people = [use for use in used if not use.caller.is_noise]
        noise = [(use, _days_within(use, today)) for use in used if use.caller.is_noise]
        refused = [use for use in people if use.refused_day > today - NOISE_WINDOW]
        hidden_day = max((use.last_day for use in people if hides_several(use.caller)), default=-1)
        return cls(
            attributed_from=attributed_from,
            ledger=Ledger(max(attributed_from, hidden_day + 1), tuple(map(_caller, used))),
            noise_days=min(NOISE_WINDOW, sum(days for _, days in noise)),
            noise_names=tuple(_name(use.caller) for use, days in noise if days),
            refused_users=tuple(_name(use.caller) for use in refused),
            last_day=max((use.last_day for use in used), default=-1),
            last_used=max((unattributed_day, *(use.last_day for use in people))),
            last_used_at_us=max((use.last_at_us for use in people), default=0),
        )

    def without_noise(self, last_used: int | None) -> int | None:
        """The day of the last use that was no noise; None if there was none.

        Args:
            last_used: The day of the last use by anybody; None without any.
        """
        if last_used is None or not self.attributed_from <= last_used <= self.last_day:
            # Some use has no row, and may be anybody's.
            return last_used
        return min(last_used, self.last_used) if self.last_used >= 0 else None


def hides_several(caller: NamedCaller) -> bool:
    """True if several callers may share a name: then a rare one hides behind a frequent one."""
    if caller.kind is CallerKind.AGENT:
        return is_program(caller.own_name)
    return caller.kind in _NAMES


def merged(uses: Iterable[StoredUse]) -> list[StoredUse]:
    """The rows of some endpoints added up by caller."""
    by_caller: dict[int, list[StoredUse]] = {}
    for use in uses:
        by_caller.setdefault(use.caller.id, []).append(use)
    # By their first day, because a gap may lie between two rows.
    return [
        reduce(_sum, sorted(rows, key=lambda use: (use.first_day, use.last_day)))
        for rows in by_caller.values()
    ]


def _sum(one: StoredUse, other: StoredUse) -> StoredUse:
    """Two rows of one caller, of which the first begins no later."""
    days = one if one.days else other
    if one.days and other.days:
        # Some days of both may be the same. Too few of them let a use seem rare.
        common = max(0, 1 + min(one.last_day, other.last_day) - other.first_day)
        days = replace(
            one,
            first_at_us=min(one.first_at_us, other.first_at_us),
            last_at_us=max(one.last_at_us, other.last_at_us),
            last_day=max(one.last_day, other.last_day),
            days=max(one.days, other.days, one.days + other.days - common),
            longest_gap=max(one.longest_gap, other.longest_gap, other.first_day - one.last_day),
        )
    return replace(
        days,
        calls=one.calls + other.calls,
        refused=one.refused + other.refused,
        errors_5xx=one.errors_5xx + other.errors_5xx,
        refused_day=max(one.refused_day, other.refused_day),
        is_damaged=one.is_damaged or other.is_damaged,
    )


def _until(use: StoredUse, today: int) -> StoredUse:
    """A row without days after today, which come from clocks ahead of ours."""
    # A copy is expensive, and few rows need one.
    if use.first_day <= use.last_day <= today:
        return use
    last = min(use.last_day, today)
    return replace(use, first_day=min(use.first_day, last), last_day=last)


def _days_within(use: StoredUse, today: int) -> int:
    """Days of a caller in the last `NOISE_WINDOW`, or more: not all are known."""
    begin = max(use.first_day, today - NOISE_WINDOW + 1)
    return max(0, min(use.days, use.last_day - begin + 1))


def _caller(use: StoredUse) -> Caller:
    return Caller(
        name=_name(use.caller),
        first_day=use.first_day,
        last_day=use.last_day,
        days=use.days,
        longest_gap=use.longest_gap,
        is_noise=use.caller.is_noise,
        # A damaged row does not tell, either, how rarely anybody came.
        is_several=use.is_damaged or use.caller.kind is CallerKind.OTHERS,
    )


def _name(caller: NamedCaller) -> str:
    """A name as it stands in a sentence."""
    return caller.label or _NAMES.get(caller.kind, caller.name)
