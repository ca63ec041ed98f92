"""Workflows, hooks and templates of the repository: they parse, and call what exists."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.compat_python import VERSIONS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """All jobs, each with the name of its workflow."""
    for path in WORKFLOWS:
        for name, job in loaded(path)["jobs"].items():
            yield f"{path.stem}.{name}", job


def commands() -> Iterator[tuple[str, str]]:
    """All lines that jobs run."""
    for name, job in jobs():
        for step in job["steps"]:
            yield from ((name, line) for line in step.get("run", "").splitlines())


def test_every_job_runs_only_targets_of_make_that_exist() -> None:
    wrong = [
        f"{name}: {line}"
        for name, line in commands()
        if (found := re.search(r"\bmake ([a-z-]+)", line)) is None or found[1] not in TARGETS
    ]
    assert list(commands())
    assert wrong == []


def test_the_suite_runs_on_every_supported_python() -> None:
    matrix = dict(jobs())["test.linux"]["strategy"]["matrix"]
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert tuple(matrix["python"]) == VERSIONS
    assert {one.rpartition(" ")[2] for one in classifiers if " :: 3." in one} == set(VERSIONS)


@pytest.mark.parametrize(("name", "job"), list(jobs()), ids=[name for name, _ in jobs()])
def test_a_job_may_do_little_ends_in_time_and_runs_no_foreign_code_that_can_change(
    name: str, job: dict[str, Any]
) -> None:
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [one for one in used if not PINNED.fullmatch(one)] == []
    assert job["timeout-minutes"] <= 90
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    # Whoever may publish runs nothing of ours: no checkout, no build.
    assert ("permissions" in job) == (name == "release.publish")
    if "permissions" in job:
        assert job["permissions"] == {"id-token": "write"}
        assert not any("run" in step for step in job["steps"])


def test_every_workflow_may_only_read_by_default() -> None:
    assert [loaded(path)["permissions"] for path in WORKFLOWS] == [{"contents": "read"}] * 3


def test_only_a_tag_publishes() -> None:
    # YAML 1.1 reads the key `on` as true.
    assert loaded(GITHUB / "workflows" / "release.yml")[True] == {"push": {"tags": ["v*"]}}
    publishing = [name for name, job in jobs() if "environment" in job]
    assert publishing == ["release.publish"]


def test_pre_commit_runs_exactly_the_checks_of_make_lint() -> None:
    (repository,) = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    lint = re.search(r"^lint: .*\n\t@\$\(MAKE\) .*?((?: lint-[a-z]+)+)$", MAKEFILE, re.MULTILINE)
    assert lint
    assert repository["repo"] == "local"
    assert {hook["entry"] for hook in repository["hooks"]} == {
        f"make {target}" for target in lint[1].split()
    }
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


def test_dependencies_of_every_kind_are_kept_up_to_date() -> None:
    updates = loaded(GITHUB / "dependabot.yml")["updates"]
    assert {one["package-ecosystem"] for one in updates} == {"github-actions", "npm", "pip"}


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_an_issue_template_has_what_a_form_needs(name: str) -> None:
    form = loaded(GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml")
    fields = [one["id"] for one in form["body"] if one["type"] != "markdown"]
    assert form["name"]
    assert form["description"]
    assert len(fields) == len(set(fields)) >= 3


@pytest.mark.parametrize(
    "document", ["SECURITY.md", "CODE_OF_CONDUCT.md", ".github/pull_request_template.md"]
)
def test_what_the_papers_of_the_repository_name_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    named = re.findall(r"`([\w./-]+\.\w+)`", text)
    assert [one for one in (*links, *named) if not (ROOT / one).exists()] == []
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= TARGETS
