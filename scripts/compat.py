"""Runs the recording tests with older releases of FastAPI, each in an environment of its own.

The environments lie below ``.compat/`` and are made again only when something else is asked for.
What pytest reports goes into docs/compatibility.md; nothing in its table is written by hand.

``python -m scripts.compat`` runs all and writes; ``python -m scripts.compat oldest 0.137`` runs
these two and writes nothing.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scripts.interpreters import Interpreter

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "compatibility.md"
ENVIRONMENTS = ROOT / ".compat"
MARKS = ("<!-- make compat writes from here -->", "<!-- make compat writes up to here -->")
HERE = Interpreter(sys.executable)

TESTS = ("tests/recording", "tests/runtime", "tests/admin")
RAN = (0, 1)
"""Exit codes of pytest with which all tests have run: they passed, or some failed."""

EXTRAS = ("cli", "mysql", "postgresql")
"""Not `demo`: no application installs that, and the tests bring newer servers of their own."""

OF_BOUNDS = ("tests/cli", "tests/reporting", "tests/storage")
"""Run beside these with the oldest of all that is declared: what else uses it, with its drivers."""

SHOWN = ("fastapi", "starlette", "pydantic", "sqlmodel", "sqlalchemy")
COLUMNS = ("FastAPI", "Starlette", "Pydantic", "SQLModel", "SQLAlchemy", "Python")

# Of their own age, about newer releases of what they use. With today's FastAPI, warnings are
# errors as everywhere.
OLD_WARNINGS = (
    "DeprecationWarning",
    "PendingDeprecationWarning",
    "ResourceWarning",
    "pytest.PytestUnraisableExceptionWarning",
)


@dataclass(frozen=True)
class Release:
    """A release of FastAPI that the tests are run with.

    Attributes:
        name: Name on the command line, and of its folder below ``.compat/``.
        requirements: Requirements for pip, beside the project and its test dependencies.
        newest: True for the newest release, with which no test is left out.
        tests: Which are run.
        selected: Which of these, as an expression of pytest's marks.
    """

    name: str
    requirements: tuple[str, ...]
    newest: bool = False
    tests: tuple[str, ...] = TESTS
    selected: str = "not (browser or packaging or postgres)"


@dataclass(frozen=True)
class Outcome:
    """Pytest's result.

    Attributes:
        left_out: Number of tests left out, by the reason.
    """

    passed: int
    failed: int
    left_out: Counter[str]


@dataclass(frozen=True)
class Result:
    """A row of the table.

    Attributes:
        versions: Installed versions by the name of the package, and that of ``python``.
    """

    release: Release
    versions: dict[str, str]
    outcome: Outcome

    @property
    def good(self) -> bool:
        """True when the release works; the newest may leave out nothing."""
        outcome = self.outcome
        return bool(outcome.passed) and not outcome.failed and not self._hidden

    @property
    def _hidden(self) -> bool:
        return self.release.newest and bool(self.outcome.left_out)


def minimums(project: dict[str, Any]) -> tuple[str, ...]:
    """The oldest releases that dependencies and extras let in, as in ``fastapi==0.115``.

    Raises:
        ValueError: A dependency declares no minimum, or more than that.
    """
    declared = [*project["dependencies"]]
    for extra in EXTRAS:
        declared += project["optional-dependencies"][extra]
    found = [re.fullmatch(r"([\w-]+(?:\[\w+\])?)>=([\d.]+)", each) for each in declared]
    if not all(found):
        raise ValueError(f"not a plain minimum among {declared}")
    return tuple(f"{each[1]}=={each[2]}" for each in found if each)


def releases(project: dict[str, Any]) -> list[Release]:
    """Releases to test, oldest first: the minimum, two milestones on either side, the newest."""
    return [
        Release(
            "oldest",
            minimums(project),
            tests=(*TESTS, *OF_BOUNDS),
            selected="not (browser or packaging)",
        ),
        Release("0.128", ("fastapi==0.128.*",)),
        Release("0.136", ("fastapi==0.136.*",)),
        Release("0.137", ("fastapi==0.137.*",)),
        Release("newest", ("fastapi",), newest=True),
    ]


def names_of(requirements: Sequence[str]) -> list[str]:
    """The distributions that are asked for, without versions and extras."""
    return [re.split(r"[=\[]", each, maxsplit=1)[0] for each in requirements]


def fingerprint(
    release: Release, pyproject: dict[str, Any], today: date, interpreter: Interpreter = HERE
) -> str:
    """A hash of what an environment is asked for; today's release is another tomorrow."""
    project = pyproject["project"]
    asked = [
        release.requirements,
        project["name"],
        project["dependencies"],
        project["optional-dependencies"],
        pyproject["dependency-groups"],
        sys.version if interpreter == HERE else str(interpreter),
        today.isoformat() if release.newest else "",
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def outcome_of(report: Path) -> Outcome:
    """Read pytest's report in JUnit's format."""
    passed, failed, left_out = 0, 0, Counter[str]()
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  written by our own pytest
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skipped is not None:
            left_out[skipped.get("message", "")] += 1
        else:
            passed += 1
    return Outcome(passed, failed, left_out)


def section(results: Sequence[Result], today: date) -> str:
    """The table, and why tests were left out, as Markdown."""
    head = [*COLUMNS, "Passed", "Failed", "Left out"]
    rows = [head, ["---"] * len(COLUMNS) + ["--:"] * 3]
    for result in results:
        outcome = result.outcome
        versions = [result.versions[name] for name in (*SHOWN, "python")]
        counts = (outcome.passed, outcome.failed, outcome.left_out.total())
        rows.append([*versions, *map(str, counts)])
    lines = [f"Last run: {today.isoformat()}.", ""]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    oldest = results[0]
    pins = [f"{name} {oldest.versions[name]}" for name in names_of(oldest.release.requirements)]
    lines += ["", f"The first row has the oldest of all that is declared: {', '.join(pins)}."]
    reasons = [
        f"- FastAPI {result.versions['fastapi']}: {count} because {reason}"
        for result in results
        for reason, count in sorted(result.outcome.left_out.items())
    ]
    if reasons:
        lines += ["", "Left out were tests of what a release does not have yet:", "", *reasons]
    return "\n".join(lines)


def written_into(document: str, text: str, marks: tuple[str, str] = MARKS) -> str:
    """The document with another text between its two marks."""
    begin, end = marks
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def environment_of(
    release: Release, pyproject: dict[str, Any], today: date, interpreter: Interpreter = HERE
) -> Path:
    """The interpreter of a release's environment, made where it is not as asked for."""
    folder = ENVIRONMENTS / release.name
    python, marker = folder / "bin" / "python", folder / "asked-for"
    asked = fingerprint(release, pyproject, today, interpreter)
    if marker.is_file() and marker.read_text() == asked:
        return python
    print(f"compat: making {folder.relative_to(ROOT)}", flush=True)
    make = interpreter.command(interpreter.program, "-m", "venv", "--clear", str(folder))
    subprocess.run(make, check=True)
    pip = interpreter.command(str(python), "-m", "pip", "install", "-qq")
    pip += ["--disable-pip-version-check"]
    # Dependency groups came with pip 25.1.
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    project = ["--editable", ".[cli,demo,mysql,postgresql]", "--group", "test"]
    subprocess.run([*pip, *project, *release.requirements], check=True, cwd=ROOT)
    marker.write_text(asked)
    return python


def versions_in(
    python: Path, names: Sequence[str], interpreter: Interpreter = HERE
) -> dict[str, str]:
    """The releases that an environment has, and its Python's."""
    program = (
        "import json, platform, sys; from importlib.metadata import version; "
        "print(json.dumps({'python': platform.python_version()} "
        "| {name: version(name) for name in sys.argv[1:]}))"
    )
    command = interpreter.command(str(python), "-c", program, *names)
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    versions: dict[str, str] = json.loads(found.stdout)
    return versions


def outcome_with(release: Release, python: Path, interpreter: Interpreter = HERE) -> Result:
    """Run the tests with one release."""
    names = sorted({*SHOWN, *names_of(release.requirements)})
    versions = versions_in(python, names, interpreter)
    with_what = f"FastAPI {versions['fastapi']} on Python {versions['python']}"
    print(f"compat: testing with {with_what}", flush=True)
    report = ENVIRONMENTS / release.name / "report.xml"
    report.unlink(missing_ok=True)
    command = interpreter.command(str(python), "-m", "pytest", "-q", "-m", release.selected)
    command += ["-n", "3", "--dist", "loadscope", "-p", "no:cacheprovider", f"--junitxml={report}"]
    if not release.newest:
        command += [f"-Wdefault::{name}" for name in OLD_WARNINGS]
    ended = subprocess.run([*command, *release.tests], cwd=ROOT, check=False)
    # Of a run that was not begun or not ended, pytest writes a report, too.
    if ended.returncode not in RAN:
        raise SystemExit(f"compat: pytest could not run the tests (exit code {ended.returncode})")
    return Result(release, versions, outcome_of(report))


def main(names: Sequence[str]) -> int:
    """Test with these releases, or with all and write the document."""
    today = datetime.now(UTC).date()
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = releases(pyproject["project"])
    if unknown := set(names) - {each.name for each in known}:
        print(f"compat: unknown: {', '.join(sorted(unknown))}; known are", file=sys.stderr)
        print(f"  {', '.join(each.name for each in known)}", file=sys.stderr)
        return 2
    wanted = [each for each in known if not names or each.name in names]
    results = [outcome_with(each, environment_of(each, pyproject, today)) for each in wanted]
    text = section(results, today)
    print(text)
    if not names:
        DOCUMENT.write_text(written_into(DOCUMENT.read_text(), text))
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
