"""Installs a wheel into an empty environment and uses it there: `make smoke`, `make release-check`.

Imports the standard library only, and runs on Linux, macOS and Windows. No program of this machine
is on the PATH of what it starts: no node, no npm.
"""

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "tests" / "packaging" / "installed_app.py"
DATABASE = "installed.db"
"""The file that the application of `APP` writes."""

PATH = "/orders/{order_id}"
"""Its endpoint, which it calls once."""

HTMX_BYTES = 10_000
STARTED = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


class SmokeError(Exception):
    """The installed package does not work."""


def smoke(wheel: Path) -> str:
    """Install a wheel with the command line, run an application, and read what it has recorded.

    Returns:
        The version that the package says.

    Raises:
        SmokeError: Something does not work.
    """
    # What Windows still has open when the processes have ended is left to its own clean-up.
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        python = _environment(folder / "venv", wheel)
        # -I: neither the folder of the script nor PYTHONPATH can bring a checkout in.
        result: dict[str, Any] = json.loads(_run(folder, python, "-I", APP))
        wrong = list(problems(result, folder))
        command = (python, "-I", "-m", "fastapi_lens")
        _run(folder, *command, "doctor", "--database", DATABASE)
        report = json.loads(
            _run(folder, *command, "report", "--database", DATABASE, "--format", "json")
        )
        calls = {one["path"]: one["total_calls"] for one in report["endpoints"]}
        if calls != {PATH: 1}:
            wrong.append(f"the command line reports {calls}")
        if wrong:
            raise SmokeError(f"{wheel.name}: {'; '.join(wrong)}")
        return _run(folder, *command, "version").strip()


def problems(result: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Everything that is wrong in the answers of the application of `APP`.

    Args:
        result: The JSON that it has printed.
        folder: The folder of the environment.
    """
    if not Path(result["package"]).resolve().is_relative_to(folder):
        yield f"the package was imported from {result['package']}"
    if result["lifespan"] != STARTED:
        yield f"start and end were {result['lifespan']}"
    if result["page"] != [200, "text/html; charset=utf-8"] or not result["shows_endpoint"]:
        yield f"the page is {result['page']}, or does not show the endpoint"
    if result["without_key"] != 403:  # noqa: PLR2004  The status that says so.
        yield f"without a key the report is a {result['without_key']}"
    assets: Mapping[str, Any] = result["assets"]
    yield from (f"{link} is a {status}" for link, (status, *_) in assets.items() if status != 200)  # noqa: PLR2004
    if not any("htmx" in link and size > HTMX_BYTES for link, (_, _, size) in assets.items()):
        yield "htmx is missing"


def _environment(folder: Path, wheel: Path) -> Path:
    """An environment with a wheel, its dependencies and nothing else; the path of its Python."""
    windows = os.name == "nt"
    venv.create(folder, with_pip=False, symlinks=not windows)
    python = folder / ("Scripts" if windows else "bin") / ("python.exe" if windows else "python")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, f"{wheel.resolve()}[cli]"], check=True)
    return python


def _run(folder: Path, *command: str | Path) -> str:
    """The output of a program that finds no other one.

    Raises:
        SmokeError: It failed.
    """
    # Windows starts no program without these.
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP") if name in os.environ}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**kept, "PATH": "", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        words = " ".join(str(part) for part in command[1:])
        raise SmokeError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(folder: Path) -> int:
    """Try the wheel in a folder."""
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        print(f"smoke: {folder} has {len(wheels)} wheels, not one; run make build", file=sys.stderr)
        return 2
    try:
        version = smoke(wheels[0])
    except SmokeError as error:
        print(f"smoke: {error}", file=sys.stderr)
        return 1
    print(f"smoke: {wheels[0].name} works in an empty environment (version {version})")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
