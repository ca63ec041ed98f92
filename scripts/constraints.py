"""The versions that contributors and CI install: `make constraints` writes constraints.txt.

Asks pip for the newest releases that pyproject.toml allows, of what the package, its extras and
the tools need, directly or not, and installs nothing. The file has names and versions only, so that
it holds for any package index. `make setup` installs these versions; ``CONSTRAINTS=`` the newest.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "constraints.txt"
PACKAGE = "fastapi-lens-admin"
EXTRAS = "cli,demo,mysql,postgresql"
HEAD = "# Versions that `make setup` installs. `make constraints` writes this file.\n"


def text_of(report: Mapping[str, Any]) -> str:
    """The file for an installation report of pip: one pin a line, sorted by name.

    Args:
        report: ``{"install": [{"metadata": {"name", "version"}}]}``.
    """
    found = (one["metadata"] for one in report["install"])
    pins = {canonicalize_name(one["name"]): one["version"] for one in found}
    del pins[canonicalize_name(PACKAGE)]
    return HEAD + "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def pins_of(lines: Iterable[str]) -> dict[str, str]:
    """The versions in the lines of such a file, by name."""
    pins = (line.strip().split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def resolved() -> Mapping[str, Any]:
    """Pip's report of the newest releases that are allowed.

    Raises:
        CalledProcessError: Pip has found none; it has said why.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
    command += ["--ignore-installed", "--report", "-", "--editable", f".[{EXTRAS}]"]
    command += ["--group", "dev"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    report: Mapping[str, Any] = json.loads(done.stdout)
    return report


def main() -> int:
    """The command."""
    before = pins_of(FILE.read_text(encoding="utf-8").splitlines()) if FILE.exists() else {}
    text = text_of(resolved())
    after = pins_of(text.splitlines())
    FILE.write_text(text, encoding="utf-8")
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            print(f"constraints: {name} {before.get(name, '(new)')} → {after.get(name, '(gone)')}")
    print(f"constraints: {len(after)} pins in {FILE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
