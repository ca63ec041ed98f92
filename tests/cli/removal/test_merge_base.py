"""--merge-base: endpoints that production got after the branch began. Runs git."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.helpers import run
from tests.cli.removal.conftest import Branch
from tests.cli.removal.helpers import DAY, endpoint, evidence, write

BEGAN = 1_763_000_000.0
"""Time of the branch's first commit; the evidence begins before it."""

LATER = BEGAN + DAY


def git(*arguments: str, at: float = BEGAN) -> str:
    who = {"NAME": "a", "EMAIL": "a@example.com", "DATE": f"{at:.0f} +0000"}
    environment = {
        f"GIT_{role}_{name}": value
        for role in ("AUTHOR", "COMMITTER")
        for name, value in who.items()
    }
    done = subprocess.run(
        ["git", *arguments],
        capture_output=True,
        check=True,
        env={**os.environ, **environment, "GIT_CONFIG_GLOBAL": os.devnull},
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def commit(here: Path) -> str:
    """The only commit of a new repository in the current directory."""
    git("init", "--quiet", ".")
    git("commit", "--quiet", "--allow-empty", "--message", "Begin")
    return git("rev-parse", "HEAD")


def outcome(target: str, merge_base: str, *documents: Any) -> str:
    """The outcome for the endpoint that the branch lacks."""
    files = [
        write(Path(f"evidence-{number}.json"), document)
        for number, document in enumerate(documents)
    ]
    named = [part for file in files for part in ("--evidence", file)]
    done = run("check", target, *named, "--format", "json", "--merge-base", merge_base)
    document = json.loads(done.stdout)
    (only,) = document["endpoints"]
    assert (document["merge_base"], document["passed"]) == (merge_base, done.exit_code == 0)
    return str(only["outcome"])


def test_a_stale_branch_gives_no_false_finding(branch: Branch, commit: str) -> None:
    document = evidence(endpoint(first_seen_at=LATER))

    assert outcome(branch("GET /orders"), commit, document) == "newer"


def test_a_stale_branch_is_told_to_rebase(branch: Branch, commit: str) -> None:
    write(Path("evidence.json"), evidence(endpoint(first_seen_at=LATER)))

    done = run(
        "check", branch("GET /orders"), "--evidence", "evidence.json", "--merge-base", commit
    )

    assert done.exit_code == 0
    assert done.stdout.endswith("\nnewer    POST /v1/exports: newer than this branch: rebase\n")


def test_an_endpoint_that_was_there_before_is_a_finding(branch: Branch, commit: str) -> None:
    for time in (BEGAN, BEGAN - 1):
        document = evidence(endpoint(first_seen_at=time))
        assert outcome(branch("GET /orders"), commit, document) == "failed"


def test_an_endpoint_is_old_if_one_region_had_it_before(branch: Branch, commit: str) -> None:
    new, old = evidence(endpoint(first_seen_at=LATER)), evidence(endpoint())

    assert outcome(branch("GET /orders"), commit, new, old) == "failed"


@pytest.mark.parametrize("first_seen_at", [LATER, 0])
def test_recording_that_began_later_tells_nothing_about_age(
    branch: Branch, commit: str, first_seen_at: float
) -> None:
    first = endpoint("GET /orders", first_seen_at=first_seen_at)
    document = evidence(endpoints=[first, endpoint(first_seen_at=LATER)])

    assert outcome(branch("GET /orders"), commit, document) == "failed"


@pytest.mark.parametrize("prefix", ["", "v"])
def test_a_release_that_the_branch_has_may_be_deployed_later(
    branch: Branch, commit: str, prefix: str
) -> None:
    git("tag", f"{prefix}2026.11.3", commit)
    document = evidence(endpoint(first_seen_at=LATER, releases={"introduced": "2026.11.3"}))

    assert outcome(branch("GET /orders"), commit, document) == "failed"


def test_a_release_may_be_named_by_its_commit(branch: Branch, commit: str) -> None:
    git("commit", "--quiet", "--allow-empty", "--message", "Go on", at=LATER)
    later = git("rev-parse", "HEAD")
    target = branch("GET /orders")

    for release, expected in ((commit[:12], "failed"), (later, "newer")):
        document = evidence(endpoint(first_seen_at=LATER, releases={"introduced": release}))
        assert outcome(target, commit, document) == expected


@pytest.mark.parametrize("release", ["2026.11.3", None, "", "--help", "HEAD", "v1^{/x}", "a b"])
def test_a_release_that_git_does_not_know_tells_nothing(
    branch: Branch, commit: str, release: str | None
) -> None:
    document = evidence(endpoint(first_seen_at=LATER, releases={"introduced": release}))

    assert outcome(branch("GET /orders"), commit, document) == "newer"


def test_a_clone_without_the_whole_history_takes_no_release_for_newer(
    branch: Branch, commit: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("tag", "2026.11.3", commit)
    git("commit", "--quiet", "--allow-empty", "--message", "Go on", at=BEGAN + 60)
    target, head = branch("GET /orders"), git("rev-parse", "HEAD")
    git("clone", "--quiet", "--depth", "1", here.as_uri(), "clone")
    document = evidence(endpoint(first_seen_at=LATER, releases={"introduced": "2026.11.3"}))
    unnamed = evidence(endpoint(first_seen_at=LATER, releases={"introduced": None}))
    monkeypatch.chdir(here / "clone")
    monkeypatch.syspath_prepend(here)

    assert outcome(target, head, document) == "failed"
    assert outcome(target, head, unnamed) == "newer"
    done = run("check", target, "--evidence", "evidence-0.json", "--merge-base", head)
    assert done.exit_code == 0
    write(Path("evidence.json"), document)
    done = run("check", target, "--evidence", "evidence.json", "--merge-base", head)
    assert "Note: This clone has only a part of the history" in done.stdout
    assert "fetch the whole history (actions/checkout: fetch-depth: 0)" in done.stdout


@pytest.mark.parametrize("revision", ["", "--help", "0" * 40, "main..HEAD", "a b", "nobody"])
def test_a_commit_that_git_does_not_know_is_wrong_usage(
    branch: Branch, commit: str, revision: str
) -> None:
    write(Path("evidence.json"), evidence())

    done = run(
        "check", branch("GET /orders"), "--evidence", "evidence.json", f"--merge-base={revision}"
    )

    assert (done.exit_code, done.stdout) == (2, "")
    assert "fetch the whole history (actions/checkout: fetch-depth: 0)" in done.stderr


def test_without_git_it_is_wrong_usage(branch: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    write(Path("evidence.json"), evidence())

    done = run("check", branch("GET /orders"), "--evidence", "evidence.json", "--merge-base", "x")

    assert (done.exit_code, "--merge-base needs git" in done.stderr) == (2, True)
