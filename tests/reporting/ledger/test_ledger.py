"""Verdicts with the ledger of callers, from rows: what is unknown makes nothing look safer."""

import pytest

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.reasons import Code
from fastapi_lens.verdict.sentences import sentence
from tests.reporting.past import DAY_US, TODAY, Past, ago, every


@pytest.fixture
def past(memory: Database) -> Past:
    return Past(memory)


def codes(past: Past, path: str) -> list[Code]:
    return [reason.code for reason in past.judged(path).verdict.reasons]


def test_a_known_caller_that_stopped_needs_a_silent_quarter_not_a_year(past: Past) -> None:
    endpoint = past.endpoint("/daily")
    past.use(endpoint, past.caller("billing-service"), *every(1, 450, last=101))
    found = past.judged("/daily")
    assert found.verdict.level is Level.SAFE_TO_REMOVE
    assert found.verdict.safe_from == TODAY
    said = [sentence(reason) for reason in found.verdict.reasons]
    assert any("Its only known caller is gone: billing-service" in text for text in said)


def test_without_a_year_of_callers_before_the_last_use_a_silent_year_is_needed(past: Past) -> None:
    endpoint = past.endpoint("/daily")
    past.call(endpoint, *every(1, 100, last=420))
    past.use(endpoint, past.caller("billing-service"), *every(1, 300, last=120))
    found = past.judged("/daily")
    assert found.verdict.level is Level.PROBABLY_UNUSED
    assert found.history.ledger is not None
    assert found.history.ledger.since == TODAY - 419
    assert Code.HIDDEN_RARE_CALLER in codes(past, "/daily")


def test_a_quarterly_caller_behind_a_daily_one_has_a_silence_of_its_own(past: Past) -> None:
    endpoint = past.endpoint("/both")
    past.use(endpoint, past.caller("quarterly-batch"), *every(92, 6, last=120))
    past.use(endpoint, past.caller("web"), *every(1, 600, last=110))
    found = past.judged("/both")
    assert found.verdict.level is Level.WAIT
    said = [sentence(one) for one in found.verdict.reasons if one.code is Code.CALLER_NOT_EXCLUDED]
    assert said[0].startswith("quarterly-batch called on 6 days, with gaps of up to 92 days")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", CallerKind.NONE),
        ("", CallerKind.OTHERS),
        ("curl", CallerKind.AGENT),
        ("other", CallerKind.AGENT),
    ],
)
def test_a_name_that_several_callers_share_makes_a_silent_year_necessary(
    past: Past, name: str, kind: CallerKind
) -> None:
    endpoint = past.endpoint("/daily")
    past.use(endpoint, past.caller("web"), *every(1, 450, last=110))
    past.use(endpoint, past.caller(name, kind), TODAY - 300)
    assert past.judged("/daily").verdict.level is Level.PROBABLY_UNUSED
    assert Code.HIDDEN_RARE_CALLER in codes(past, "/daily")


@pytest.mark.parametrize("kind", [CallerKind.KEY, CallerKind.AGENT])
def test_a_key_and_a_product_of_its_own_are_identities(past: Past, kind: CallerKind) -> None:
    name = "orders-worker" if kind is CallerKind.AGENT else "00000000deadbeef"
    endpoint = past.endpoint("/daily")
    past.use(endpoint, past.caller(name, kind), *every(1, 450, last=110))
    assert past.judged("/daily").verdict.level is Level.SAFE_TO_REMOVE


def test_calls_of_health_checks_are_no_use_once_all_callers_are_known(past: Past) -> None:
    endpoint = past.endpoint("/ready")
    past.use(endpoint, past.caller("web"), *every(1, 450, last=110))
    past.use(endpoint, past.caller("kube-probe", CallerKind.AGENT), *every(1, 600, last=0))
    found = past.judged("/ready")
    assert found.verdict.silence_days == 110
    assert found.history.last_used == TODAY - 110
    assert max(found.history.days) == TODAY - 110
    assert found.verdict.level is Level.PROBABLY_UNUSED
    noise = next(one for one in found.verdict.reasons if one.code is Code.ONLY_NOISE)
    assert "called on 90 days (kube-probe)" in sentence(noise)


def test_health_checks_before_callers_were_known_are_uses(past: Past) -> None:
    endpoint = past.endpoint("/ready")
    past.call(endpoint, *every(1, 200, last=50))
    past.use(endpoint, past.caller("kube-probe", CallerKind.AGENT), *every(1, 50, last=0))
    assert past.judged("/ready").history.last_used == TODAY - 50


