"""The versions that contributors and CI install: `make constraints` writes constraints.txt.

Asks pip for the newest releases that pyproject.toml allows, of what the package, its extras and
the tools need, directly or not, and installs nothing. The file has names and versions only, so that
it holds for any package index. `make setup` installs these versions; ``CONSTRAINTS=`` the newest.

The environment of `scripts.frameworks` has a file of its own, because its packages allow other
versions.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from scripts import frameworks

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "constraints.txt"
PACKAGE = "fastapi-lens-admin"
EXTRAS = "cli,demo,mysql,postgresql"


@dataclass(frozen=True)
class Environment:
    """An environment with versions of its own.

    Attributes:
        file: The file with the versions.
        maker: Target of make that installs them.
        group: Dependency group of pyproject.toml that it has.
        extras: Extras of the package that it has, in brackets.
    """

    file: Path
    maker: str
    group: str
    extras: str = ""

    @property
    def head(self) -> str:
        """First line of the file."""
        return f"# Versions that `make {self.maker}` installs. `make constraints` writes this file."


DEVELOPMENT = Environment(FILE, "setup", "dev", f"[{EXTRAS}]")
FRAMEWORKS = Environment(frameworks.CONSTRAINTS, "frameworks", frameworks.GROUP)


def text_of(report: Mapping[str, Any], head: str) -> str:
    """The file for an installation report of pip: one pin a line, sorted by name.

    Args:
        report: ``{"install": [{"metadata": {"name", "version"}}]}``.
        head: First line.
    """
    found = (one["metadata"] for one in report["install"])
    pins = {canonicalize_name(one["name"]): one["version"] for one in found}
    del pins[canonicalize_name(PACKAGE)]
    return "\n".join([head, *(f"{name}=={version}" for name, version in sorted(pins.items())), ""])


def pins_of(lines: Iterable[str]) -> dict[str, str]:
    """The versions in the lines of such a file, by name."""
    pins = (line.strip().split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def resolved(environment: Environment) -> Mapping[str, Any]:
    """Pip's report of the newest releases that are allowed.

    Raises:
        CalledProcessError: Pip has found none; it has said why.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run"]
    command += ["--ignore-installed", "--report", "-"]
    command += ["--editable", f".{environment.extras}", "--group", environment.group]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    report: Mapping[str, Any] = json.loads(done.stdout)
    return report


def write(environment: Environment) -> None:
    """Write the file of an environment anew, and print what has changed."""
    file = environment.file
    before = pins_of(file.read_text(encoding="utf-8").splitlines()) if file.exists() else {}
    text = text_of(resolved(environment), environment.head)
    after = pins_of(text.splitlines())
    file.write_text(text, encoding="utf-8")
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            print(f"constraints: {name} {before.get(name, '(new)')} → {after.get(name, '(gone)')}")
    print(f"constraints: {len(after)} pins in {file.relative_to(ROOT)}")


def main() -> int:
    """The command."""
    write(DEVELOPMENT)
    write(FRAMEWORKS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
