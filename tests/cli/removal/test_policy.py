"""The policy in pyproject.toml: which verdicts fail, and waivers with a reason and an end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from fastapi_lens.verdict.level import Level
from tests.cli.helpers import run
from tests.cli.removal.conftest import Branch
from tests.cli.removal.helpers import endpoint, evidence, write

TODAY = datetime.now(UTC).date()
WAIVER = """
[[tool.fastapi_lens.check.waivers]]
endpoint = "{endpoint}"
reason = "No customer has a contract for it"
until = {until}
"""


def check(target: str, policy: str, document: Any) -> Result:
    Path("pyproject.toml").write_text(policy, encoding="utf-8")
    return run("check", target, "--evidence", write(Path("evidence.json"), document))


def waiver(endpoint: str = "POST /v1/exports", days: int = 1) -> str:
    return WAIVER.format(endpoint=endpoint, until=TODAY + timedelta(days=days))


@pytest.mark.parametrize("days", [1, 500])
def test_a_waiver_lets_an_endpoint_go(branch: Branch, days: int) -> None:
    done = check(branch("GET /orders"), waiver(days=days), evidence(endpoint()))

    assert done.exit_code == 0
    assert done.stdout.startswith("1 endpoint removed, as waivers or fail_on allow.\n")
    assert "waived   POST /v1/exports: in use; waived until " in done.stdout
    assert "No customer has a contract for it" in done.stdout


def test_the_method_of_a_waiver_may_be_written_in_lower_case(branch: Branch) -> None:
    policy = waiver("post  /v1/exports")

    assert check(branch("GET /orders"), policy, evidence(endpoint())).exit_code == 0


def test_an_expired_waiver_is_a_finding_again(branch: Branch) -> None:
    done = check(branch("GET /orders"), waiver(days=-2), evidence(endpoint()))

    assert done.exit_code == 1
    assert "failed   POST /v1/exports: in use; its waiver ended on " in done.stdout
    assert "Note: The waiver of POST /v1/exports ended on " in done.stdout


def test_a_waiver_that_is_not_needed_is_not_shown(branch: Branch) -> None:
    document = evidence(endpoint(verdict=Level.SAFE_TO_REMOVE))

    done = check(branch("GET /orders"), waiver(), document)

    assert "passed   POST /v1/exports: safe to remove\n" in done.stdout


@pytest.mark.parametrize("name", ["POST /v1/imports", "GET /v1/exports", "POST /v1/exports/"])
def test_a_waiver_of_another_endpoint_is_a_note(branch: Branch, name: str) -> None:
    done = check(branch("GET /orders"), waiver(name), evidence(endpoint()))

    assert done.exit_code == 1
    assert f"Note: The waiver of {name} is not needed" in done.stdout


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("code", [1, 0])
def test_the_verdicts_that_fail_can_be_chosen(branch: Branch, level: Level, code: int) -> None:
    chosen = [str(one) for one in Level if (one is level) == bool(code)]
    policy = f"[tool.fastapi_lens.check]\nfail_on = {chosen}"

    done = check(branch("GET /orders"), policy, evidence(endpoint(verdict=level)))

    # The endpoint that the branch has is in use, and never a finding.
    assert done.exit_code == code


@pytest.mark.parametrize("policy", ["", "[tool.other]", "[tool.fastapi_lens]"])
def test_without_a_table_the_defaults_apply(branch: Branch, policy: str) -> None:
    document = evidence(endpoint(verdict=Level.WAIT))

    assert check(branch("GET /orders"), policy, document).exit_code == 1


TABLE = "[tool.fastapi_lens.check]\n"
WAIVERS = "[[tool.fastapi_lens.check.waivers]]\n"


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("[tool", "pyproject.toml cannot be read"),
        ("tool = 1", "[tool.fastapi_lens.check] must be a table"),
        (f"{TABLE}fail = []", "fail is not known; known are fail_on, waivers"),
        (f"{TABLE}fail_on = 'wait'", "check.fail_on must be a list of verdicts: safe_to_remove"),
        (f"{TABLE}fail_on = ['dead']", "check.fail_on must be a list of verdicts: safe_to_remove"),
        (f"{TABLE}fail_on = [{{}}]", "check.fail_on must be a list of verdicts: safe_to_remove"),
        (f"{TABLE}waivers = 1", "check.waivers must be tables"),
        (f"{TABLE}waivers = [1]", "number 1: must be a table with endpoint, reason and until"),
        (waiver() + waiver(), "check.waivers has POST /v1/exports twice"),
        (waiver().replace("reason", "why"), "why is not known; known are endpoint, reason, until"),
        (waiver("/v1/exports"), "number 1: endpoint must be a method and a path"),
        (f"{WAIVERS}reason = 'x'", "number 1: endpoint must be a method and a path"),
        (f"{WAIVERS}endpoint = 'GET /x'", "give the reason why GET /x may be removed"),
        (f"{WAIVERS}endpoint = 'GET /x'\nreason = ' '", "give the reason why GET /x may be"),
        (f"{WAIVERS}endpoint = 'GET /x'\nreason = 'x'", "until must be the last day on which"),
        (waiver().replace(str(TODAY.year), "'x' #"), "until must be the last day on which"),
        (waiver().rstrip() + "T00:00:00Z", "until must be the last day on which"),
    ],
)
def test_a_policy_that_cannot_work_is_wrong_usage(
    branch: Branch, policy: str, sentence: str
) -> None:
    done = check(branch("GET /orders"), policy, evidence())

    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


@pytest.mark.parametrize("text", ["\ufeff[tool]", "a = " + "[" * 5_000, "[tool"])
def test_a_policy_that_is_no_toml_is_wrong_usage(branch: Branch, text: str) -> None:
    done = check(branch("GET /orders"), text, evidence())

    assert (done.exit_code, done.stdout) == (2, "")
    assert "pyproject.toml cannot be read" in done.stderr


def test_a_policy_that_cannot_be_read_is_wrong_usage(branch: Branch, here: Path) -> None:
    (here / "pyproject.toml").mkdir()
    write(here / "evidence.json", evidence())

    done = run("check", branch("GET /orders"), "--evidence", "evidence.json")

    assert (done.exit_code, "pyproject.toml cannot be read" in done.stderr) == (2, True)
