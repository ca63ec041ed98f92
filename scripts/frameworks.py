"""The environment in which the tests of docs/frameworks.md run: FastAPI with its neighbours.

It is made below ``.frameworks/``, from the group `frameworks` of pyproject.toml and the versions in
tests/frameworks/constraints.txt, and made again when these change. ``python -m scripts.frameworks
--install`` makes it. The package itself is not installed there: the tests import the checkout.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
CONSTRAINTS = ROOT / "tests" / "frameworks" / "constraints.txt"
RECIPES = ROOT / "tests" / "frameworks" / "recipes"
FOLDER = ROOT / ".frameworks"
GROUP = "frameworks"
LEFT_OUT = (
    "There is no environment with FastAPI's neighbours: the tests of docs/frameworks.md are LEFT "
    "OUT. Make it with: make frameworks"
)


def requirements() -> list[str]:
    """The requirements of the package and of the recipes."""
    declared: dict[str, Any] = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    found: list[str] = [*declared["project"]["dependencies"], *declared["dependency-groups"][GROUP]]
    return found


def recipes() -> list[Path]:
    """The files of tests, one for each recipe of the page."""
    return sorted(each for each in RECIPES.glob("*.py") if each.name != "conftest.py")


def command_of(python: Path, recipe: Path) -> list[str]:
    """The command that runs the tests of a recipe, in the root of the checkout.

    Args:
        python: The interpreter of an environment with the recipes' packages.
        recipe: One of `recipes`.
    """
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    # Sockets and event loops that the packages leave open are theirs.
    command += ["-p", "no:unraisableexception", "--timeout=600"]
    # What a newer Python deprecates, they may still call: gradio then answers with an error.
    command += ["-Wdefault::DeprecationWarning", "-Wdefault::PendingDeprecationWarning"]
    # Without the suite's own conftest, whose needs that environment does not have.
    return [*command, f"--confcutdir={recipe.parent}", str(recipe)]


def install_options() -> list[str]:
    """The options of ``pip install`` for such an environment."""
    return ["-qq", "--disable-pip-version-check", "--constraint", str(CONSTRAINTS), *requirements()]


def fingerprint() -> str:
    """A hash of all that decides what is in the environment."""
    asked = [sys.version, *requirements(), CONSTRAINTS.read_text(encoding="utf-8")]
    return hashlib.sha256("\n".join(asked).encode()).hexdigest()


def find() -> Path | None:
    """The environment's interpreter; None where there is none, or one of other versions."""
    marker = FOLDER / "asked-for"
    is_made = marker.is_file() and marker.read_text(encoding="utf-8") == fingerprint()
    return FOLDER / "bin" / "python" if is_made else None


def install() -> Path | None:
    """The interpreter that is found, else that of an environment made now; None if that fails."""
    with _locked():
        if find() is None:
            try:
                _make()
            except (subprocess.CalledProcessError, OSError) as error:
                shutil.rmtree(FOLDER, ignore_errors=True)
                print(f"frameworks: {error}", file=sys.stderr)
        return find()


def main() -> int:
    """Print the interpreter's path; ``--install`` makes the environment where there is none."""
    path = install() if "--install" in sys.argv[1:] else find()
    print(f"frameworks: {path or LEFT_OUT}")
    return 0


@contextmanager
def _locked() -> Iterator[None]:
    """Let two runs take turns; scripts/setup locks the same."""
    handle = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _make() -> None:
    print(f"frameworks: making {FOLDER.relative_to(ROOT)}", flush=True)
    venv.create(FOLDER, clear=True, symlinks=True)
    python = FOLDER / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    subprocess.run([*pip, *install_options()], check=True)
    (FOLDER / "asked-for").write_text(fingerprint(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
