"""Properties of verdicts on any history."""

from dataclasses import replace
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from fastapi_lens.verdict.cadence import Cadence
from fastapi_lens.verdict.callers import Caller, Ledger
from fastapi_lens.verdict.history import History, Keep, Kind, Noise
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.reasons import Code
from fastapi_lens.verdict.sentences import headline, sentence
from fastapi_lens.verdict.verdict import Verdict, verdict_of

BORN = 1_000
RANK = {
    Level.IN_USE: 0,
    Level.WAIT: 1,
    Level.NOT_ENOUGH_OBSERVATION: 1,
    Level.PROBABLY_UNUSED: 2,
    Level.SAFE_TO_REMOVE: 3,
}


@st.composite
def callers(draw: st.DrawFn, last: int, name: str = "") -> Caller:
    first = draw(st.integers(BORN, last))
    return Caller(
        name=name or draw(st.sampled_from("abc")),
        first_day=first,
        last_day=draw(st.integers(first, last)),
        days=draw(st.integers(1, 300)),
        longest_gap=draw(st.integers(0, 400)),
        is_noise=not name and draw(st.booleans()),
    )


@st.composite
def runs(draw: st.DrawFn, first: int, last: int) -> tuple[int, int]:
    begin = draw(st.integers(first, last))
    return begin, min(last, begin + draw(st.sampled_from([0, 0, 1, 3, 10, 60])))


