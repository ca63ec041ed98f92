"""`make audit` says what it found, and never passes over what it could not find out."""

from typing import Any

import pytest

from scripts import audit

pytestmark = pytest.mark.unit

REQUIRES = {
    "fastapi-lens-admin": [
        "A>=1",
        "b[x]; extra == 'cli'",
        "c; extra == 'demo'",
        "d; python_version<'3'",
    ],
    "a": ["E_e"],
    "b": ["f; extra == 'x'", "g; extra == 'y'", "a"],
}


def report(*dependencies: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(dependencies)}


def clean(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": []}


FLAW = {"name": "B", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3.0"]}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found on PyPI"}


def test_everything_that_is_needed_at_run_time_is_audited_and_nothing_else() -> None:
    found = audit.resolved("fastapi-lens-admin", ["cli"], lambda name: REQUIRES.get(name, ()))
    assert found == {"a", "b", "e-e", "f"}


def test_the_packages_own_dependencies_are_found_with_their_versions() -> None:
    found = audit.versions(audit.resolved())
    assert {"fastapi", "starlette", "jinja2", "sqlalchemy", "psycopg", "pymysql"} <= set(found)
    assert {"pytest", "uvicorn", "fastapi-lens-admin"}.isdisjoint(found)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (report(clean("a"), clean("b"), clean("c")), 0, "no known vulnerability in 3 packages"),
        (report(clean("a"), FLAW, clean("c")), 1, "b 2.0: PYSEC-1, fixed in 2.1, 3.0"),
        (report(clean("a"), clean("b"), SKIPPED), 2, "NOT AUDITED: c"),
        (report(clean("a"), FLAW, SKIPPED), 1, "NOT AUDITED: c"),
        (report(clean("a")), 2, "NOT AUDITED: b, c"),
        (None, 2, "NOT AUDITED: a, b, c"),
    ],
)
def test_what_could_not_be_audited_is_no_success(answer: Any, code: int, words: str) -> None:
    came = audit.verdict(answer, ["a", "b", "c"])
    assert came.code == code
    assert words in "\n".join(came.lines)


@pytest.mark.parametrize(("offline", "code"), [("", 2), ("offline", 0), ("1", 2)])
def test_being_offline_is_a_failure_unless_it_is_said_and_is_shown_then_too(
    offline: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIT", offline)
    assert audit.main(lambda found: None) == code
    assert "NOT AUDITED" in capsys.readouterr().out


def test_a_vulnerability_is_a_failure_offline_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT", "offline")
    flaw = {"name": "fastapi", "version": "0", "vulns": [{"id": "PYSEC-1"}]}
    assert audit.main(lambda found: report(flaw)) == 1


def test_make_audit_asks_it() -> None:
    makefile = (audit.ROOT / "Makefile").read_text(encoding="utf-8")
    assert "\naudit: setup" in makefile
    assert "-m scripts.audit" in makefile
