"""`evidence` and `prune-list`, and `check` with the evidence of a database."""

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.support.rows import delta
from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.admin.audit import SAVE, Author
from fastapi_lens.cli.removal.evidence import Evidence
from fastapi_lens.settings.keeps import KeptEndpoint, KeptEndpoints
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.verdict.level import Level
from tests.cli.helpers import fill, run, url_of
from tests.cli.removal.conftest import Branch

PATHS = ("/orders", "/exports", "/a|b_*c*", "/x\x1b[31m")


@pytest.fixture
def filled(here: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = url_of(here / "lens.db")
    fill(url, [delta(1, (1_000, 2_000)), delta(2)], paths=PATHS)
    monkeypatch.setenv("LENS_DATABASE_URL", url)
    return url


def test_the_evidence_is_that_of_the_http_interface(
    filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENS_ENVIRONMENT", "staging")
    app = FastAPI()
    LensMiddleware.setup(app, LensConfig(app_name="orders", security_enabled=False))
    with TestClient(app) as client:
        over_http = client.get("/lens/report/evidence").text
    printed = run("evidence")

    assert printed.exit_code == 0
    times = r'"(generated_at|until)":[0-9.]+'
    timeless = [re.sub(times, "", text) for text in (over_http, printed.stdout)]
    assert timeless[0] == timeless[1].removesuffix("\n")
    assert json.loads(printed.stdout)["environment"] == "staging"


def test_check_understands_all_of_it(filled: str) -> None:
    run("evidence", "-o", "evidence.json.gz")
    run("evidence", "--output", "evidence.json")

    text = Path("evidence.json").read_bytes()
    found = Evidence.model_validate_json(text)
    assert [endpoint.path for endpoint in found.endpoints] == sorted(PATHS)
    assert Path("evidence.json").stat().st_mode & 0o777 == 0o600
    written: dict[str, Any] = json.loads(text)
    read = json.loads(found.model_dump_json())
    assert {name: written[name] for name in ("app", "environment", "callers")} == {
        name: read[name] for name in ("app", "environment", "callers")
    }
    for each, understood in zip(written["endpoints"], read["endpoints"], strict=True):
        assert understood.keys() <= each.keys()


def test_what_an_admin_keeps_on_purpose_is_kept_on_the_command_line(filled: str) -> None:
    first, *_ = json.loads(run("evidence").stdout)["endpoints"]
    kept = KeptEndpoint(
        endpoint=int(first["key"], 16),
        method=first["method"],
        path=first["path"],
        reason="disaster recovery",
        until=30_000,
    )
    section = Stored(KeptEndpoints((kept,)).as_stored(), 0)
    entry = Author("ada", "", 1.0).did(SAVE)
    with closing(Database(filled)) as database:
        assert write_section(database, "orders", "keeps", section, entry)

    found = json.loads(run("evidence").stdout)["endpoints"]
    assert [one["key"] for one in found if one["verdict"] == "kept"] == [first["key"]]


@pytest.mark.parametrize("named", ["database", "evidence.json", "evidence.json.gz"])
def test_check_reads_the_database_or_what_it_wrote(branch: Branch, filled: str, named: str) -> None:
    if named != "database":
        run("evidence", "-o", named)

    done = run("check", branch("GET /orders"), "--evidence", named)

    assert done.exit_code == 1
    assert "failed   GET /exports: " in done.stdout
    assert f"({named})" in done.stdout


def test_a_database_that_is_missing_is_no_pass(branch: Branch, here: Path) -> None:
    target = branch("GET /orders")

    nothing = run("check", target, "--evidence", "database")
    missing = run("check", target, "--evidence", "database", "--database", here / "no.db")

    assert (nothing.exit_code, missing.exit_code) == (2, 3)


@pytest.mark.parametrize("command", ["evidence", "prune-list"])
def test_a_database_that_is_missing_is_unreachable(here: Path, command: str) -> None:
    assert run(command, "--database", here / "no.db").exit_code == 3


def test_a_database_without_the_app_is_no_pass(branch: Branch, filled: str) -> None:
    done = run("check", branch("GET /orders"), "--evidence", "database", "--app", "nobody")

    assert (done.exit_code, "there is no app 'nobody'" in done.stderr) == (3, True)


def test_a_prune_list_has_the_verdicts_that_are_asked_for(filled: str) -> None:
    safe = run("prune-list").stdout
    every = run("prune-list", *(part for one in Level for part in ("--verdict", one))).stdout

    assert safe.splitlines()[-1].startswith("0 of 4 endpoints. orders: ")
    lines = every.splitlines()
    headings = ["Method", "Path", "Verdict", "Last use", "Callers", "Handler"]
    assert re.split(r"  +", lines[0]) == headings
    assert [line.split()[1] for line in lines[1:5]] == [
        "/a|b_*c*",
        "/exports",
        "/orders",
        "/x\\x1b[31m",
    ]
    assert lines[-1].startswith("Watching cannot tell: ")


def test_a_prune_list_as_markdown_is_a_list_to_tick(filled: str) -> None:
    options = ("--verdict", "in_use", "--verdict", "not_enough_observation")

    text = run("prune-list", "--format", "markdown", *options).stdout

    assert text.startswith(
        "**Unknown file**\n\n- [ ] <code>GET /a\\|b\\_\\*c\\*</code>: not enough"
    )
    assert text.count("- [ ] ") == 4
    assert "\n\nWatching cannot tell: " in text


def test_a_prune_list_as_json_is_no_evidence(branch: Branch, filled: str) -> None:
    run("prune-list", "--format", "json", "--verdict", "not_enough_observation", "-o", "list.json")

    document = json.loads(Path("list.json").read_text(encoding="utf-8"))
    done = run("check", branch("GET /orders"), "--evidence", "list.json")

    assert document["fastapi_lens_prune_list"] == 1
    assert {each["path"] for each in document["endpoints"]} <= set(PATHS)
    assert done.exit_code == 4


@pytest.mark.parametrize("verdict", ["dead", ""])
def test_an_unknown_verdict_is_wrong_usage(filled: str, verdict: str) -> None:
    assert run("prune-list", "--verdict", verdict).exit_code == 2
