"""Asks whether what the package needs when it runs has known vulnerabilities: `make audit`.

Audits the versions that this environment has resolved, of the package's dependencies and those of
its extras, with pip-audit in an environment of its own (``.audit/``). What could not be audited is
never passed over: it ends with 2, unless ``AUDIT=offline`` says that this is known.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".audit"
PACKAGE = "fastapi-lens-admin"
EXTRAS = ("cli", "mysql", "postgresql")
"""Not `demo`: nobody runs that in production."""

TOOL = "pip-audit>=2.9"
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 2


class Verdict(NamedTuple):
    """Result of an audit.

    Attributes:
        code: `CLEAN`, `VULNERABLE` or `NOT_AUDITED`.
        lines: Lines to print.
    """

    code: int
    lines: list[str]


def resolved(
    package: str = PACKAGE,
    extras: Iterable[str] = EXTRAS,
    requires: Callable[[str], Iterable[str]] = lambda name: distribution(name).requires or (),
) -> set[str]:
    """The names of all packages that a package needs here, directly or not; not its own."""
    found: set[str] = set()
    left = [(package, tuple(extras))]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while left:
        name, wanted = left.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for text in requires(name):
            one = Requirement(text)
            if one.marker is None or any(
                one.marker.evaluate({"extra": extra}) for extra in ("", *wanted)
            ):
                found.add(canonicalize_name(one.name))
                left.append((canonicalize_name(one.name), tuple(sorted(one.extras))))
    return found


def versions(names: Iterable[str]) -> Mapping[str, str]:
    """The version that is installed of each."""
    found: dict[str, str] = {}
    for name in sorted(names):
        try:
            found[name] = distribution(name).version
        except PackageNotFoundError:
            sys.exit(f"audit: {name} is needed and not installed here; run make setup")
    return found


def verdict(report: Mapping[str, Any] | None, wanted: Iterable[str]) -> Verdict:
    """The verdict on pip-audit's JSON; None stands for an audit that failed to run.

    Args:
        report: ``{"dependencies": [{"name", "version", "vulns" or "skip_reason"}]}``.
        wanted: The packages that had to be audited.
    """
    known = {
        canonicalize_name(one["name"]): one
        for one in (report or {}).get("dependencies", ())
        if "skip_reason" not in one
    }
    left_out = sorted(set(wanted) - set(known))
    lines = [
        f"audit: {name} {one['version']}: {flaw['id']}, fixed in "
        f"{', '.join(flaw.get('fix_versions', ())) or 'no release yet'}"
        for name, one in sorted(known.items())
        for flaw in one["vulns"]
    ]
    if left_out:
        some = ", ".join(left_out[:5]) + (f" and {len(left_out) - 5} more" if left_out[5:] else "")
        lines.append(f"audit: NOT AUDITED: {some} (no answer about them from the index's database)")
    if any(one["vulns"] for one in known.values()):
        return Verdict(VULNERABLE, lines)
    if left_out:
        return Verdict(NOT_AUDITED, lines)
    return Verdict(CLEAN, [f"audit: no known vulnerability in {len(known)} packages"])


def ask(found: Mapping[str, str]) -> Mapping[str, Any] | None:
    """pip-audit's report; None, with its reason on the screen, where it has none."""
    python = ENVIRONMENT / "bin" / "python"
    with TemporaryDirectory() as folder:
        pins, answer = Path(folder, "pins.txt"), Path(folder, "answer.json")
        pins.write_text("".join(f"{n}=={v}\n" for n, v in found.items()), encoding="utf-8")
        try:
            if not python.exists():
                subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", TOOL]
            subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"audit: pip-audit cannot be installed: {error}", file=sys.stderr)
            return None
        asking = [str(python), "-m", "pip_audit", "--requirement", str(pins), "--no-deps"]
        asking += ["--disable-pip", "--format", "json", "--output", str(answer)]
        asked = subprocess.run(
            [*asking, "--progress-spinner", "off"], check=False, capture_output=True, text=True
        )
        try:
            report: Mapping[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            reason = asked.stderr.strip().splitlines() or ["it says nothing"]
            print(f"audit: pip-audit gives no answer: {reason[-1][:300]}", file=sys.stderr)
            return None
        return report


def main(asked: Callable[[Mapping[str, str]], Mapping[str, Any] | None] = ask) -> int:
    """The command."""
    found = versions(resolved())
    came = verdict(asked(found), found)
    print("\n".join(came.lines))
    if came.code == NOT_AUDITED and os.environ.get("AUDIT") == "offline":
        print("audit: AUDIT=offline, so this counts as known and not as a failure")
        return CLEAN
    return came.code


if __name__ == "__main__":
    sys.exit(main())