def test_a_call_without_a_caller_ends_what_the_ledger_knows(past: Past) -> None:
    endpoint = past.endpoint("/ready")
    past.use(endpoint, past.caller("kube-probe", CallerKind.AGENT), *every(1, 600, last=0))
    assert past.judged("/ready").history.last_used is None
    past.change(endpoint, last_called_at=TODAY * DAY_US + 1)
    found = past.judged("/ready")
    assert found.verdict.level is Level.IN_USE


def test_an_endpoint_that_noise_alone_has_ever_called_was_never_used(past: Past) -> None:
    endpoint = past.endpoint("/ready")
    past.use(endpoint, past.caller("kube-probe", CallerKind.AGENT), *every(1, 600, last=0))
    found = past.judged("/ready")
    assert (found.history.last_used, found.last_used_at) == (None, None)
    assert found.verdict.level is Level.PROBABLY_UNUSED


def test_a_caller_that_was_refused_after_a_success_is_a_doubt(past: Past) -> None:
    endpoint = past.endpoint("/daily")
    billing, other = past.caller("billing"), past.caller("other")
    past.use(endpoint, billing, *every(1, 450, last=200))
    past.use(endpoint, other, TODAY - 20, status=401)
    assert past.judged("/daily").verdict.level is Level.SAFE_TO_REMOVE
    past.use(endpoint, billing, TODAY - 10, status=403)
    found = past.judged("/daily")
    assert found.verdict.level is Level.PROBABLY_UNUSED
    assert found.history.noise.refused_users == ("billing",)


def test_a_renamed_parameter_keeps_the_callers(past: Past) -> None:
    old, new = past.endpoint("/o/{id}"), past.endpoint("/o/{order}", since=TODAY - 250)
    billing = past.caller("billing")
    past.use(old, billing, *every(1, 300, last=250))
    past.use(new, billing, *every(1, 100, last=110))
    past.change(old, removed_at=(TODAY - 250) * DAY_US)
    found = past.judged("/o/{order}")
    assert found.history.ledger is not None
    (caller,) = found.history.ledger.callers
    assert (caller.first_day, caller.last_day) == (TODAY - 549, TODAY - 110)
    assert (caller.days, caller.longest_gap) == (400, 41)


def test_a_caller_from_a_clock_ahead_of_ours_came_today(past: Past) -> None:
    endpoint = past.endpoint("/daily")
    past.use(endpoint, past.caller("billing"), TODAY + 1)
    found = past.judged("/daily").history
    assert found.ledger is not None
    (caller,) = found.ledger.callers
    assert (caller.first_day, caller.last_day) == (TODAY, TODAY)


@pytest.mark.parametrize("is_used_first", [True, False])
def test_a_refusal_under_an_earlier_name_of_a_parameter_counts_as_well(
    past: Past,
    is_used_first: bool,  # noqa: FBT001  A parameter of pytest.
) -> None:
    old, new = past.endpoint("/o/{id}"), past.endpoint("/o/{order}", since=TODAY - 250)
    used, refusing = (old, new) if is_used_first else (new, old)
    past.change(old, removed_at=(TODAY - 250) * DAY_US)
    billing = past.caller("billing")
    past.use(used, billing, *every(1, 100, last=260))
    past.use(refusing, billing, TODAY - 10, status=403)
    assert past.judged("/o/{order}").history.noise.refused_users == ("billing",)


@pytest.mark.parametrize(
    "damage",
    [
        {"max_gap": -1},
        {"last_day": "never"},
        {"first_day": TODAY},
        {"days": 0},
        {"days": 5_000},
        {"refused_day": -7},
    ],
)
def test_a_damaged_row_makes_nothing_safer(past: Past, damage: dict[str, object]) -> None:
    endpoint = past.endpoint("/daily")
    billing = past.caller("billing")
    past.use(endpoint, billing, *every(1, 450, last=110))
    past.change_use(endpoint, billing, **damage)
    assert past.judged("/daily").verdict.level is not Level.SAFE_TO_REMOVE


@pytest.mark.parametrize("damage", [{"attributed_until": "x"}, {"unattributed_at": "x"}])
def test_an_endpoint_whose_row_is_damaged_has_no_whole_ledger(
    past: Past, damage: dict[str, object]
) -> None:
    endpoint = past.endpoint("/daily")
    other = past.endpoint("/other")
    past.use(other, past.caller("billing"), *ago(3))
    past.use(endpoint, past.caller("billing"), *every(1, 450, last=110))
    past.change(endpoint, **damage)
    found = past.judged("/daily")
    assert found.verdict.level is Level.PROBABLY_UNUSED
    assert found.history.ledger is not None
