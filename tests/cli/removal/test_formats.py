"""The formats of `check`: complete, and harmless whatever a path or a caller is called."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fastapi_lens.cli.removal.evidence import parsed
from fastapi_lens.cli.removal.prune_list import PruneFormat, prune_list
from fastapi_lens.cli.removal.sources import Source
from fastapi_lens.verdict.level import Level
from tests.cli.helpers import run
from tests.cli.removal.conftest import Branch
from tests.cli.removal.helpers import endpoint, evidence, write

HOSTILE = "/a|b%,:`x`_*c*<img src=x>\x1b[31m\n::error::x\r##[stop-commands]x\u202e&amp;{id}"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
CALLERS = [
    {"name": "old-service", "last_at": 1_700_000_000, "noise": False},
    {"name": "billing\n| x |", "last_at": YESTERDAY.timestamp(), "noise": False},
    {"name": "kube-probe", "last_at": YESTERDAY.timestamp(), "noise": True},
    {"name": "c", "last_at": 1_600_000_000, "noise": False},
    {"name": "d", "last_at": 1_500_000_000, "noise": False},
]
REFUSED = {"name": "only refused", "last_at": None, "noise": False}


@pytest.fixture
def target(branch: Branch) -> str:
    return branch("GET /orders", "GET /carts/{cart}")


def printed(target: str, form: str, document: Any, *options: object) -> str:
    file = write(Path("evidence.json"), document)
    return run("check", target, "--evidence", file, "--format", form, *options).stdout


def every_outcome(here: Path) -> dict[str, Any]:
    """Evidence with an endpoint for each outcome but newer."""
    until = datetime.now(UTC).date() + timedelta(days=3)
    (here / "pyproject.toml").write_text(
        "[[tool.fastapi_lens.check.waivers]]\n"
        f'endpoint = "GET /waived"\nreason = "moved"\nuntil = {until}\n',
        encoding="utf-8",
    )
    return evidence(
        endpoint("GET /safe", Level.SAFE_TO_REMOVE, source=""),
        endpoint("GET /carts/{id}"),
        endpoint("GET /probably", Level.PROBABLY_UNUSED),
        endpoint("GET /waived", Level.IN_USE),
        endpoint("GET /wait", Level.WAIT, last_used_at=None),
        endpoint("GET /kept", Level.KEPT, callers=[*CALLERS, REFUSED], pattern=None),
        callers={"since": 1_748_908_800, "complete": True},
    )


def test_text_has_all_findings_the_worst_first(target: str, here: Path) -> None:
    text = printed(target, "text", every_outcome(here), "--url", "https://a.example.com/lens/")

    lines = text.splitlines()
    assert lines[0] == "2 of 5 removed endpoints cannot be removed yet."
    assert lines[1].startswith(
        "Evidence: Orders, production: observed since 2024-09-08, 9 of 803 days not fully; written "
    )
    found = [line for line in lines[2:] if line and not line.startswith((" ", "Keep"))]
    assert [re.sub(r"until \d\S+: moved", "until …", line) for line in found] == [
        "failed   GET /kept: kept on purpose",
        "failed   GET /wait: wait until 2026-12-21",
        "waived   GET /waived: in use; waived until …",
        "warned   GET /probably: probably unused, safe to remove from 2027-03-09",
        "passed   GET /safe: safe to remove",
        "renamed  GET /carts/{id}: same address, now /carts/{cart}",
    ]
    billing = f"billing\\n| x | ({YESTERDAY:%Y-%m-%d})"
    assert f"         last use: 2025-11-17; {billing}, old-service" in text
    assert f"         - Its removal would break {billing}.\n" in text
    assert "(2023-11-14), c (2020-09-13), 1 more; shop/exports.py:77\n" in text
    assert "         last use: never; no known caller; shop/exports.py:77\n" in text
    assert text.count("https://a.example.com/lens/endpoints/00000000000000a1") == 5
    assert "add a waiver to pyproject.toml ([[tool.fastapi_lens.check.waivers]]" in lines[-1]


def test_markdown_is_a_table_with_reasons(target: str, here: Path) -> None:
    text = printed(target, "markdown", every_outcome(here), "--url", "https://a.example.com/(l)|")

    assert text.startswith("### ❌ 2 of 5 removed endpoints cannot be removed yet\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert len(rows) == 8
    assert "| ✅ passed | <code>GET /safe</code> | safe to remove | 2025-11-17 | working" in text
    assert "now /carts/\\{cart\\}" in text
    assert (
        "**<code>GET /wait</code>** (<code>shop/exports.py:77</code>): No use for 12 days" in text
    )
    assert "(<code>shop/exports.py:77</code>): Its removal would break billing" in text
    assert "[Evidence](<https://a.example.com/%28l%29%7C/endpoints/00000000000000a1>)" in text


def test_markdown_of_a_pass_says_so(target: str) -> None:
    text = printed(target, "markdown", evidence(endpoint(verdict=Level.SAFE_TO_REMOVE)))

    assert text.startswith("### ✅ 1 endpoint removed, none of them known to be in use\n")


def test_markdown_of_no_removal_has_no_table(target: str) -> None:
    observed = {"since": 1_725_753_600, "days": 803, "hole_days": 0}

    text = printed(target, "markdown", evidence(observed=observed, environment=None))

    assert re.fullmatch(
        r"### ✅ No endpoint is removed\n\n"
        r"Orders: observed since 2024-09-08; written \S+ \S+ UTC \\\(evidence.json\\\)\n",
        text,
    )


def test_evidence_that_was_never_observed_says_so(target: str) -> None:
    observed = {"since": None, "days": 0, "hole_days": 0}

    text = printed(target, "text", evidence(observed=observed))

    assert "Evidence: Orders, production: never observed; written" in text


def test_markdown_ends_before_it_is_too_long_for_a_summary(target: str) -> None:
    document = evidence(*(endpoint(f"GET /many/{number}") for number in range(250)))

    text = printed(target, "markdown", document)

    assert text.count("\n| ❌ failed |") == 200
    assert "50 more are in the log, and in `--format json`." in text


def test_notes_are_in_text_and_markdown(target: str, here: Path) -> None:
    document = every_outcome(here)
    document["endpoints"] = [endpoint("GET /only_this", source="")]

    text, markdown = (printed(target, form, document) for form in ("text", "markdown"))

    assert "Note: The waiver of GET /waived is not needed" in text
    assert "> The waiver of GET /waived is not needed" in markdown
    assert "> No endpoint of evidence.json \\(Orders\\) is in the branch" in markdown


def test_annotations_name_the_file_and_no_line(target: str, here: Path) -> None:
    text = printed(target, "github", every_outcome(here), "--url", "https://a.example.com/lens")

    commands = [line for line in text.splitlines() if line.startswith("::")]
    reasons = (
        "No use for 12 days; all of them were observed."
        "%0Ahttps://a.example.com/lens/endpoints/00000000000000a1"
    )
    assert commands[0] == (
        "::error file=shop/exports.py,title=GET /kept%3A kept on purpose::"
        f"Its removal would break billing\\n| x | ({YESTERDAY:%Y-%m-%d}).%0A{reasons}"
    )
    assert [command.split(" ")[0] for command in commands] == [
        *("::error", "::error", "::notice", "::warning")
    ]
    assert "failed   GET /kept: kept on purpose" in text


def test_annotations_without_a_file_name_none(target: str) -> None:
    text = printed(target, "github", evidence(endpoint("GET /x", source="")))

    assert "\n::error title=GET /x%3A in use::No use for" in text


def test_json_has_all_that_the_documentation_lists(target: str, here: Path) -> None:
    document = json.loads(printed(target, "json", every_outcome(here)))

    documentation = Path(__file__).parents[3].joinpath("docs", "command-line.md")
    example = documentation.read_text(encoding="utf-8").partition('{"fastapi_lens_check": 1')[2]
    described = json.loads('{"fastapi_lens_check": 1' + example.partition("\n```")[0])
    assert document["counts"] == {
        "failed": 2, "waived": 1, "warned": 1, "passed": 1, "renamed": 1, "newer": 0
    }  # fmt: skip
    assert document.keys() == described.keys()
    assert document["counts"].keys() == described["counts"].keys()
    assert document["evidence"][0].keys() == described["evidence"][0].keys()
    kept, waived = document["endpoints"][0], document["endpoints"][2]
    assert kept.keys() == described["endpoints"][0].keys()
    assert waived["waiver"].keys() == described["endpoints"][0]["waiver"].keys()
    assert kept["callers"][0].keys() == described["endpoints"][0]["callers"][0].keys()
    assert [one["name"] for one in kept["callers"]] == [one["name"] for one in CALLERS]


def test_the_callers_of_all_regions_are_named(target: str) -> None:
    ended = YESTERDAY - timedelta(days=30)
    here = {"name": "billing", "last_at": ended.timestamp(), "noise": False}
    there = {"name": "billing", "last_at": YESTERDAY.timestamp(), "noise": False}
    other = {"name": "shop-app", "last_at": ended.timestamp(), "noise": False}
    since = {"since": 1_700_000_000, "complete": True}
    regions = {
        "eu.json": evidence(endpoint(callers=[here], more_callers=2), callers=since),
        "us.json": evidence(endpoint(verdict=Level.WAIT, callers=[there, other]), callers=since),
        "ap.json": evidence(endpoint(verdict=Level.WAIT)),
    }
    for name, document in regions.items():
        write(Path(name), document)
    named = [part for name in regions for part in ("--evidence", name)]

    text = run("check", target, *named).stdout
    document = json.loads(run("check", target, *named, "--format", "json").stdout)

    yesterday, earlier = f"{YESTERDAY:%Y-%m-%d}", f"{ended:%Y-%m-%d}"
    callers = f"billing ({yesterday}), shop-app ({earlier}), 2 more"
    assert f"- Its removal would break {callers}.\n" in text
    assert "Note: ap.json has no callers: others may call there.\n" in text
    (found,) = document["endpoints"]
    assert (found["callers"], found["more_callers"]) == ([there, other], 2)


def test_a_caller_that_is_long_gone_is_not_said_to_break(target: str) -> None:
    gone = [{"name": "old-service", "last_at": 1_700_000_000, "noise": False}]
    document = evidence(endpoint(callers=gone), callers={"since": 0, "complete": True})

    text = printed(target, "text", document)

    assert "old-service (2023-11-14)" in text
    assert "would break" not in text


@pytest.mark.parametrize("form", ["text", "markdown", "github", "json"])
def test_hostile_names_start_no_line_and_no_command(target: str, form: str) -> None:
    callers = [{"name": HOSTILE, "last_at": YESTERDAY.timestamp(), "noise": False}]
    document = evidence(
        endpoint(
            f"GET {HOSTILE}", source=f"{HOSTILE}:1", sentences=[HOSTILE], callers=callers,
            pattern=HOSTILE,
        ),
        app=HOSTILE,
        environment=HOSTILE,
        callers={"since": 0},
    )  # fmt: skip

    text = printed(target, form, document)

    assert "##[" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", text)
    for line in text.splitlines():
        assert not re.match(r"\s*::(?!error file=/a\|b%25%2C%3A)", line)
    if form == "markdown":
        assert not re.search(r"(?<!\\)<img", text)
        assert not re.search(r"(?<!\\)&amp", text)
    if form == "json":
        assert json.loads(text)["endpoints"][0]["path"] == HOSTILE
    if form == "github":
        (command,) = [line for line in text.splitlines() if line.startswith("::")]
        properties = command.removeprefix("::error ").partition("::")[0]
        assert [part.split("=")[0] for part in properties.split(",")] == ["file", "title"]


def test_a_prune_list_counts_the_callers_but_noise() -> None:
    document = evidence(
        endpoint("GET /safe", Level.SAFE_TO_REMOVE, callers=[*CALLERS, REFUSED], more_callers=1),
        callers={"since": 1_748_908_800, "complete": True},
    )
    source = Source("evidence.json", parsed(json.dumps(document).encode(), "evidence.json"))
    levels = frozenset({Level.SAFE_TO_REMOVE})

    row = prune_list(source, levels, PruneFormat.TABLE).splitlines()[1]
    item = prune_list(source, levels, PruneFormat.MARKDOWN).splitlines()[2]
    (found,) = json.loads(prune_list(source, levels, PruneFormat.JSON))["endpoints"]

    assert re.split(r"  +", row)[2:] == ["safe to remove", "2025-11-17", "5", "shop/exports.py:77"]
    assert ": safe to remove; 5 known callers. No use for" in item
    assert [one["name"] for one in found["callers"]] == [one["name"] for one in CALLERS]
