"""The README says what is so: its table of settings, and its sample."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig
from fastapi_lens.config.environment import env_name
from fastapi_lens.config.lens_config import SETTINGS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

ROW = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| `(\w+)` \| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    default: Any
    environment: str
    meaning: str


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def documented() -> Mapping[str, Row]:
    return {
        name: Row(ast.literal_eval(default), environment, meaning)
        for name, default, environment, meaning in ROW.findall(section("Settings"))
    }


def code_block(language: str, *, after: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", section(after), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_every_setting_and_no_other_is_in_the_table_in_the_order_of_the_class() -> None:
    assert list(documented()) == list(SETTINGS)


def test_every_row_of_the_table_is_one_that_the_other_tests_read() -> None:
    lines = [line for line in section("Settings").splitlines() if line.startswith("| `")]

    assert len(lines) == len(documented())


@pytest.mark.parametrize("name", SETTINGS)
def test_the_table_gives_the_default_of_each_setting(name: str) -> None:
    default = getattr(LensConfig(), name)

    assert documented()[name].default == default
    assert isinstance(default, type(documented()[name].default) | float)


@pytest.mark.parametrize("name", SETTINGS)
def test_the_table_gives_the_variable_of_each_setting(name: str) -> None:
    assert documented()[name].environment == env_name(name)


def test_the_sample_runs_and_its_report_shows_the_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LENS_FLUSH_INTERVAL", "0.05")
    sample = code_block("python", after="Add it to an application")
    namespace: dict[str, Any] = {"__name__": "sample"}
    exec(compile(sample, "README.md", "exec"), namespace)  # noqa: S102 - our own README
    found = re.search(r'report_key="([^"]+)"', sample)
    assert found is not None

    with TestClient(namespace["app"]) as client:
        assert client.get("/orders/7").json() == {"order_id": 7}

        def calls() -> int:
            report = client.get("/lens/report", headers={"X-Lens-Key": found[1]}).json()
            total: int = report["summary"]["total_requests"]
            return total

        assert wait_until(calls, what="the call in the report") == 1
        assert client.get("/lens/report").status_code == 403


def test_the_sample_takes_at_most_ten_lines() -> None:
    sample = code_block("python", after="Add it to an application")

    assert len([line for line in sample.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_to_a_file_leads_to_one(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)

    assert [link for link in links if not (ROOT / link).is_file()] == []
