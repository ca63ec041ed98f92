from collections.abc import Mapping

import pytest

from fastapi_lens.verdict.callers import Ledger
from fastapi_lens.verdict.history import Keep, KeepSource, Kind, Noise
from fastapi_lens.verdict.reasons import Code, Number, Reason
from fastapi_lens.verdict.sentences import headline, sentence
from fastapi_lens.verdict.verdict import verdict_of
from tests.verdict.helpers import BORN, LAST, daily, runs, sentences, used, web

pytestmark = pytest.mark.unit

MAY = 20_577
"""4 May 2026."""

CASES: tuple[tuple[Code, Mapping[str, Number], str], ...] = (
    (Code.SILENT, {"days": 0, "hole_days": 0}, "Used today."),
    (Code.SILENT, {"days": 1, "hole_days": 0}, "No use for 1 day; it was observed."),
    (
        Code.SILENT,
        {"days": 133, "hole_days": 0},
        "No use for 133 days; all of them were observed.",
    ),
    (
        Code.SILENT,
        {"days": 133, "hole_days": 1},
        "No use for 133 days; 1 of them was not fully observed.",
    ),
    (
        Code.NEVER_CALLED,
        {"present_day": MAY, "days": 1_200, "hole_days": 9},
        "Never used since 4 May 2026, for 1,200 days; 9 of them were not fully observed.",
    ),
    (
        Code.USED_BEFORE,
        {"days": 388, "weeks": 0, "span": 391, "longest_gap": 3, "gaps_left_out": 0},
        "Before that it was used on 388 of 391 days, never with more than 3 days between two uses.",
    ),
    (
        Code.USED_BEFORE,
        {"days": 20, "weeks": 30, "span": 600, "longest_gap": 35, "gaps_left_out": 2},
        (
            "Before that it was used on 20 days and in 30 earlier weeks, within 600 days, never "
            "with more than 35 days between two uses; 2 gaps with unobserved days were left out."
        ),
    ),
    (
        Code.USED_BEFORE,
        {"days": 0, "weeks": 3, "span": 21, "longest_gap": 0, "gaps_left_out": 0},
        "Before that it was used in 3 weeks, within 21 days.",
    ),
    (
        Code.USED_BEFORE,
        {"days": 1, "weeks": 0, "span": 1, "longest_gap": 0, "gaps_left_out": 0},
        "Before that it was used on one day.",
    ),
    (
        Code.USED_BEFORE,
        {"days": 0, "weeks": 1, "span": 7, "longest_gap": 0, "gaps_left_out": 0},
        "Before that it was used in one week.",
    ),
    (
        Code.CALLERS_GONE,
        {"names": ("web",), "last_days": (MAY,), "rare": 0},
        (
            "Its only known caller is gone: web (last on 4 May 2026). It called on four days or "
            "more."
        ),
    ),
    (
        Code.CALLERS_GONE,
        {"names": ("web", "app"), "last_days": (MAY, MAY - 1), "rare": 0},
        (
            "Both known callers are gone: web (last on 4 May 2026) and app (last on 3 May 2026). "
            "Each of them called on four days or more."
        ),
    ),
    (
        Code.CALLERS_GONE,
        {"names": ("a", "b", "c", "d", "e"), "last_days": (MAY,) * 5, "rare": 1},
        (
            "All 5 known callers are gone: a (last on 4 May 2026), b (last on 4 May 2026), c (last "
            "on 4 May 2026) and 2 more. 1 caller called too rarely to show a pattern."
        ),
    ),
    (
        Code.NO_NOISE,
        {"window": 90, "are_bots_known": 1},
        "No bot called and no request was refused in the last 90 days.",
    ),
    (
        Code.NO_NOISE,
        {"window": 90, "are_bots_known": 0},
        "No request was refused in the last 90 days.",
    ),
    (
        Code.ONLY_NOISE,
        {
            "window": 90,
            "noise_days": 0,
            "refused_days": 3,
            "names": (),
            "refused_users": (),
        },
        (
            "In the last 90 days requests were refused on 3 days. These calls do not count as use, "
            "but somebody makes them: never safe to remove while they go on."
        ),
    ),
    (
        Code.ONLY_NOISE,
        {
            "window": 90,
            "noise_days": 45,
            "refused_days": 0,
            "names": ("Googlebot", "bingbot"),
            "refused_users": (),
        },
        (
            "In the last 90 days bots, health checks or tests called on 45 days (Googlebot and "
            "bingbot). These calls do not count as use, but somebody makes them: never safe to "
            "remove while they go on."
        ),
    ),
    (
        Code.ONLY_NOISE,
        {
            "window": 90,
            "noise_days": 1,
            "refused_days": 2,
            "names": (),
            "refused_users": ("mobile",),
        },
        (
            "In the last 90 days bots, health checks or tests called on 1 day; requests were "
            "refused on 2 days; mobile, whose calls succeeded before, was refused. These calls do "
            "not count as use, but somebody makes them: never safe to remove while they go on."
        ),
    ),
    (
        Code.KEPT,
        {"why": "disaster recovery", "until_day": MAY, "source": "code"},
        "Kept on purpose until 4 May 2026 (set in the code): disaster recovery.",
    ),
    (
        Code.KEEP_ENDED,
        {"why": "migration", "until_day": MAY, "source": "admin"},
        "Was kept on purpose until 4 May 2026 (set in the admin): migration.",
    ),
    (
        Code.NOT_OBSERVED,
        {"days": 12, "first_day": MAY, "last_day": MAY + 8},
        (
            "The silence would be long enough, but 12 days of it were not fully observed, the "
            "latest 4 May 2026 to 12 May 2026."
        ),
    ),
    (
        Code.NOT_OBSERVED,
        {"days": 1, "first_day": MAY, "last_day": MAY},
        (
            "The silence would be long enough, but 1 day of it was not fully observed, the latest "
            "4 May 2026."
        ),
    ),
    (
        Code.LONGER_THAN_EVER,
        {"silence": 12, "longest_gap": 5},
        "The silence of 12 days is longer than any gap before (5 days), but not long enough.",
    ),
    (
        Code.LONGER_THAN_EVER,
        {"silence": 12, "longest_gap": 0},
        "The silence of 12 days is not long enough after so few uses.",
    ),
    (
        Code.NEXT_DUE,
        {"period": 92, "due_day": MAY},
        "Used about every 92 days; the next use is due about 4 May 2026.",
    ),
    (
        Code.IRREGULAR,
        {"gaps": 3, "longest_gap": 140, "from_day": MAY},
        "Used irregularly (3 gaps of up to 140 days): the silence has to last until 4 May 2026.",
    ),
    (
        Code.IRREGULAR,
        {"gaps": 6, "longest_gap": 140, "from_day": MAY},
        "Used irregularly (6 gaps of up to 140 days): the silence has to last until 4 May 2026.",
    ),
    (
        Code.IRREGULAR,
        {"gaps": 1, "longest_gap": 20, "from_day": MAY},
        "Too few uses to show a pattern: the silence has to last until 4 May 2026.",
    ),
    (
        Code.CADENCE_DECLARED,
        {"cadence": "yearly", "days": 769},
        "Declared as used yearly: the silence has to last 769 days, 2.1 periods.",
    ),
    (
        Code.HIDDEN_RARE_CALLER,
        {"from_day": MAY},
        (
            "Callers are not known for the whole year before the last use, and a rare one behind "
            "frequent ones would not show: safe only after a silent year, on 4 May 2026."
        ),
    ),
    (
        Code.CALLER_NOT_EXCLUDED,
        {
            "caller": "audit",
            "last_day": MAY,
            "days": 2,
            "longest_gap": 30,
            "from_day": MAY + 400,
            "others": 1,
        },
        (
            "audit called on 2 days, with gaps of up to 30 days, last on 4 May 2026, and may call "
            "again until 8 June 2027. 1 more caller may call again, too."
        ),
    ),
    (
        Code.CALLER_NOT_EXCLUDED,
        {
            "caller": "audit",
            "last_day": MAY,
            "days": 1,
            "longest_gap": 0,
            "from_day": MAY + 400,
            "others": 0,
        },
        "audit called on 1 day, last on 4 May 2026, and may call again until 8 June 2027.",
    ),
    (
        Code.YEARLY_NOT_EXCLUDED,
        {"from_day": MAY},
        "A yearly use is not excluded before 4 May 2026.",
    ),
    (
        Code.CADENCES_NOT_EXCLUDED,
        {"cadences": ("quarterly", "half-yearly"), "from_days": (MAY, MAY + 1)},
        (
            "Not excluded yet: quarterly use (until 4 May 2026) and half-yearly use (until 5 May "
            "2026)."
        ),
    ),
    (
        Code.DAYS_NOT_SEEN,
        {"days": 4, "holes": ((MAY, MAY), (MAY + 10, MAY + 12))},
        (
            "4 days of the silent year were not fully observed and were taken as silent: 4 May "
            "2026 and 14 May 2026 to 16 May 2026."
        ),
    ),
    (
        Code.DATES,
        {"probably_day": MAY, "safe_day": MAY + 1},
        (
            "Without a further use it is probably unused from 4 May 2026 and safe to remove from 5 "
            "May 2026."
        ),
    ),
    (
        Code.DATES,
        {"probably_day": None, "safe_day": MAY},
        "Without a further use it is safe to remove from 4 May 2026.",
    ),
    (
        Code.DATES,
        {"probably_day": MAY, "safe_day": None},
        "Without a further use it is probably unused from 4 May 2026.",
    ),
    (
        Code.WEBSOCKET,
        {},
        (
            "A WebSocket is counted when it opens, so one that stays open looks unused: never safe "
            "to remove by its silence."
        ),
    ),
    (
        Code.CANNOT_TELL,
        {},
        "Watching cannot tell: a use in an emergency, in an audit, or less often than once a year.",
    ),
)


