"""The README is short, and says what is so: its sample, its links."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK_START = (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8")
MOST_WORDS = 900


def code_block(text: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def install() -> str:
    """The section of the README that installs the package."""
    return README.partition("\n## Install it\n")[2].partition("\n## ")[0]


def application(sample: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> FastAPI:
    """The application that a sample makes in an empty folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LENS_DB_PATH", "lens.db")
    monkeypatch.setenv("LENS_FLUSH_INTERVAL", "0.05")
    names: dict[str, Any] = {"__name__": "sample"}
    exec(compile(sample, "sample", "exec"), names)  # noqa: S102  Our own documents.
    app = names["app"]
    assert isinstance(app, FastAPI)
    return app


def key_of(sample: str) -> str:
    found = re.search(r'report_key="([^"]+)"', sample)
    assert found is not None
    return found[1]


def test_the_readme_has_at_most_900_words() -> None:
    words = [word for word in README.split() if re.search(r"\w", word)]

    assert len(words) <= MOST_WORDS


def test_installing_takes_six_lines() -> None:
    lines = code_block(install(), "sh") + code_block(install(), "python")

    assert len([line for line in lines.splitlines() if line.strip()]) <= 6


def test_the_admin_of_the_readme_shows_the_calls_and_asks_for_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sample = code_block(install(), "python")
    app = application(sample, monkeypatch, tmp_path)

    with TestClient(app) as client:
        assert client.get("/lens/report").status_code == 403
        answer = client.get("/lens/report", headers={"X-Lens-Key": key_of(sample)})
        assert answer.json()["summary"]["total_endpoints"] == 0


def test_the_sample_of_the_quick_start_runs_and_its_report_shows_the_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sample = code_block(QUICK_START, "python")
    app = application(sample, monkeypatch, tmp_path)

    with TestClient(app) as client:
        assert client.get("/orders/7").json() == {"order_id": 7}

        def calls() -> int:
            report = client.get("/lens/report", headers={"X-Lens-Key": key_of(sample)}).json()
            total: int = report["summary"]["total_requests"]
            return total

        assert wait_until(calls, what="the call in the report") == 1
        assert client.get("/lens/report").status_code == 403


def test_the_readme_links_every_page_of_the_documentation() -> None:
    pages = [f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")]

    assert [page for page in pages if f"]({page}" not in README] == []
