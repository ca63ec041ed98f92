"""Questions about callers, answered from their rows."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.reporting.callers import caller_reader
from fastapi_lens.reporting.callers.caller_reader import CallerReader
from fastapi_lens.reporting.evidence.evidence import WEEKS
from fastapi_lens.reporting.ledger.callers import NO_CALLERS
from fastapi_lens.reporting.model import key_from_id
from fastapi_lens.settings.ignore_rules import Rule, Rules
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind
from fastapi_lens.storage.schema.tables import CALLER
from tests.reporting.past import APP, DAY_US, NOW, TODAY, Past, ago, every

KEY = "00000000dead{}"


@pytest.fixture
def past(database: Database) -> Past:
    return Past(database, watched=0)


def reader(past: Past, settings: Settings | None = None) -> CallerReader:
    active = settings or Settings.of(LensConfig())
    return CallerReader(past.database, app=lambda: APP, settings=lambda: active)


def name(past: Past, caller: int) -> str:
    return reader(past).names([caller])[caller]


def test_a_caller_is_shown_by_its_own_name_until_it_has_a_label(past: Past) -> None:
    assert name(past, past.caller("billing-service")) == "billing-service"
    labelled = past.caller(KEY.format("beef"), CallerKind.KEY, label="Billing")
    assert name(past, labelled) == "Billing"
    found = reader(past).caller(labelled, now=NOW)
    assert found is not None
    assert (found.caller.own_name, found.caller.label) == ("key …beef", "Billing")
    assert name(past, past.caller("", CallerKind.NONE)) == "no name"
    assert name(past, OTHERS_ID) == "others"


def test_keys_that_end_alike_show_as_many_digits_as_differ(past: Past) -> None:
    first = past.caller("000000000001beef", CallerKind.KEY)
    assert name(past, first) == "key …beef"
    past.caller("000000000002beef", CallerKind.KEY, app="another")
    past.caller("000000000002beef", CallerKind.HOOK)
    assert name(past, first) == "key …beef"
    second = past.caller("000000000002beef", CallerKind.KEY)
    assert (name(past, first), name(past, second)) == ("key …1beef", "key …2beef")


def test_names_of_other_apps_and_of_nobody_are_missing(past: Past) -> None:
    other = past.caller("billing", app="another")
    assert reader(past).names([other, 77]) == {}
    assert reader(past).caller(other, now=NOW) is None


def test_noise_is_known_by_the_active_settings(past: Past) -> None:
    probe, pinger = past.caller("kube-probe", CallerKind.AGENT), past.caller("Pinger")
    key = past.caller("kube-probe", CallerKind.KEY)
    endpoint = past.endpoint("/ready")
    for caller in (probe, pinger, key):
        past.use(endpoint, caller, TODAY)

    def noise(settings: Settings | None = None) -> set[int]:
        found = reader(past, settings).callers()
        return {one.caller.id for one in found if one.caller.is_noise}

    assert noise() == {probe}
    assert noise(Settings.of(LensConfig(noise=["pinger"]))) == {pinger}


def test_the_callers_of_an_endpoint_are_listed_the_latest_first(past: Past) -> None:
    endpoint = past.endpoint("/orders", since=TODAY - 300)
    old, new = past.caller("old"), past.caller("new")
    past.use(endpoint, old, *ago(200, 190, 100))
    past.use(endpoint, new, *ago(50, 40))
    past.use(endpoint, new, TODAY - 30, status=403)
    found = reader(past).callers_of(key_from_id(endpoint), now=NOW)
    assert (found.since, found.is_complete) == ((TODAY - 300) * 86_400.0, True)
    assert [use.caller.name for use in found.uses] == ["new", "old"]
    latest = found.uses[0]
    assert (latest.calls, latest.refused, latest.days, latest.longest_gap_days) == (3, 1, 2, 10)
    assert (latest.first_at, latest.last_at) == ((TODAY - 50) * 86_400, (TODAY - 40) * 86_400)
    assert found.uses[1].longest_gap_days == 90


def test_callers_are_known_from_the_latest_call_without_one(past: Past) -> None:
    endpoint = past.endpoint("/orders", since=TODAY - 300)
    key = key_from_id(endpoint)
    assert reader(past).callers_of(key, now=NOW).since is None
    past.call(endpoint, TODAY - 100)
    assert reader(past).callers_of(key, now=NOW).since is None
    past.use(endpoint, past.caller("", CallerKind.NONE), TODAY - 50)
    found = reader(past).callers_of(key, now=NOW)
    assert (found.since, found.is_complete) == ((TODAY - 100) * 86_400.0, False)
    past.change(endpoint, evidence_since=(TODAY - 10) * DAY_US)
    assert reader(past).callers_of(key, now=NOW).since == (TODAY - 10) * 86_400.0


def test_an_endpoint_that_is_not_shown_has_no_callers(past: Past) -> None:
    endpoint = past.endpoint("/orders")
    caller = past.caller("billing")
    past.use(endpoint, caller, TODAY)
    ignoring = replace(Settings.of(LensConfig()), rules=Rules((Rule(id="r", pattern="/orders"),)))
    hidden = reader(past, ignoring)
    assert hidden.callers_of(key_from_id(endpoint), now=NOW) == NO_CALLERS
    assert hidden.callers() == []
    assert hidden.by_endpoint([endpoint]) == {endpoint: []}
    assert hidden.uses(key_from_id(endpoint)) is None
    assert hidden.uses(None) is not None
    found = hidden.caller(caller, now=NOW)
    assert found is not None
    assert found.uses == ()
    assert reader(past).callers_of(key_from_id(77), now=NOW) == NO_CALLERS


def test_the_callers_of_several_endpoints_are_read_at_once(past: Past) -> None:
    orders, exports = past.endpoint("/orders"), past.endpoint("/exports")
    past.use(orders, past.caller("billing"), TODAY - 3)
    past.use(orders, past.caller("web"), TODAY)
    found = reader(past).by_endpoint([orders, exports])
    names = {key: [use.caller.name for use in uses] for key, uses in found.items()}
    assert names == {orders: ["web", "billing"], exports: []}


def test_a_caller_has_everything_that_it_uses(past: Past) -> None:
    orders, gone = past.endpoint("/orders"), past.endpoint("/gone", removed_at=TODAY * DAY_US)
    billing = past.caller("billing")
    past.use(orders, billing, TODAY - 3)
    past.use(gone, billing, TODAY - 1)
    past.use(orders, past.caller("web"), TODAY)
    found = reader(past).caller(billing, now=NOW)
    assert found is not None
    assert [(use.path, use.is_removed) for use in found.uses] == [
        ("/gone", True),
        ("/orders", False),
    ]
    assert reader(past).called_by(billing) == {orders, gone}


def test_those_beyond_the_bounds_are_of_their_app(past: Past) -> None:
    ours, theirs = past.endpoint("/orders"), past.endpoint("/orders", app="another")
    past.use(ours, OTHERS_ID, TODAY)
    past.use(theirs, OTHERS_ID, TODAY)
    found = reader(past).caller(OTHERS_ID, now=NOW)
    assert found is not None
    assert [use.endpoint for use in found.uses] == [key_from_id(ours)]
    assert reader(past).called_by(OTHERS_ID) == {ours}
    (total,) = reader(past).callers()
    assert (total.caller.kind, total.calls) == (CallerKind.OTHERS, 1)


def test_all_callers_have_the_sums_of_what_they_call(past: Past) -> None:
    orders, exports = past.endpoint("/orders"), past.endpoint("/exports")
    billing, web = past.caller("billing"), past.caller("web")
    past.use(orders, billing, *ago(9, 8))
    past.use(exports, billing, TODAY - 4)
    past.use(exports, billing, TODAY - 3, status=401)
    past.use(orders, web, TODAY - 1)
    first, second = reader(past).callers()
    assert (first.caller.name, first.endpoints, first.calls) == ("web", 1, 1)
    assert (second.caller.name, second.endpoints, second.calls, second.refused) == (
        *("billing", 2, 4, 1),
    )
    assert second.caller.first_at == (TODAY - 9) * 86_400
    assert second.caller.last_at == (TODAY - 4) * 86_400


def test_of_very_many_callers_the_latest_are_listed(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_reader, "MOST_CALLERS", 2)
    monkeypatch.setattr(caller_reader, "MOST_USES", 2)
    endpoint = past.endpoint("/orders")
    for number in range(3):
        past.use(endpoint, past.caller(f"caller-{number}"), TODAY - number)
    assert [one.caller.name for one in reader(past).callers()] == ["caller-0", "caller-1"]
    found = reader(past).uses(None)
    assert found is not None
    assert [use.caller.name for use in found.uses] == ["caller-0", "caller-1"]
    assert (found.more, found.is_complete) == (1, False)


def test_the_latest_callers_of_judged_endpoints_are_listed(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_reader, "MOST_LISTED", 2)
    orders, silent = past.endpoint("/orders"), past.endpoint("/silent")
    for number in range(4):
        past.use(orders, past.caller(f"caller-{number}"), TODAY - number)
    past.use(silent, past.caller("billing"), TODAY - 300)
    for caller in ("refused", "refused, too"):
        past.use(orders, past.caller(caller), TODAY - 1, status=403)
    past.use(silent, past.caller("refused"), TODAY - 1, status=403)
    found = past.reader().callers.of_judged(past.evidence().every)
    listed = {
        key: ([use.caller.name for use in one.uses], one.more)
        for key, one in found.by_endpoint.items()
    }
    assert listed == {orders: (["caller-0", "caller-1"], 2), silent: (["billing", "refused"], 0)}
    assert (found.since, found.is_complete) == ((TODAY - 700) * 86_400.0, True)


def test_weeks_are_there_where_they_are_kept(past: Past) -> None:
    endpoint, other = past.endpoint("/orders"), past.endpoint("/other")
    billing, web = past.caller("billing"), past.caller("web")
    for caller in (billing, web):
        past.use(endpoint, caller, TODAY)
    past.use(other, billing, TODAY - 1)
    past.use_week(endpoint, billing, TODAY // 7, 5)
    past.use_week(endpoint, billing, TODAY // 7 - WEEKS + 1, 2)
    past.use_week(endpoint, billing, TODAY // 7 - WEEKS, 9)
    uses = reader(past).callers_of(key_from_id(endpoint), now=NOW).uses
    weeks = {use.caller.name: use.weeks for use in uses}
    assert weeks == {"billing": (2, *[0] * (WEEKS - 2), 5), "web": ()}
    found = reader(past).caller(billing, now=NOW)
    assert found is not None
    assert [len(use.weeks) for use in found.uses] == [WEEKS, 0]


def test_a_damaged_row_is_shown_as_far_as_it_can_be_read(memory: Database) -> None:
    past = Past(memory, watched=0)
    endpoint = past.endpoint("/orders")
    caller = past.caller("billing")
    past.use(endpoint, caller, *every(1, 5, last=3))
    past.change_use(endpoint, caller, calls="x", last_at=-1)
    with past.database.write() as connection:
        connection.execute(sa.update(CALLER).values(kind=7, name=b"\xff", label=b"x"))
    (use,) = reader(past).callers_of(key_from_id(endpoint), now=NOW).uses
    assert (use.caller.name, use.caller.kind) == ("others", CallerKind.OTHERS)
    assert (use.calls, use.last_at, use.days) == (0, None, 5)


def test_a_row_without_its_caller_is_one_of_the_others(past: Past) -> None:
    endpoint = past.endpoint("/orders")
    past.use(endpoint, 77, TODAY)
    (use,) = reader(past).callers_of(key_from_id(endpoint), now=NOW).uses
    assert (use.caller.id, use.caller.name) == (77, "others")