@pytest.mark.parametrize(("code", "numbers", "text"), CASES)
def test_a_sentence_is_made_from_a_code_and_its_numbers(
    code: Code, numbers: Mapping[str, Number], text: str
) -> None:
    assert sentence(Reason(code, numbers)) == text


def test_every_code_has_a_sentence_here() -> None:
    assert {code for code, _, _ in CASES} == set(Code)


def test_what_was_seen_is_evidence_and_a_limit_is_not() -> None:
    assert Code.SILENT.is_evidence
    assert not Code.CANNOT_TELL.is_evidence


def test_a_safe_endpoint_says_what_was_seen_and_what_watching_cannot_tell() -> None:
    callers = (web(), web(name="app-ios", last_day=LAST - 15, longest_gap=9))

    assert sentences(daily(133, ledger=Ledger(BORN, callers))) == [
        "No use for 133 days; all of them were observed.",
        "Before that it was used on 400 of 400 days, never with more than 1 day between two uses.",
        (
            "Both known callers are gone: web (last on 8 January 2022) and app-ios (last on 24 "
            "December 2021). Each of them called on four days or more."
        ),
        "No bot called and no request was refused in the last 90 days.",
        "Watching cannot tell: a use in an emergency, in an audit, or less often than once a year.",
    ]


def test_a_probably_unused_endpoint_says_what_is_open_and_until_when() -> None:
    assert sentences(daily(71))[-5:] == [
        (
            "Callers are not known for the whole year before the last use, and a rare one behind "
            "frequent ones would not show: safe only after a silent year, on 13 February 2023."
        ),
        "A yearly use is not excluded before 13 February 2023.",
        (
            "Not excluded yet: quarterly use (until 20 April 2022) and half-yearly use (until 28 "
            "July 2022)."
        ),
        "Without a further use it is safe to remove from 13 February 2023.",
        "Watching cannot tell: a use in an emergency, in an audit, or less often than once a year.",
    ]


