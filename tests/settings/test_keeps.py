"""Endpoints that an admin keeps on purpose: stored entries, their limits, and what is none."""

from typing import Any

import pytest

from fastapi_lens import ConfigError, LensConfig
from fastapi_lens.settings import keeps as of_keeps
from fastapi_lens.settings.keeps import KeptEndpoint, KeptEndpoints, read_keeps
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.records.settings import Stored
from fastapi_lens.verdict.history import Keep, KeepSource

pytestmark = pytest.mark.unit

TODAY = 20_000


def kept(endpoint: int = 7, *, until: int = TODAY + 9, reason: str = "audit") -> KeptEndpoint:
    return KeptEndpoint(endpoint=endpoint, method="GET", path="/a", reason=reason, until=until)


GOOD = kept().as_stored()


def test_an_entry_comes_back_as_it_was_stored_and_can_be_read_by_people() -> None:
    one = kept(until=19_722)
    assert KeptEndpoint.of(one.as_stored()) == one
    assert (one.name, str(one)) == ("GET /a", "until 2023-12-31: audit")


def test_verdicts_read_the_entries_of_the_settings_by_endpoint() -> None:
    stored = {"keeps": Stored({"endpoints": [GOOD, "text"]}, 3)}
    settings = Settings.of(LensConfig(db_path=":memory:"), stored)
    assert settings.keeps == {7: Keep("audit", TODAY + 9, KeepSource.ADMIN)}
    assert settings.unusable == (
        "keeps: entry 2: endpoints contains an entry that is not a kept endpoint",
    )
    assert settings.versions == {"keeps": 3}


@pytest.mark.parametrize(
    "wrong",
    [
        "text",
        {**GOOD, "endpoint": "7"},
        {**GOOD, "until": "2027-01-01"},
        {**GOOD, "until": -1},
        {**GOOD, "until": 1 << 40},
        {**GOOD, "method": None},
        {**GOOD, "path": 1},
        {**GOOD, "reason": 1},
        {**GOOD, "reason": ""},
        {**GOOD, "reason": "a" * 201},
        {**GOOD, "reason": "a\x00b"},
        {**GOOD, "reason": "\ud800"},
    ],
)
def test_what_is_no_entry_is_told_and_the_others_hold(wrong: Any) -> None:
    found, told = read_keeps({"endpoints": [wrong, GOOD]})
    assert found.all == (kept(),)
    assert len(told) == 1
    assert told[0].startswith("keeps: entry 1: ")


def test_entries_that_are_no_list_are_told() -> None:
    assert read_keeps({"endpoints": 5}) == (KeptEndpoints(), ["keeps: endpoints is not a list"])


def test_a_further_entry_replaces_that_of_the_same_endpoint() -> None:
    first = KeptEndpoints((kept(1), kept(2)))
    then = first.with_entries([kept(1, reason="recovery")], today=TODAY)
    assert then.all == (kept(2), kept(1, reason="recovery"))
    assert then.of([1]) == (kept(1, reason="recovery"),)
    assert then.without([1]).all == (kept(2),)


@pytest.mark.parametrize("until", [TODAY - 1, TODAY + 5 * 366 + 1])
def test_an_end_in_the_past_or_far_ahead_is_refused(until: int) -> None:
    with pytest.raises(ConfigError, match="until must be a day from today up to 5 years ahead"):
        KeptEndpoints().with_entries([kept(until=until)], today=TODAY)


def test_entries_that_have_ended_go_only_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(of_keeps, "MAX_KEPT", 2)
    ended, first = kept(1, until=TODAY - 1), kept(2)
    assert KeptEndpoints((ended,)).with_entries([first], today=TODAY).all == (ended, first)
    full = KeptEndpoints((ended, first)).with_entries([kept(3)], today=TODAY)
    assert full.all == (first, kept(3))
    with pytest.raises(ConfigError, match="at most 2 endpoints are kept"):
        full.with_entries([kept(4)], today=TODAY)