@st.composite
def used_days(draw: st.DrawFn, last: int) -> set[int]:
    """Days of a use that is regular or not, up to the last one."""
    if period := draw(st.sampled_from([0, 1, 1, 7, 30, 91])):
        count = draw(st.integers(1, 1 + min(400, last - BORN) // period))
        return {last - index * period for index in range(count)}
    return {last, *draw(st.sets(st.integers(max(BORN, last - 400), last), max_size=12))}


@st.composite
def histories(draw: st.DrawFn, *, with_ledger: bool = False) -> History:
    times = st.integers(BORN, BORN + 1_400)
    last = draw(times if with_ledger else st.none() | times)
    today = (BORN if last is None else last) + draw(st.integers(0, 900))
    days = set[int]() if last is None else draw(used_days(last))
    others: dict[str, Any] = {}
    if last is not None:
        others["weeks"] = tuple(draw(st.sets(st.integers(BORN - 100, last - 7), max_size=9)))
        since = draw(st.integers(BORN, last))
        ledger = st.builds(
            Ledger, st.just(since), st.lists(callers(last), max_size=3).map(tuple), st.booleans()
        )
        others["ledger"] = draw(ledger if with_ledger else st.none() | ledger)
    return History(
        today=today,
        present_since=draw(st.sampled_from([BORN, BORN, today - 5, BORN + 300])),
        observed_since=min(today, draw(st.sampled_from([0, BORN, BORN + 50]))),
        days=tuple(days),
        last_used=last,
        holes=tuple(draw(st.lists(runs(BORN, today), max_size=5))),
        kind=draw(st.sampled_from(Kind)),
        noise=draw(st.sampled_from([Noise(), Noise(2), Noise(1, 4), Noise(0, 1, (), ("a",))])),
        cadence=draw(st.none() | st.sampled_from(Cadence)),
        **others,
    )


def assert_no_earlier(later: Verdict, than: Verdict) -> None:
    assert later.probably_from >= than.probably_from
    if than.safe_from is not None:
        assert later.safe_from is not None
        assert later.safe_from >= than.safe_from


@given(histories(), st.data())
def test_a_further_hole_after_the_last_use_never_makes_a_date_earlier(
    history: History, data: st.DataObject
) -> None:
    start = history.present_since if history.last_used is None else history.last_used + 1
    assume(start <= history.today)
    hole = data.draw(runs(start, history.today))
    more = replace(history, holes=(*history.holes, hole))

    assert_no_earlier(verdict_of(more), verdict_of(history))


@given(histories(with_ledger=True), st.data())
def test_a_further_caller_never_makes_a_date_earlier(history: History, data: st.DataObject) -> None:
    assert history.ledger is not None
    assert history.last_used is not None
    caller = data.draw(callers(history.last_used, "further"))
    ledger = replace(history.ledger, callers=(*history.ledger.callers, caller))

    assert_no_earlier(verdict_of(replace(history, ledger=ledger)), verdict_of(history))


@given(histories())
def test_nothing_unused_is_safe_before_it_was_watched_for_400_days(history: History) -> None:
    unused = replace(history, days=(), weeks=(), last_used=None, ledger=None)
    since = min(unused.today, max(unused.observed_since, BORN + 30))
    later = replace(unused, observed_since=since)

    for each in (unused, later):
        safe_from = verdict_of(each).safe_from
        assert safe_from is None or safe_from - max(each.present_since, each.observed_since) >= 400
    assert verdict_of(later).probably_from >= verdict_of(unused).probably_from


@given(histories(), st.integers(1, 900))
def test_as_days_pass_a_level_only_rises_and_its_dates_stay(history: History, days: int) -> None:
    before, after = verdict_of(history), verdict_of(replace(history, today=history.today + days))

    assert RANK[after.level] >= RANK[before.level]
    assert after.probably_from == before.probably_from
    assert after.safe_from == before.safe_from


@given(histories())
def test_a_level_begins_on_its_date(history: History) -> None:
    found = verdict_of(history)

    is_unused = found.level in {Level.PROBABLY_UNUSED, Level.SAFE_TO_REMOVE}
    assert is_unused == (history.today >= found.probably_from)
    if found.level is Level.SAFE_TO_REMOVE:
        assert found.safe_from is not None
        assert found.probably_from <= found.safe_from <= history.today


@given(histories(), st.randoms(use_true_random=False))
def test_a_verdict_is_the_same_in_whatever_order_its_history_comes(
    history: History, random: Any
) -> None:
    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(random.sample(items, len(items)))

    ledger = history.ledger
    other = replace(
        history,
        days=shuffled(history.days),
        weeks=shuffled(history.weeks),
        holes=shuffled(history.holes),
        ledger=ledger and replace(ledger, callers=shuffled(ledger.callers)),
    )

    assert verdict_of(other) == verdict_of(history)


@given(histories())
def test_a_websocket_and_a_doubt_are_never_above_probably(history: History) -> None:
    found = verdict_of(history)

    if history.kind is Kind.WEBSOCKET or history.noise.is_doubt:
        assert found.level is not Level.SAFE_TO_REMOVE


@given(histories())
def test_what_watching_cannot_tell_is_said_of_all_that_seems_unused(history: History) -> None:
    found = verdict_of(history)

    is_unused = found.level in {Level.PROBABLY_UNUSED, Level.SAFE_TO_REMOVE}
    assert is_unused == (Code.CANNOT_TELL in {reason.code for reason in found.reasons})
    if found.level is Level.PROBABLY_UNUSED and not found.exclusions[-1].is_excluded:
        assert Code.YEARLY_NOT_EXCLUDED in {reason.code for reason in found.reasons}


@given(histories())
def test_nothing_is_safe_while_a_yearly_use_is_open_unless_its_callers_are_known(
    history: History,
) -> None:
    found = verdict_of(replace(history, ledger=None))

    if found.level is Level.SAFE_TO_REMOVE:
        assert found.exclusions[-1].is_excluded


@given(histories(), st.booleans())
def test_each_reason_has_a_sentence(history: History, is_kept: bool) -> None:  # noqa: FBT001
    keeps = (Keep("audit", history.today),) if is_kept else ()
    found = verdict_of(replace(history, keeps=keeps))

    assert headline(found)
    for reason in found.reasons:
        assert sentence(reason).endswith(".")
        assert "  " not in sentence(reason)
