"""Ignore rules: the endpoints that they cover, and texts that are no rule."""

from typing import Any

import pytest

from fastapi_lens.errors import ConfigError
from fastapi_lens.settings import ignore_rules as of_rules
from fastapi_lens.settings.ignore_rules import Rule, Rules, read_rules

pytestmark = pytest.mark.unit


def test_a_rule_covers_whole_segments_of_the_methods_it_names() -> None:
    rule = Rule(id="a", pattern="/doc", methods=("GET",))
    assert rule.covers("GET", "/doc")
    assert not rule.covers("POST", "/doc")
    assert not rule.covers("GET", "/docs")
    assert not Rule(id="a", pattern="**").covers("GET", "<unmapped>")


def test_only_rules_that_are_not_paused_do_anything() -> None:
    ping = Rule(id="a", pattern="/v1/*/ping")
    client_errors = Rule(id="b", pattern="/items", statuses=(4,))
    rules = Rules((ping, client_errors, Rule(id="c", pattern="/**", paused=True)))
    assert rules.ignores("GET", "/v1/users/ping")
    assert rules.skips("GET", "/v1/users/ping", 200)
    assert not rules.ignores("GET", "/items")
    assert rules.skips("GET", "/items", 404)
    assert not rules.skips("GET", "/items", 200)


def test_answers_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_rules, "MAX_KNOWN", 1)
    rules = Rules((Rule(id="a", pattern="/a"),))
    for _ in range(2):
        assert [rules.ignores("GET", path) for path in ("/a", "/b")] == [True, False]


def test_a_rule_comes_back_as_it_was_stored_and_can_be_read_by_people() -> None:
    rule = Rule(id="a", pattern="/x/**", methods=("GET", "POST"), statuses=(4, 5), paused=True)
    assert Rule.of(rule.as_stored()) == rule
    assert str(rule) == "GET POST /x/** 4xx 5xx (paused)"
    assert str(Rule(id="a", pattern="/x")) == "/x"


GOOD = Rule(id="good", pattern="/good").as_stored()


@pytest.mark.parametrize(
    "wrong",
    [
        "text",
        {**GOOD, "pattern": "no-slash"},
        {**GOOD, "pattern": "/in*side"},
        {**GOOD, "pattern": "/" + "a" * 500},
        {**GOOD, "pattern": "/a\x00"},
        {**GOOD, "methods": ["<b>"]},
        {**GOOD, "methods": [1]},
        {**GOOD, "methods": 1},
        {**GOOD, "statuses": [9]},
        {**GOOD, "statuses": [True]},
        {**GOOD, "id": ""},
    ],
)
def test_what_is_no_rule_is_told_and_the_others_hold(wrong: Any) -> None:
    rules, told = read_rules({"rules": [wrong, GOOD]})
    assert [rule.id for rule in rules.all] == ["good"]
    assert len(told) == 1
    assert told[0].startswith("rule 1: ")


def test_rules_that_are_no_list_are_told() -> None:
    assert read_rules({"rules": 5}) == (Rules(), ["rules is not a list"])


def test_a_pattern_that_cannot_be_used_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="pattern must start with a slash"):
        Rule(id="a", pattern="health")