def test_an_endpoint_that_waits_gives_both_dates() -> None:
    assert sentences(daily(12))[2:] == [
        "The silence of 12 days is longer than any gap before (1 day), but not long enough.",
        (
            "Callers are not known for the whole year before the last use, and a rare one behind "
            "frequent ones would not show: safe only after a silent year, on 13 February 2023."
        ),
        (
            "Without a further use it is probably unused from 9 February 2022 and safe to remove "
            "from 13 February 2023."
        ),
    ]


def test_a_websocket_gives_no_date_for_safe() -> None:
    assert all(
        "safe to remove from" not in text for text in sentences(daily(71, kind=Kind.WEBSOCKET))
    )


def test_a_headline_says_the_verdict_and_its_date() -> None:
    kept = daily(12, keeps=(Keep("audit", LAST + 90, KeepSource.CODE),))

    assert headline(verdict_of(daily(401))) == "Safe to remove since 13 February 2023"
    assert headline(verdict_of(daily(71))) == "Probably unused since 9 February 2022"
    assert headline(verdict_of(daily(12))) == "Wait until 9 February 2022"
    assert headline(verdict_of(daily(2))) == "In use"
    assert headline(verdict_of(used(silent=3))) == "Not enough observation"
    assert headline(verdict_of(kept)) == "Kept on purpose"


def test_a_tolerated_hole_is_named() -> None:
    assert (
        "1 day of the silent year was not fully observed and was taken as silent: 9 March 2022."
        in sentences(daily(401, holes=runs((60, 60))))
    )


def test_some_noise_that_is_no_doubt_is_not_called_none() -> None:
    assert not any("last 90 days" in text for text in sentences(daily(401, noise=Noise(1))))
