"""Runs the suite for `make test`: all of it, with coverage, and again only what is quick.

Where all of it has passed with the very same files, programs and packages, the tests that start
programs (browsers, database servers, servers, builds) or take long would tell the same once more,
for some minutes. They are then left out, which the run says; ``FRESH=1`` runs all. Without git
nothing is known of the files, and all of it runs each time.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from benchmarks.support.postgres import find_programs
from scripts import chromium, frameworks, mariadb, nginx, pgbouncer

ROOT = Path(__file__).parents[1]
PASSED = ".suite-passed"
"""Holds the `fingerprint` with which all of it has passed."""

COVERAGE = ("--cov", "--cov-report=term")
AGAIN = (
    "suite: all of it has passed with exactly these files, programs and packages. Tests that "
    "start programs or take long are NOT run again, and coverage is not measured again; "
    "make test FRESH=1 does both."
)


def pytest(arguments: Sequence[str]) -> int:
    """Run pytest here; its exit code."""
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def run(
    arguments: Sequence[str],
    *,
    start: Callable[[Sequence[str]], int] = pytest,
    root: Path = ROOT,
    fresh: bool = False,
) -> int:
    """Run pytest, and remember when all of it has passed.

    Args:
        arguments: The command, then ``--``, the slow tests (an expression for ``-m``), and what the
            developer adds; with additions nothing is left out and nothing is remembered.
        start: Runs pytest with arguments; gives its exit code.
        root: The checkout.
        fresh: Run all of it, whatever has passed.

    Returns:
        The exit code.
    """
    divider = list(arguments).index("--")
    how, (slow, *added) = arguments[:divider], arguments[divider + 1 :]
    passed, now = root / PASSED, fingerprint(root, os.environ)
    if now and not fresh and not added and passed.is_file() and passed.read_text() == now:
        print(AGAIN, flush=True)
        code = start([*how, "-m", f"not ({slow})"])
    else:
        code = start([*how, *COVERAGE, *added])
    if code:
        passed.unlink(missing_ok=True)
    # Not where somebody has edited while it ran.
    elif now and not added and fingerprint(root, os.environ) == now:
        passed.write_text(now)
    return code


def fingerprint(root: Path, environment: Mapping[str, str]) -> str | None:
    """A digest of all that decides whether the suite passes; None where there is no git.

    That is what is in the checkout and not ignored, the packages, the programs that the tests
    start, and the settings of the tests.
    """
    names = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(names, cwd=root, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    digest = sha256()
    for part in (*_files(root, listed), *_programs(), *_packages(), *_settings(environment)):
        digest.update(sha256(part).digest())
    return digest.hexdigest()


def _files(root: Path, listed: bytes) -> Iterator[bytes]:
    for name in sorted(set(filter(None, listed.split(b"\0")))):
        path = root / os.fsdecode(name)
        yield name
        # One that is deleted and not committed yet is listed, too.
        yield path.read_bytes() if path.is_file() else b"none"
        yield b"runs" if os.access(path, os.X_OK) else b""


def _programs() -> Iterator[bytes]:
    programs = (chromium, frameworks, mariadb, nginx, pgbouncer)
    for find in (*(program.find for program in programs), _postgres):
        try:
            found = find()
        except RuntimeError:  # The test that needs it says what is missing.
            found = None
        facts = (found, found.stat().st_size, found.stat().st_mtime_ns) if found else None
        yield repr(facts).encode()


def _postgres() -> Path:
    return find_programs() / "postgres"


def _packages() -> Iterator[bytes]:
    yield sys.version.encode()
    for place in sys.path:
        # The names say the versions; reading what is in them would take some tenths of a second.
        yield repr(sorted(one.name for one in Path(place).glob("*.dist-info"))).encode()


def _settings(environment: Mapping[str, str]) -> Iterator[bytes]:
    yield repr(sorted(one for one in environment.items() if one[0].startswith("LENS_"))).encode()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], fresh=bool(os.environ.get("FRESH"))))
