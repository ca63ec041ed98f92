"""The evidence as JSON: every name in it is a contract."""

import json
from typing import Any

import pytest

from fastapi_lens.reporting.callers.caller_reader import MOST_LISTED
from fastapi_lens.reporting.documents.evidence_report import Evidence
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id, release_id
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.verdict.history import Keep, KeepSource
from tests.reporting.past import APP, DAY_US, NOW, TODAY, Past, ago, every


@pytest.fixture
def past(memory: Database) -> Past:
    return Past(memory)


def as_json(past: Past, **of: Any) -> dict[str, Any]:
    reader = past.reader(**of)
    evidence = reader.evidence(NOW)
    callers = reader.callers.of_judged(evidence.every)
    text = Evidence.of(evidence, callers, app=APP, now=NOW).model_dump_json()
    found: dict[str, Any] = json.loads(text)
    return found


def only(past: Past, **of: Any) -> dict[str, Any]:
    (found,) = as_json(past, **of)["endpoints"]
    return dict(found)


def test_the_evidence_is_what_its_contract_says_to_the_letter(past: Past) -> None:
    release = release_id(APP, "1.0")
    past.call(
        past.endpoint(
            "/v1/exports/{id}",
            method="POST",
            source="shop/exports.py:77",
            first_release_id=release,
            first_called_release_id=release,
            last_called_release_id=release,
            last_release_id=release,
        ),
        *every(1, 300, last=12),
    )
    past.miss(TODAY - 20, TODAY - 19)
    expected = {
        "fastapi_lens_evidence": 1,
        "generated_at": NOW,
        "app": APP,
        "environment": None,
        "releases": ["1.0"],
        "observed": {
            "since": (TODAY - 800) * 86_400.0,
            "until": NOW,
            "days": 801,
            "hole_days": 2,
            "holes": [["2026-01-27", "2026-01-28"]],
        },
        "callers": None,
        "twins": [],
        "endpoints": [
            {
                "key": f"{endpoint_id(APP, 'POST', '/v1/exports/{id}'):016x}",
                "method": "POST",
                "path": "/v1/exports/{id}",
                "shape": "/v1/exports/{}",
                "source": "shop/exports.py:77",
                "verdict": "wait",
                "probably_from": "2026-03-08",
                "safe_from": "2027-03-12",
                "last_used_at": (TODAY - 12) * 86_400.0,
                "last_called_at": (TODAY - 12) * 86_400.0,
                "first_seen_at": (TODAY - 700) * 86_400.0,
                "present_since": (TODAY - 700) * 86_400.0,
                "removed_at": None,
                "silence_days": 12,
                "hole_days": 0,
                "pattern": "daily",
                "longest_gap_days": 1,
                "need_days": {"probably": 31.5, "safe": 400.0},
                "excluded": {
                    "daily": True,
                    "weekly": True,
                    "monthly": False,
                    "quarterly": False,
                    "half-yearly": False,
                    "yearly": False,
                },
                "reasons": [
                    {"code": "silent", "days": 12, "hole_days": 0},
                    {
                        "code": "used_before",
                        "days": 300,
                        "weeks": 0,
                        "span": 300,
                        "longest_gap": 1,
                        "gaps_left_out": 0,
                    },
                    {"code": "longer_than_ever", "silence": 12, "longest_gap": 1},
                    {"code": "hidden_rare_caller", "from_day": TODAY - 12 + 401},
                    {
                        "code": "dates",
                        "probably_day": TODAY - 12 + 32,
                        "safe_day": TODAY - 12 + 401,
                    },
                ],
                "sentences": [
                    "No use for 12 days; all of them were observed.",
                    (
                        "Before that it was used on 300 of 300 days, never with more than 1 day "
                        "between two uses."
                    ),
                    (
                        "The silence of 12 days is longer than any gap before (1 day), but not "
                        "long enough."
                    ),
                    (
                        "Callers are not known for the whole year before the last use, and a rare "
                        "one behind frequent ones would not show: safe only after a silent year, "
                        "on 12 March 2027."
                    ),
                    (
                        "Without a further use it is probably unused from 8 March 2026 and safe to "
                        "remove from 12 March 2027."
                    ),
                ],
                "callers": [],
                "more_callers": 0,
                "releases": {
                    "introduced": "1.0",
                    "first_called": "1.0",
                    "last_called": "1.0",
                    "removed": None,
                },
                "deprecated": None,
                "kept": None,
                "gone": None,
            }
        ],
        "ignored": [],
    }
    found = as_json(past)
    assert found == expected
    # In the same order, too.
    assert list(found) == list(expected)
    assert list(found["endpoints"][0]) == list(expected["endpoints"][0])  # type: ignore[index]


def test_nothing_is_known_of_a_new_database(memory: Database) -> None:
    found = as_json(Past(memory, watched=0))
    nothing: dict[str, object] = {
        "since": None,
        "until": None,
        "days": 0,
        "hole_days": 0,
        "holes": [],
    }
    assert found["observed"] == nothing
    assert (found["releases"], found["endpoints"]) == ([], [])


def test_what_was_not_read_is_null(past: Past) -> None:
    past.call(past.endpoint("/orders"), TODAY)
    found = only(past)
    unread = ("probably_from", "safe_from", "pattern", "longest_gap_days", "need_days")
    assert {found[name] for name in unread} == {None}
    assert (found["verdict"], found["silence_days"]) == ("in_use", 0)


