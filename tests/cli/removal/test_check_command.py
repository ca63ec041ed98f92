"""`check`: a branch may not remove what production uses, and no evidence is never a pass."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from fastapi_lens.cli.removal.evidence import IGNORED
from fastapi_lens.verdict.level import Level
from tests.cli.helpers import run
from tests.cli.removal.conftest import Branch
from tests.cli.removal.helpers import DAY, HOUR, MISSING, endpoint, evidence, write


def check(target: str, *documents: Any, options: tuple[object, ...] = ()) -> Result:
    """Run `check` with evidence of each document."""
    files = [
        write(Path(f"evidence-{number}.json"), document)
        for number, document in enumerate(documents)
    ]
    named = [part for file in files for part in ("--evidence", file)]
    return run("check", target, *named, *options)


def found(target: str, *documents: Any, options: tuple[object, ...] = ()) -> dict[str, Any]:
    """The JSON of `check`."""
    done = check(target, *documents, options=(*options, "--format", "json"))
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["passed"] == (done.exit_code == 0)
    return document


def outcomes(document: dict[str, Any]) -> dict[str, str]:
    return {f"{each['method']} {each['path']}": each["outcome"] for each in document["endpoints"]}


def test_a_branch_that_removes_nothing_passes(branch: Branch) -> None:
    done = check(branch("GET /orders", "POST /v1/exports"), evidence(endpoint()))

    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "No endpoint is removed.")


@pytest.mark.parametrize(
    ("verdict", "code", "outcome"),
    [
        (Level.IN_USE, 1, "failed"),
        (Level.WAIT, 1, "failed"),
        (Level.NOT_ENOUGH_OBSERVATION, 1, "failed"),
        (Level.KEPT, 1, "failed"),
        (Level.PROBABLY_UNUSED, 0, "warned"),
        (Level.SAFE_TO_REMOVE, 0, "passed"),
    ],
)
def test_the_verdict_of_production_decides_on_a_removal(
    branch: Branch, verdict: Level, code: int, outcome: str
) -> None:
    document = evidence(endpoint(verdict=verdict))

    done = check(branch("GET /orders"), document)

    assert done.exit_code == code
    assert done.stdout.splitlines()[3].startswith(f"{outcome:<9}POST /v1/exports: ")


def test_an_endpoint_that_production_has_removed_is_no_removal(branch: Branch) -> None:
    document = evidence(endpoint(removed_at=1_763_337_600.0))

    assert found(branch("GET /orders"), document)["endpoints"] == []


def test_a_renamed_parameter_is_no_removal(branch: Branch) -> None:
    document = evidence(endpoint("GET /orders/{id}/lines/{line}"))

    result = found(branch("GET /orders", "GET /orders/{order}/lines/{number}"), document)

    assert outcomes(result) == {"GET /orders/{id}/lines/{line}": "renamed"}
    assert result["endpoints"][0]["renamed_to"] == "/orders/{order}/lines/{number}"


def test_another_method_of_the_same_path_is_a_removal(branch: Branch) -> None:
    document = evidence(endpoint("DELETE /orders"))

    assert outcomes(found(branch("GET /orders"), document)) == {"DELETE /orders": "failed"}


def test_a_route_of_any_method_keeps_each_of_them(branch: Branch) -> None:
    source = "from starlette.staticfiles import StaticFiles\napp.mount('/files', StaticFiles)"
    target = branch("GET /orders", source=source)
    document = evidence(endpoint("GET /files/{path}"), endpoint("ANY /files/{path}"))

    assert found(target, document)["endpoints"] == []


def test_of_several_sources_the_worst_verdict_wins(branch: Branch) -> None:
    europe = evidence(endpoint(verdict=Level.SAFE_TO_REMOVE))
    asia = evidence(endpoint(verdict=Level.IN_USE), app="Asia")
    target = branch("GET /orders")

    for documents in ([europe, asia], [asia, europe]):
        result = found(target, *documents)
        assert outcomes(result) == {"POST /v1/exports": "failed"}
        assert result["endpoints"][0]["verdict"] == Level.IN_USE


def test_an_endpoint_that_only_one_source_knows_counts(branch: Branch) -> None:
    result = found(branch("GET /orders"), evidence(), evidence(endpoint()), evidence())

    assert outcomes(result) == {"POST /v1/exports": "failed"}
    assert result["endpoints"][0]["evidence"] == "evidence-1.json"


def test_an_endpoint_that_one_region_has_removed_counts_where_it_is_not(branch: Branch) -> None:
    removed = evidence(endpoint(removed_at=1_763_337_600.0))

    result = found(branch("GET /orders"), removed, evidence(endpoint()))

    assert outcomes(result) == {"POST /v1/exports": "failed"}


def test_evidence_of_another_application_fails_and_says_so(branch: Branch) -> None:
    done = check(branch("GET /users"), evidence())

    assert done.exit_code == 1
    assert "No endpoint of evidence-0.json (Orders) is in the branch" in done.stdout


@pytest.mark.parametrize("verdict", [Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED])
@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_evidence_of_another_application_is_no_pass(
    branch: Branch, verdict: Level, form: str
) -> None:
    other = evidence(endpoints=[endpoint(verdict=verdict)], app="Billing")
    target = branch("GET /users")

    for documents in ([other], [other, evidence(endpoints=[endpoint("GET /users")])]):
        done = check(target, *documents, options=("--format", form))
        assert done.exit_code == 3
        assert "Error: evidence-0.json (Billing) is no evidence of this application" in done.stderr
        assert '"passed": true' not in done.stdout
        assert "✅ 1 endpoint" not in done.stdout


def test_a_waiver_shows_that_evidence_is_of_this_application(branch: Branch, here: Path) -> None:
    (here / "pyproject.toml").write_text(
        "[[tool.fastapi_lens.check.waivers]]\n"
        'endpoint = "POST /v1/exports"\nreason = "All is new"\nuntil = 2999-12-31\n',
        encoding="utf-8",
    )

    done = check(branch("GET /users"), evidence(endpoints=[endpoint()]))

    assert (done.exit_code, "No endpoint of evidence-0.json" in done.stdout) == (0, False)


def test_evidence_whose_parameters_are_all_renamed_is_of_this_application(branch: Branch) -> None:
    done = check(branch("GET /carts/{cart}"), evidence(endpoints=[endpoint("GET /carts/{id}")]))

    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"endpoints": []}, 3, "evidence-0.json has no endpoint"),
        ({"endpoints": [endpoint(removed_at=1.0)]}, 3, "evidence-0.json has no endpoint"),
        ({"fastapi_lens_evidence": 2}, 4, "is not evidence of format 1"),
        ({"fastapi_lens_evidence": MISSING}, 4, "is not evidence of format 1"),
        ({"generated_at": "today"}, 4, "damaged at generated_at"),
        ({"generated_at": float("nan")}, 4, "damaged"),
        ({"generated_at": -1}, 4, "damaged at generated_at"),
        ({"observed": None}, 4, "damaged at observed"),
        ({"endpoints": {}}, 4, "damaged at endpoints"),
        ({"endpoints": [endpoint(verdict="fine")]}, 4, "damaged at endpoints.0.verdict"),
        ({"endpoints": [endpoint(verdict=MISSING)]}, 4, "damaged at endpoints.0.verdict"),
        ({"endpoints": [endpoint(removed_at=MISSING)]}, 4, "damaged at endpoints.0.removed_at"),
        ({"endpoints": [endpoint(removed_at=False)]}, 4, "damaged at endpoints.0.removed_at"),
        ({"endpoints": [endpoint(path=7)]}, 4, "damaged at endpoints.0.path"),
        ({"endpoints": [endpoint(key="../../x")]}, 4, "damaged at endpoints.0.key"),
        ({"endpoints": [endpoint(first_seen_at=1e300)]}, 4, "damaged at endpoints.0.first_seen_at"),
    ],
)
def test_evidence_that_says_nothing_is_no_pass(
    branch: Branch, changes: dict[str, Any], code: int, sentence: str
) -> None:
    done = check(branch("GET /orders"), evidence(**changes))

    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("age", "sentence"),
    [
        (49 * HOUR, "evidence-0.json is 49 hours old, and --max-age-hours allows 48"),
        (-9 * DAY, "evidence-0.json was written 216 hours in the future"),
    ],
)
def test_evidence_of_another_time_is_no_pass(branch: Branch, age: float, sentence: str) -> None:
    done = check(branch("GET /orders"), evidence(generated_at=time.time() - age))

    assert (done.exit_code, done.stdout) == (3, "")
    assert sentence in done.stderr


def test_new_evidence_of_a_time_that_nobody_watched_is_no_pass(branch: Branch) -> None:
    seen = {"since": 1_725_753_600, "days": 803, "hole_days": 9, "holes": []}
    target = branch("GET /orders")

    def answer(hours: float, *options: object) -> Result:
        written = time.time() - HOUR
        observed = {**seen, "until": written - hours * HOUR}
        return check(target, evidence(observed=observed, generated_at=written), options=options)

    assert answer(47).exit_code == 0
    assert answer(49, "--max-age-hours", 50).exit_code == 0
    done = answer(49)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "evidence-0.json is new, but Orders had recorded nothing for 49 hours" in done.stderr


def test_one_bad_source_of_several_is_no_pass(branch: Branch) -> None:
    old = evidence(generated_at=time.time() - 49 * HOUR)

    assert check(branch("GET /orders"), evidence(), old).exit_code == 3


@pytest.mark.parametrize(("hours", "code"), [("50", 0), ("0.5", 3), ("0", 3), ("-1", 2)])
def test_the_age_that_is_allowed_can_be_set(branch: Branch, hours: str, code: int) -> None:
    old = evidence(generated_at=time.time() - 49 * HOUR)

    done = check(branch("GET /orders"), old, options=("--max-age-hours", hours))

    assert done.exit_code == code


def test_an_allowed_age_that_is_no_number_is_no_pass(branch: Branch) -> None:
    done = check(branch("GET /orders"), evidence(), options=("--max-age-hours", "nan"))

    assert done.exit_code in {2, 3}  # Depends on the release of Click.


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "<html>", '{"a": 1}', "\x00"])
def test_a_file_of_another_kind_is_damaged(branch: Branch, here: Path, text: str) -> None:
    (here / "evidence.json").write_text(text, encoding="utf-8")

    done = run("check", branch("GET /orders"), "--evidence", "evidence.json")

    assert done.exit_code == 4
    assert done.stderr.startswith("Error: evidence.json is ")


def test_a_missing_file_is_no_pass(branch: Branch) -> None:
    done = run("check", branch("GET /orders"), "--evidence", "nowhere.json")

    assert (done.exit_code, "--evidence cannot be read" in done.stderr) == (3, True)


def test_evidence_has_to_be_named(branch: Branch) -> None:
    done = run("check", branch("GET /orders"))

    assert (done.exit_code, "name the evidence with --evidence" in done.stderr) == (2, True)


@pytest.mark.parametrize("named", [(), ("branch:app", "--routes", "routes.json")])
def test_the_branch_has_to_be_named_once(here: Path, named: tuple[str, ...]) -> None:
    write(here / "evidence.json", evidence())

    done = run("check", *named, "--evidence", "evidence.json")

    assert (done.exit_code, "either the application" in done.stderr) == (2, True)


def test_the_summary_of_a_workflow_gets_markdown(
    branch: Branch, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "summary").write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary"))
    target = branch("GET /orders")

    printed = check(target, evidence(endpoint()), options=("--format", "markdown")).stdout

    check(target, evidence(endpoint()), options=("--format", "json"))
    assert (here / "summary").read_text(encoding="utf-8") == f"before\n{printed}{printed}"


def test_a_summary_that_cannot_be_written_changes_no_result(
    branch: Branch, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here))

    failed = check(branch("GET /orders"), evidence(endpoint()))
    passed = check(branch("GET /orders"), evidence())

    assert (failed.exit_code, passed.exit_code) == (1, 0)
    assert failed.stderr.startswith("Note: GITHUB_STEP_SUMMARY cannot be written: ")


def ignored(name: str) -> dict[str, Any]:
    """One endpoint that a rule ignores, as evidence names it."""
    method, path = name.split(" ", 1)
    place = {"key": "00000000000000a2", "method": method, "path": path}
    return {**place, "source": "shop/exports.py:9", "first_seen_at": 1_725_753_600.0}


def test_an_endpoint_that_a_rule_ignores_is_not_removed_by_chance(branch: Branch) -> None:
    document = evidence(ignored=[ignored("GET /internal/jobs")], callers={"since": 1_725_753_600})

    (finding,) = found(branch("GET /orders"), document)["endpoints"]

    assert (finding["path"], finding["outcome"]) == ("/internal/jobs", "failed")
    assert finding["verdict"] == Level.NOT_ENOUGH_OBSERVATION
    assert finding["sentences"] == [IGNORED]
    assert found(branch("GET /orders", "GET /internal/jobs"), document)["endpoints"] == []


def test_an_ignored_endpoint_is_not_called_never_used(branch: Branch) -> None:
    document = evidence(ignored=[ignored("GET /internal/jobs")], callers={"since": 1_725_753_600})
    text = check(branch("GET /orders"), document).stdout
    assert IGNORED in text
    assert "last use: not known; callers are not recorded" in text
