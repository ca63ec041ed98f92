"""Whatever callers did, their rows never make an endpoint look safer than what they did tells."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_lens.reporting.evidence.evidence_rows import Calls, Stored
from fastapi_lens.reporting.evidence.histories import DAY_US, Present, Shape
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.reporting.ledger.caller_rows import StoredUse
from fastapi_lens.reporting.ledger.callers import Caller
from fastapi_lens.reporting.ledger.ledgers import merged
from fastapi_lens.reporting.totals.endpoint_rows import FACTS
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.storage.writing.use_totals import UseTotals
from fastapi_lens.verdict.days import Holes
from fastapi_lens.verdict.history import History
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.verdict import Verdict, verdict_of
from tests.reporting.past import TODAY

pytestmark = pytest.mark.unit

SAFETY = {Level.SAFE_TO_REMOVE: 2, Level.PROBABLY_UNUSED: 1}
BORN = TODAY - 900
ENDPOINT_ID = 1
DAYS = st.integers(BORN, TODAY)
PEOPLE = (
    Caller(id=1, kind=CallerKind.HOOK, name="billing", own_name="billing"),
    Caller(id=2, kind=CallerKind.KEY, name="key …beef", own_name="key …beef"),
    Caller(id=3, kind=CallerKind.NONE, name="no name", own_name="no name"),
    Caller(id=4, kind=CallerKind.AGENT, name="curl", own_name="curl"),
)
OTHERS = Caller(id=OTHERS_ID, kind=CallerKind.OTHERS, name="others", own_name="others")
NOISE = (
    Caller(id=5, kind=CallerKind.AGENT, name="kube-probe", own_name="kube-probe", is_noise=True),
    Caller(id=6, kind=CallerKind.AGENT, name="Prometheus", own_name="Prometheus", is_noise=True),
)


@dataclass(frozen=True)
class Came:
    """The days on which a caller used an endpoint, or was refused."""

    caller: Caller
    days: tuple[int, ...]
    refused: tuple[int, ...] = ()

    def row(self, endpoint_id: int = ENDPOINT_ID) -> StoredUse:
        """The row of the ledger, as the drain adds it up."""
        days = sorted(set(self.days))
        return StoredUse(
            endpoint_id=endpoint_id,
            caller=self.caller,
            calls=len(self.days) + len(self.refused),
            refused=len(self.refused),
            errors_5xx=0,
            first_at_us=min(days, default=0) * DAY_US,
            last_at_us=max(days, default=0) * DAY_US,
            first_day=min(days, default=0),
            last_day=max(days, default=0),
            days=len(days),
            longest_gap=gap_of(days),
            refused_day=max(self.refused, default=0),
            is_damaged=False,
        )


def gap_of(days: Iterable[int]) -> int:
    return max((after - before for before, after in pairwise(sorted(set(days)))), default=0)


@st.composite
def visits(draw: st.DrawFn, callers: Sequence[Caller]) -> Came:
    """A caller with regular and other days, up to some day."""
    period, last = draw(st.sampled_from([1, 7, 30, 92, 300])), draw(DAYS)
    steady = range(last, max(BORN, last - period * draw(st.integers(1, 400))) - 1, -period)
    some = draw(st.lists(DAYS, max_size=3)) if draw(st.booleans()) else []
    refused = draw(st.lists(DAYS, max_size=2))
    return Came(draw(st.sampled_from(callers)), (*steady, *some), tuple(refused))


def unique(found: list[Came]) -> list[Came]:
    return list({came.caller.id: came for came in found}.values())


PEOPLE_CAME = st.lists(visits(PEOPLE), max_size=3).map(unique)
NOISE_CAME = st.lists(visits(NOISE), max_size=2).map(unique)
WITHOUT_A_CALLER: st.SearchStrategy[list[int]] = st.lists(DAYS, max_size=4)
RUNS = st.lists(st.tuples(DAYS, st.integers(0, 60)), max_size=3)
FAR = 1 << 40
DAMAGES: Sequence[Callable[[StoredUse], StoredUse]] = (
    lambda row: replace(row, first_day=FAR, is_damaged=True),
    lambda row: replace(row, last_day=FAR, is_damaged=True),
    lambda row: replace(row, days=FAR, is_damaged=True),
    lambda row: replace(row, longest_gap=FAR, is_damaged=True),
)


def history(
    came: Sequence[Came],
    *,
    unattributed: Sequence[int] = (),
    holes: Sequence[tuple[int, int]] = (),
    rows: Sequence[StoredUse] | None = None,
) -> History:
    """The history of an endpoint.

    Args:
        came: Its callers.
        unattributed: Days of uses without a caller.
        holes: First days, and how many follow.
        rows: The rows of the callers, unless they are those of `came`.
    """
    used = sorted({*unattributed, *(day for each in came for day in each.days)})
    refused = [day for each in came for day in each.refused]
    known = [day for each in came for day in (*each.days, *each.refused)]
    last_called, last_known = max((*used, *refused), default=0), max(known, default=0)
    facts: dict[str, object] = dict.fromkeys((column.name for column in FACTS), 0)
    facts |= {"id": ENDPOINT_ID, "method": "GET", "path": "/", "kind": "http", "name": "read"}
    facts |= {"first_seen_at": BORN * DAY_US, "total_calls": len(used) + len(refused)}
    facts |= {"first_called_at": min((*used, *refused), default=0) * DAY_US}
    facts |= {"last_called_at": last_called * DAY_US}
    row = Stored(
        facts=tuple(facts.values()),
        last_seen_at=TODAY * DAY_US,
        present_since=0,
        evidence_since=0,
        removed_at=0,
        last_used_at=max(used, default=0) * DAY_US,
        attributed_until=last_known * DAY_US,
        unattributed_at=max(unattributed, default=0) * DAY_US,
        shape_id=1,
        first_release_id=0,
        last_release_id=0,
        first_called_release_id=1,
        last_called_release_id=0,
        callers=len(came),
        overrides=None,
    )
    found = Holes.of((begin, min(TODAY, begin + length)) for begin, length in holes)
    observation = Observation(BORN - 1, TODAY, tuple(found), found.days())
    present = Present(TODAY * DAY_US, observation, 0, frozenset(), {})
    calls = Calls([day for day in used if day >= TODAY - 400])
    calls.refused = [day for day in refused if day > TODAY - 90]
    calls.weeks = [day // 7 * 7 for day in used if day // 7 <= (TODAY - 400) // 7]
    uses = [each.row() for each in came] if rows is None else rows
    shape = Shape([row], present).with_uses({ENDPOINT_ID: list(uses)})
    return shape.history(row, {ENDPOINT_ID: calls})


def is_safer(one: Verdict, other: Verdict) -> bool:
    """True if the first is safer to remove than the other, today or at a later day."""
    return is_safer_today(one, other) or any(
        (date or 0) < (than or 0)
        for date, than in (
            (one.probably_from, other.probably_from),
            (one.safe_from, other.safe_from),
        )
    )


def is_safer_today(one: Verdict, other: Verdict) -> bool:
    return SAFETY.get(one.level, 0) > SAFETY.get(other.level, 0)


@settings(max_examples=200)
@given(PEOPLE_CAME, NOISE_CAME, WITHOUT_A_CALLER)
def test_no_use_but_by_noise_is_ever_left_out(
    people: list[Came], noise: list[Came], unattributed: list[int]
) -> None:
    found = history([*people, *noise], unattributed=unattributed)
    true = {day for came in people for day in came.days} | set(unattributed)
    if true:
        assert found.last_used is not None
        assert found.last_used >= max(true)
    kept = {day for day in true if day >= TODAY - 400}
    assert kept <= set(found.days)
    assert isinstance(hash(found), int)


@settings(max_examples=200)
@given(PEOPLE_CAME, NOISE_CAME, WITHOUT_A_CALLER)
def test_noise_alone_does_not_end_a_silence_whose_callers_are_known(
    people: list[Came], noise: list[Came], unattributed: list[int]
) -> None:
    found = history([*people, *noise], unattributed=unattributed)
    true = {day for came in people for day in came.days} | set(unattributed)
    every = true | {day for came in noise for day in came.days}
    if every and max(every) > max(unattributed, default=-1):
        assert found.last_used == max(true, default=None)
    noisy = {day for came in noise for day in came.days if TODAY - 90 < day <= TODAY}
    assert found.noise.noise_days >= len(noisy)
    assert bool(found.noise.names) == bool(noisy)


@settings(max_examples=300)
@given(
    PEOPLE_CAME,
    visits(PEOPLE[:2]),
    WITHOUT_A_CALLER,
    st.lists(st.tuples(DAYS, st.integers(0, 60)), max_size=3),
)
def test_a_further_caller_makes_nothing_safer(
    people: list[Came],
    further: Came,
    unattributed: list[int],
    holes: list[tuple[int, int]],
) -> None:
    others = [came for came in people if came.caller.id != further.caller.id]
    every = [*others, further]
    # The same uses: only who made them differs.
    unknown = history(
        every, unattributed=unattributed, holes=holes, rows=[came.row() for came in others]
    )
    known = history(every, unattributed=unattributed, holes=holes)
    assert not is_safer(verdict_of(replace(known, noise=unknown.noise)), verdict_of(unknown))


@settings(max_examples=300)
@given(PEOPLE_CAME, NOISE_CAME, st.lists(DAYS, max_size=4), DAYS)
def test_a_call_without_a_caller_makes_nothing_safer(
    people: list[Came], noise: list[Came], unattributed: list[int], day: int
) -> None:
    came = [*people, *noise]
    uses = {each for one in came for each in one.days} | set(unattributed)
    if day not in uses:
        # Another pattern of uses is another question.
        return
    before = history(came, unattributed=unattributed)
    after = history(came, unattributed=[*unattributed, day])
    if (before.days, before.weeks) != (after.days, after.weeks):
        # Calls of noise up to that day are uses from then on.
        return
    assert not is_safer_today(verdict_of(after), verdict_of(before))


@settings(max_examples=300)
@given(PEOPLE_CAME, NOISE_CAME, st.integers(0, 5), st.sampled_from(DAMAGES))
def test_a_damaged_row_makes_nothing_safer(
    people: list[Came], noise: list[Came], place: int, damage: Callable[[StoredUse], StoredUse]
) -> None:
    came = [*people, *noise]
    if not came:
        return
    rows = [each.row() for each in came]
    at = place % len(rows)
    rows[at] = damage(rows[at])
    before, after = history(came), history(came, rows=rows)
    if (before.days, before.weeks) != (after.days, after.weeks):
        # Calls of noise are uses from then on: another pattern of uses is another question.
        return
    assert not is_safer_today(verdict_of(after), verdict_of(before))


def forgotten(rows: Sequence[StoredUse], callers: Container[int]) -> list[StoredUse]:
    """The rows after some callers were forgotten."""
    kept = [row for row in rows if row.caller.id not in callers and row.caller != OTHERS]
    others = [row for row in rows if row.caller.id in callers or row.caller == OTHERS]
    totals = UseTotals()
    for row in others:
        totals.merge(totals_of(row), is_same_caller=False)
    return [*kept, row_of(totals)] if others else kept


def totals_of(row: StoredUse) -> UseTotals:
    return UseTotals(
        calls=row.calls,
        refused=row.refused,
        first_at=row.first_at_us,
        last_at=row.last_at_us,
        first_day=row.first_day,
        last_day=row.last_day,
        days=row.days,
        max_gap=row.longest_gap,
        refused_day=row.refused_day,
    )


def row_of(totals: UseTotals) -> StoredUse:
    return replace(
        Came(OTHERS, ()).row(),
        calls=totals.calls,
        refused=totals.refused,
        first_at_us=totals.first_at,
        last_at_us=totals.last_at,
        first_day=totals.first_day,
        last_day=totals.last_day,
        days=totals.days,
        longest_gap=totals.max_gap,
        refused_day=totals.refused_day,
    )


@settings(max_examples=500)
@given(
    st.lists(visits((*PEOPLE, OTHERS)), max_size=4).map(unique),
    NOISE_CAME,
    WITHOUT_A_CALLER,
    RUNS,
    st.sets(st.sampled_from([caller.id for caller in (*PEOPLE, *NOISE)])),
)
def test_nothing_is_safer_because_callers_are_forgotten(
    people: list[Came],
    noise: list[Came],
    unattributed: list[int],
    holes: list[tuple[int, int]],
    callers: set[int],
) -> None:
    came = [*people, *noise]
    before = history(came, unattributed=unattributed, holes=holes)
    last = [max(each.days) for each in came if each.caller.id in callers]
    after = history(
        came,
        unattributed=[*unattributed, *last],
        holes=holes,
        rows=forgotten([each.row() for each in came], callers),
    )
    if (before.days, before.weeks) != (after.days, after.weeks):
        # Calls of forgotten noise are uses: another pattern of uses is another question.
        return
    assert not is_safer(verdict_of(after), verdict_of(before))


@settings(max_examples=300)
@given(visits(PEOPLE), st.lists(st.sampled_from([0, 1, 2]), min_size=1), st.integers(0, 900))
def test_a_caller_of_renamed_endpoints_is_known_as_well_as_of_one(
    came: Came, places: list[int], cut: int
) -> None:
    ordered = sorted(set(came.days))
    split: dict[int, list[int]] = {}
    for number, day in enumerate(ordered):
        place = places[number % len(places)] if day % 2 else int(day > BORN + cut)
        split.setdefault(place, []).append(day)
    # On the day of the change both are used.
    split.setdefault(1, []).append(ordered[0])
    rows = [Came(came.caller, tuple(days)).row(place) for place, days in split.items()]
    (found,) = merged(rows)
    true = came.row()
    assert (found.first_day, found.last_day) == (true.first_day, true.last_day)
    assert found.longest_gap >= true.longest_gap
    assert found.days <= true.days