def test_a_websocket_has_no_date_of_safety(past: Past) -> None:
    past.endpoint("/feed", method="WEBSOCKET", kind="websocket")
    assert only(past)["safe_from"] is None


def test_a_decision_to_keep_it_is_told_while_it_holds(past: Past) -> None:
    identity = past.endpoint("/orders")
    keeps = {identity: Keep("disaster recovery", TODAY, KeepSource.ADMIN)}
    found = only(past, keeps=keeps)
    assert (found["verdict"], found["kept"]) == (
        "kept",
        {"reason": "disaster recovery", "until": "2026-02-16", "source": "admin"},
    )
    ended = {identity: Keep("disaster recovery", TODAY - 1, KeepSource.ADMIN)}
    assert only(past, keeps=ended)["kept"] is None


def test_a_deprecated_endpoint_is_told(past: Past) -> None:
    past.endpoint("/orders", deprecated=True)
    assert only(past)["deprecated"] == {"since": None, "sunset": None}


def test_a_removed_endpoint_tells_who_still_calls_it(past: Past) -> None:
    release = release_id(APP, "1.0")
    removed = past.endpoint("/orders", removed_at=(TODAY - 9) * DAY_US, last_release_id=release)
    past.gone(removed, TODAY - 3, 4)
    past.gone(removed, TODAY - 2, 7, is_noise=1)
    noise = past.endpoint("/users", removed_at=(TODAY - 9) * DAY_US)
    past.gone(noise, TODAY - 2, 7, is_noise=1)
    orders, users = as_json(past)["endpoints"]
    assert orders["removed_at"] == (TODAY - 9) * 86_400
    assert orders["releases"]["removed"] == "1.0"
    assert orders["gone"] == {
        "calls": 4,
        "noise_calls": 7,
        "days": 1,
        "last_at": (TODAY - 3) * 86_400,
    }
    assert (users["gone"]["last_at"], users["releases"]["removed"]) == (None, None)


def test_every_verdict_has_sentences(past: Past) -> None:
    past.call(past.endpoint("/silent"), *every(1, 100, last=420))
    past.call(past.endpoint("/refused"), *ago(1), status=404)
    past.call(past.endpoint("/used"), TODAY)
    past.endpoint("/new")
    for each in as_json(past)["endpoints"]:
        assert each["sentences"]
        assert len(each["sentences"]) == len(each["reasons"])


def test_callers_are_named_with_those_of_an_earlier_name_of_the_path(past: Past) -> None:
    old, new = past.endpoint("/o/{id}"), past.endpoint("/o/{order}", since=TODAY - 250)
    past.change(old, removed_at=(TODAY - 250) * DAY_US)
    billing = past.caller("billing-service")
    past.use(old, billing, *every(1, 300, last=250))
    past.use(new, billing, *every(1, 100, last=12))
    past.use(new, past.caller("kube-probe", CallerKind.AGENT), TODAY - 20)
    past.use(new, past.caller("only refused"), TODAY - 30, status=403)
    past.use(new, past.caller("refused long ago"), TODAY - 90, status=403)
    found = as_json(past)
    assert found["callers"] == {"since": (TODAY - 700) * 86_400.0, "complete": True}
    endpoint = found["endpoints"][0]
    assert endpoint["more_callers"] == 0
    assert [one["name"] for one in endpoint["callers"]] == [
        *("billing-service", "kube-probe"),
        "only refused",
    ]
    refused = endpoint["callers"][2]
    assert (refused["first_at"], refused["last_at"]) == (None, None)
    assert (refused["days"], refused["longest_gap_days"], refused["calls"]) == (0, 0, 1)
    assert endpoint["callers"][0] == {
        "name": "billing-service",
        "last_at": (TODAY - 12) * 86_400.0,
        "first_at": (TODAY - 549) * 86_400.0,
        "days": 400,
        "longest_gap_days": 139,
        "calls": 400,
        "noise": False,
        "key": f"{billing:016x}",
        "kind": "hook",
    }
    assert endpoint["callers"][1]["noise"]


def test_calls_without_a_name_leave_the_callers_incomplete(past: Past) -> None:
    endpoint = past.endpoint("/daily")
    past.call(endpoint, TODAY - 100)
    past.use(endpoint, past.caller("", CallerKind.NONE), TODAY - 50)
    found = as_json(past)
    assert found["callers"] == {"since": (TODAY - 100) * 86_400.0, "complete": False}
    assert found["endpoints"][0]["callers"][0]["name"] == "no name"


def test_of_many_callers_the_latest_are_listed(past: Past) -> None:
    old, new = past.endpoint("/o/{id}"), past.endpoint("/o/{order}")
    past.change(old, removed_at=TODAY * DAY_US)
    for number in range(MOST_LISTED + 5):
        past.use(new, past.caller(f"caller-{number}"), TODAY - number)
    past.use(old, past.caller("renamed"), TODAY - 300)
    endpoint = as_json(past)["endpoints"][0]
    names = [one["name"] for one in endpoint["callers"]]
    assert names == [f"caller-{number}" for number in range(MOST_LISTED)]
    assert endpoint["more_callers"] == 6
