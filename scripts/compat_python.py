"""Runs the tests on every Python that is supported, with the oldest and today's FastAPI.

What pytest reports goes into docs/compatibility.md, as with `scripts.compat`, whose environments
and results these are. ``python -m scripts.compat_python`` runs all and writes;
``python -m scripts.compat_python 3.14`` runs that one and writes nothing.
"""

import sys
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from scripts import compat
from scripts.compat import Release, Result
from scripts.interpreters import NoInterpreterError, obtain

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
MARKS = (
    "<!-- make compat-python writes from here -->",
    "<!-- make compat-python writes up to here -->",
)
OF_PYTHON = ("changes", "config", "histogram", "notifications", "text", "verdict")
"""Run beside these, in folders of tests/: they need no FastAPI, but a Python."""

TESTS = (*compat.TESTS, *compat.OF_BOUNDS, *(f"tests/{name}" for name in OF_PYTHON))
SELECTED = "not program and not unmeasured"
COLUMNS = ("Python", "FastAPI", "Starlette", "Pydantic", "SQLAlchemy")
SHOWN = ("python", "fastapi", "starlette", "pydantic", "sqlalchemy")


def releases(version: str, project: dict[str, Any]) -> list[Release]:
    """The oldest FastAPI that is declared and today's, on one Python.

    All else is today's: releases that are older than a Python have no wheels for it.
    """
    oldest = tuple(each for each in compat.minimums(project) if each.startswith("fastapi=="))
    common: dict[str, Any] = {"tests": TESTS, "selected": SELECTED}
    return [
        Release(f"python{version}-oldest", oldest, **common),
        Release(f"python{version}-newest", ("fastapi",), newest=True, **common),
    ]


def section(results: Sequence[Result], missing: Sequence[str], today: date) -> str:
    """The table, and the versions that could not be tried, as Markdown."""
    head = [*COLUMNS, "Passed", "Failed", "Left out"]
    rows = [head, ["---"] * len(COLUMNS) + ["--:"] * 3]
    for result in results:
        outcome = result.outcome
        counts = (outcome.passed, outcome.failed, outcome.left_out.total())
        rows.append([*(result.versions[name] for name in SHOWN), *map(str, counts)])
    return dated_table(rows, missing, today)


def dated_table(rows: Sequence[Sequence[str]], missing: Sequence[str], today: date) -> str:
    """Rows of a table, its head and rule first, below their date and above what was not tried."""
    lines = [f"Last run: {today.isoformat()}.", ""]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    if missing:
        lines += ["", *(f"- Not tried: {each}" for each in missing)]
    return "\n".join(lines)


def main(names: Sequence[str]) -> int:
    """Test on these versions, or on all and write the document."""
    if unknown := set(names) - set(VERSIONS):
        print(f"compat: unknown: {', '.join(sorted(unknown))}; known are", file=sys.stderr)
        print(f"  {', '.join(VERSIONS)}", file=sys.stderr)
        return 2
    today = datetime.now(UTC).date()
    pyproject = tomllib.loads((compat.ROOT / "pyproject.toml").read_text())
    results: list[Result] = []
    missing: list[str] = []
    for version in [each for each in VERSIONS if not names or each in names]:
        try:
            interpreter = obtain(version)
        except NoInterpreterError as error:
            missing.append(f"Python {version}: {error}")
            print(f"compat: {missing[-1]}", file=sys.stderr)
            continue
        for release in releases(version, pyproject["project"]):
            python = compat.environment_of(release, pyproject, today, interpreter)
            results.append(compat.outcome_with(release, python, interpreter))
    text = section(results, missing, today)
    print(text)
    if not names:
        document = compat.DOCUMENT.read_text()
        compat.DOCUMENT.write_text(compat.written_into(document, text, MARKS))
    return 0 if results and not missing and all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
