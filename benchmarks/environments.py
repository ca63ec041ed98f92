"""The environments that the variants run in, below ``.bench/``. Made once, kept while right.

``ours`` has the dependencies of this package and every rival that can live beside it; ``pypi``
has the package that goes by our own name. Neither installs this checkout: a path file names it,
*after* the installed packages, so that ``fastapi_lens`` is the checkout in one and PyPI's in the
other.
"""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.variants import OURS, PYPI

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bench"
SERVER = "uvicorn[standard]>=0.32"
BESIDE_OURS = (
    SERVER,
    "prometheus-fastapi-instrumentator==8.1.0",
    "opentelemetry-sdk>=1.44",
    "fastapi-radar==0.3.4",
    # fastapi-radar imports both and names neither among its requirements.
    "greenlet>=3",
    "httpx>=0.28",
)
UNDER_OUR_NAME = (SERVER, "fastapi-lens==0.3.4")
STAMP = ".made-of"


HANGS_AFTER_SECONDS = 120.0
"""No measurement takes so long."""


class Environments:
    """Finds interpreters.

    Args:
        folder: Where they are made.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        """Make nothing yet."""
        self._folder = folder

    def make(self) -> None:
        """Make what is missing or made of something else.

        Raises:
            subprocess.CalledProcessError: An installation failed; it has said why.
        """
        self._make_python(OURS, [*_own_requirements(), *BESIDE_OURS], constraints="")
        # The same FastAPI, Starlette and uvicorn in both.
        self._make_python(PYPI, UNDER_OUR_NAME, constraints=self._installed(OURS))

    def has(self, name: str) -> bool:
        """True when an environment has been made."""
        return (self._folder / name / STAMP).is_file()

    def python(self, name: str) -> str:
        """The interpreter of an environment."""
        return str(self._folder / name / "bin" / "python")

    def variables(self) -> Mapping[str, str]:
        """The environment variables of everything that is measured: no setting of the lens."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("LENS_")}
        return kept | {
            # Else the current folder would come before what is installed.
            "PYTHONSAFEPATH": "1",
            # The order in sets and dicts of strings is the same in every process.
            "PYTHONHASHSEED": "0",
        }

    def pinned(self) -> dict[str, str]:
        """Versions of what is not in the first environment."""
        return {"fastapi-lens of PyPI": UNDER_OUR_NAME[-1].partition("==")[2]}

    def run(
        self, name: str, module: str, *arguments: str, seconds: float = HANGS_AFTER_SECONDS
    ) -> str:
        """Output of a module of ours that runs in an environment.

        Raises:
            subprocess.TimeoutExpired: After so many seconds it had not ended; it has now.
        """
        done = subprocess.run(
            [self.python(name), "-m", module, *arguments],
            env=self.variables(),
            cwd=self._folder,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
        )
        return done.stdout

    def _make_python(self, name: str, requirements: Sequence[str], *, constraints: str) -> None:
        folder, made_of = self._folder / name, _digest(sys.version, *requirements, constraints)
        if _is_made_of(folder, made_of):
            return
        print(f"bench: making .bench/{name}", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pinned = folder / "constraints.txt"
        pinned.write_text(constraints)
        pip = [self.python(name), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
        subprocess.run([*pip, "--constraint", str(pinned), *requirements], check=True)
        site_packages = next((folder / "lib").glob("python*/site-packages"))
        (site_packages / "checkout.pth").write_text(f"{ROOT}\n")
        (folder / STAMP).write_text(made_of)

    def _installed(self, name: str) -> str:
        pip = [self.python(name), "-m", "pip", "--disable-pip-version-check", "freeze"]
        return subprocess.run(pip, check=True, stdout=subprocess.PIPE, text=True).stdout


def _own_requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_made_of(folder: Path, made_of: str) -> bool:
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == made_of
