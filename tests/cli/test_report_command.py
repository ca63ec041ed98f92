"""`report`: the numbers of GET /lens/report, in four forms."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rich.console import Console

from benchmarks.support.rows import delta
from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.cli import commands
from tests.cli.helpers import fill, run, url_of

HOSTILE = ("=HYPERLINK(1)", "/a|b_*c*", "/\x1b[31m[red]x", "/plain")


@pytest.fixture
def filled(tmp_path: Path) -> str:
    url = url_of(tmp_path / "lens.db")
    fill(url, [delta(1, (1_000, 2_000)), delta(2, status=503), delta(4)], paths=HOSTILE)
    return url


def test_the_json_is_that_of_the_http_interface(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database_url, [delta(1, (1_000, 2_000, 90_000)), delta(2, status=404), delta(4)])
    monkeypatch.setenv("LENS_DATABASE_URL", database_url)
    monkeypatch.setenv("LENS_EXCLUDE_PATHS", "/users")
    monkeypatch.setenv("LENS_COLD_THRESHOLD_DAYS", "3")
    app = FastAPI()
    LensMiddleware.setup(app, LensConfig(app_name="orders", security_enabled=False))
    for query, options in {
        "": (),
        "?days=4000&status=dead": ("--days", 4000, "--status", "dead"),
    }.items():
        with TestClient(app) as client:
            over_http = client.get(f"/lens/report{query}").text
        printed = run("report", "--format", "json", "--app", "orders", *options)

        timeless = [
            re.sub(r'("generated_at"|"days_since_last_call"):[0-9.]+', r"\1:0", text)
            for text in (over_http, printed.stdout.removesuffix("\n"))
        ]
        assert printed.exit_code == 0
        assert '"total_requests":' in timeless[0]
        assert timeless[0] == timeless[1]


def test_csv_is_harmless_to_a_spreadsheet(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"

    assert run("report", "--database", filled, "--format", "csv", "--output", file).exit_code == 0

    text = file.read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["path"] == "'=HYPERLINK(1)"
    assert text.count("\r\n") == 5
    assert run("report", "--database", filled, "--format", "csv").stdout_bytes.decode() == text


def test_markdown_shows_paths_as_they_are(filled: str) -> None:
    text = run("report", "--database", filled, "--format", "markdown").stdout

    assert r"| GET | /a\|b\_\*c\* | dead | 1 | 100.00 |" in text
    assert "4 endpoints, 4 calls: 0 active, 0 cold, 3 dead, 1 never called" in text


def test_a_piped_table_is_plain_and_whole(filled: str) -> None:
    lines = run("report", "--database", filled).stdout.splitlines()

    assert lines[0].split() == [
        *[
            "Method",
            "Path",
            "Status",
            "Calls",
            "Errors",
            "%",
            "p50",
            "ms",
            "p95",
            "ms",
            "Last",
            "call",
        ]
    ]
    assert "\x1b" not in "".join(lines)
    assert len({len(line) for line in lines[:-1]}) == 1
    assert "never called" in lines[4]


@pytest.mark.parametrize("width", [72, 140])
def test_a_table_fits_its_terminal(
    width: int, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width)
    monkeypatch.setattr(commands, "Console", lambda: console)

    assert run("report", "--database", filled).exit_code == 0

    shown = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(map(len, shown.splitlines())) <= width
    assert "[red]" in shown
    assert ("p95 ms" in shown) == (width > 72)
    assert "\x1b[31m[red]" not in screen.getvalue()


def test_the_only_app_needs_no_name_and_several_do(filled: str) -> None:
    alone = run("report", "--database", filled)
    fill(filled, [delta(11)], app="billing", first=11)

    several = run("report", "--database", filled)
    named = run("report", "--database", filled, "--app", "billing", "--format", "json")
    wrong = run("report", "--database", filled, "--app", "nobody")

    assert (alone.exit_code, several.exit_code, named.exit_code, wrong.exit_code) == (0, 2, 0, 1)
    assert several.stderr == "Error: name one with --app; the apps here are: billing, orders\n"
    assert json.loads(named.stdout)["summary"]["total_requests"] == 1
    assert "there is no app 'nobody'; the apps here are: billing, orders" in wrong.stderr


def test_a_database_without_apps_says_so(tmp_path: Path) -> None:
    empty = url_of(tmp_path / "lens.db")
    fill(empty, [], paths=())
    run("purge", "--everything", "--yes", "--database", empty)

    done = run("report", "--database", empty)

    assert (done.exit_code, done.stderr) == (1, "Error: the database has no app yet\n")


@pytest.mark.parametrize(
    "options", [("--days", 0), ("--days", "x"), ("--status", "alive"), ("--format", "xml")]
)
def test_a_wrong_option_is_wrong_usage(options: tuple[object, ...], filled: str) -> None:
    assert run("report", "--database", filled, *options).exit_code == 2


def test_a_wrong_setting_is_wrong_usage(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_TTL_DAYS", "-1")

    done = run("report", "--database", filled)

    assert (done.exit_code, "ttl_days" in done.stderr) == (2, True)
