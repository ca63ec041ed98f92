"""Runs the recipes of docs/frameworks.md on every Python that is supported.

Each Python has an environment of its own below ``.compat/``, with the versions that `make
frameworks` installs. ``python -m scripts.compat_frameworks`` runs all and writes the table of that
page; ``python -m scripts.compat_frameworks 3.14`` runs that one and writes nothing.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from scripts import compat, compat_python, frameworks
from scripts.interpreters import Interpreter, NoInterpreterError, obtain

DOCUMENT = compat.ROOT / "docs" / "frameworks.md"
MARKS = (
    "<!-- make compat-frameworks writes from here -->",
    "<!-- make compat-frameworks writes up to here -->",
)
Outcomes = dict[str, bool]
"""True for each recipe that passes, by its name."""


def environment_of(version: str, interpreter: Interpreter) -> Path:
    """The interpreter of a Python's environment, made where it is not as asked for.

    Raises:
        CalledProcessError: Something cannot be installed on this Python; pip says what.
    """
    folder = compat.ENVIRONMENTS / f"frameworks{version}"
    python, marker = folder / "bin" / "python", folder / "asked-for"
    asked = f"{interpreter} {frameworks.fingerprint()}"
    if marker.is_file() and marker.read_text(encoding="utf-8") == asked:
        return python
    print(f"compat: making {folder.relative_to(compat.ROOT)}", flush=True)
    make = [interpreter.program, "-m", "venv", "--clear", str(folder)]
    subprocess.run(interpreter.command(*make), check=True)
    install = [str(python), "-m", "pip", "install", *frameworks.install_options()]
    subprocess.run(interpreter.command(*install), check=True, cwd=compat.ROOT)
    marker.write_text(asked, encoding="utf-8")
    return python


def outcomes_on(interpreter: Interpreter, python: Path) -> Outcomes:
    """Run every recipe on one Python, each in a process of its own."""
    outcomes: Outcomes = {}
    for recipe in frameworks.recipes():
        command = interpreter.command(*frameworks.command_of(python, recipe))
        outcomes[recipe.stem] = (
            subprocess.run(command, cwd=compat.ROOT, check=False).returncode == 0
        )
    return outcomes


def section(results: Mapping[str, Outcomes], missing: Sequence[str], today: date) -> str:
    """The table, and the versions that could not be tried, as Markdown.

    Args:
        results: Names of what passes, by the version of Python.
        missing: A line for each version that could not be tried.
        today: Date of the run.
    """
    names = sorted({name for outcomes in results.values() for name in outcomes})
    rows = [["recipe", *(f"Python {each}" for each in results)], ["---"] * (len(results) + 1)]
    for name in names:
        passes = (outcomes[name] for outcomes in results.values())
        rows.append([name, *("passes" if each else "**fails**" for each in passes)])
    return compat_python.dated_table(rows, missing, today)


def main(names: Sequence[str]) -> int:
    """Run the recipes on these versions, or on all and write the document."""
    if unknown := set(names) - set(compat_python.VERSIONS):
        print(f"compat: unknown: {', '.join(sorted(unknown))}; known are", file=sys.stderr)
        print(f"  {', '.join(compat_python.VERSIONS)}", file=sys.stderr)
        return 2
    results: dict[str, Outcomes] = {}
    missing: list[str] = []
    for version in [each for each in compat_python.VERSIONS if not names or each in names]:
        try:
            interpreter = obtain(version)
        except NoInterpreterError as error:
            missing.append(f"Python {version}: {error}")
            print(f"compat: {missing[-1]}", file=sys.stderr)
            continue
        results[version] = outcomes_on(interpreter, environment_of(version, interpreter))
    text = section(results, missing, datetime.now(UTC).date())
    print(text)
    if not names:
        DOCUMENT.write_text(compat.written_into(DOCUMENT.read_text(), text, MARKS))
    passed = all(all(outcomes.values()) for outcomes in results.values())
    return 0 if results and not missing and passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
