"""The workflow of "A gate for pull requests", in a repository where a branch removes an endpoint.

Its steps run as they are written, without those that install something.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from fastapi_lens.verdict.level import Level
from tests.cli.removal.helpers import endpoint, evidence, write

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
SECTION = PAGE.read_text(encoding="utf-8").partition("\n## A gate for pull requests\n")[2]
(WORKFLOW,) = re.findall(
    r"^```yaml\n(.*?)^```$", SECTION.partition("\n## ")[0], re.DOTALL | re.MULTILINE
)
WAIVER = """
[[tool.fastapi_lens.check.waivers]]
endpoint = "POST /v1/exports"
reason = "The only customer has moved to v2"
until = 2999-12-31
"""
APPLICATION = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/orders")
def orders() -> None: ...
"""
EXPORTS = """
@app.post("/v1/exports")
def export() -> None: ...
"""


def steps() -> dict[str, str]:
    """The commands of each step, by its name."""
    found: dict[str, str] = {}
    for step in re.split(r"^ {6}- ", WORKFLOW, flags=re.MULTILINE):
        name = re.match(r"name: (.+)\n", step)
        block = re.search(r"^ {8}run: \|\n(.*)", step, re.DOTALL | re.MULTILINE)
        line = re.search(r"^ {8}run: ([^|].*)$", step, re.MULTILINE)
        if name and (block or line):
            found[name[1]] = dedent(block[1]) if block else line[1] if line else ""
    return found


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clone with a branch; production has two endpoints, and so has the base."""
    upstream, clone = tmp_path / "upstream", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(upstream))
    commit(upstream, APPLICATION + EXPORTS)
    git(tmp_path, "clone", "--quiet", str(upstream), str(clone))
    git(clone, "switch", "--quiet", "--create", "branch")
    write(tmp_path / "evidence.json", evidence(endpoint(verdict=Level.WAIT)))
    return clone


def git(directory: Path, *arguments: str) -> None:
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    environment = {**os.environ, **dict.fromkeys(names, "a"), "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", *arguments], check=True, cwd=directory, env=environment)


def commit(directory: Path, application: str, policy: str = "") -> None:
    (directory / "shop").mkdir(exist_ok=True)
    (directory / "shop" / "main.py").write_text(application, encoding="utf-8")
    (directory / "pyproject.toml").write_text(policy, encoding="utf-8")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message", "Change the endpoints")


def gate(repository: Path) -> tuple[int, str, str]:
    """Run the steps: the exit code of the last, what it prints, and the summary."""
    summary = repository.parent / "summary.md"
    variables = {
        "BASE": "origin/main",
        "EVIDENCE": str(repository.parent / "evidence.json"),
        "GITHUB_STEP_SUMMARY": str(summary),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    *before, last = [text for name, text in steps().items() if name != "Install"]
    for text in (*before, last):
        # As GitHub does where no shell is named.
        done = subprocess.run(
            ["bash", "-e", "-c", text],
            capture_output=True,
            check=False,
            cwd=repository,
            env={**os.environ, **variables},
            text=True,
        )
        assert text is last or done.returncode == 0, done.stderr
    return done.returncode, done.stdout, summary.read_text(encoding="utf-8")


def test_the_workflow_has_its_steps_and_gives_the_key_to_the_last_only() -> None:
    assert list(steps()) == [
        "Install",
        "List the endpoints of the branch",
        "Compare them with production",
    ]
    assert WORKFLOW.count("secrets.LENS_KEY") == 1
    assert WORKFLOW.index("secrets.LENS_KEY") > WORKFLOW.index("Compare them with production")


def test_a_branch_that_removes_an_endpoint_in_use_is_refused(repository: Path) -> None:
    commit(repository, APPLICATION)

    code, printed, summary = gate(repository)

    assert code == 1
    assert (
        "\n::error file=shop/exports.py,title=POST /v1/exports%3A wait until 2026-12-21::No use"
    ) in printed
    assert "https://api.example.com/lens/endpoints/00000000000000a1" in printed
    assert summary.startswith("### ❌ 1 of 1 removed endpoints cannot be removed yet\n")


def test_a_waiver_in_the_branch_lets_it_pass(repository: Path) -> None:
    commit(repository, APPLICATION, WAIVER)

    code, printed, _ = gate(repository)

    assert (code, "::notice file=shop/exports.py" in printed) == (0, True)


def test_a_stale_branch_that_removes_nothing_passes_and_is_told_to_rebase(repository: Path) -> None:
    file = repository.parent / "evidence.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["endpoints"].append(endpoint("GET /v2/exports", first_seen_at=4_102_444_800.0))
    write(file, document)

    code, printed, summary = gate(repository)

    assert (code, printed.splitlines()[0]) == (0, "No endpoint is removed.")
    assert summary.startswith("### ✅ No endpoint is removed\n")
    assert "newer    GET /v2/exports: newer than this branch: rebase" in printed
