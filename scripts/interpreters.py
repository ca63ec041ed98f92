"""Finds interpreters of other Python versions, or unpacks those of Debian. Runs no test.

Looked for in this order: PATH, pyenv, and systems below ``.compat/debian/``, which debootstrap
makes as root. A program of such a system runs inside of it, in mount points of its own, with this
checkout at the same path.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ROOT / ".compat" / "debian"
SUITES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "sid"}
"""Suites of Debian, by the version of their Python."""

NEEDED = ("debootstrap", "apt-get", "unshare", "chroot")

# Mounted in a namespace of their own: all are gone with the program, however it ends.
_ENTER = """
system=$1 checkout=$2
shift 2
for folder in /dev /proc; do mount --rbind "$folder" "$system$folder"; done
for place in "$checkout" /etc/hosts /etc/resolv.conf /etc/ssl /etc/pip.conf; do
    [ -e "$place" ] || continue
    if [ -d "$place" ]; then mkdir -p "$system$place"; else touch "$system$place"; fi
    mount --bind "$place" "$system$place"
done
exec chroot "$system" env --chdir="$checkout" "$@"
"""


class NoInterpreterError(Exception):
    """An interpreter is not here and cannot be had; says what is missing."""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs.

    Attributes:
        program: Its path or name.
        system: Root of the system that it belongs to; None where that is this one.
    """

    program: str
    system: Path | None = None

    def command(self, *arguments: str) -> list[str]:
        """The command that runs a program where this interpreter is."""
        if self.system is None:
            return list(arguments)
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", _ENTER, "sh"]
        return [*enter, str(self.system), str(ROOT), *arguments]

    def is_usable(self, version: str) -> bool:
        """True if it is of a version, like 3.13, and makes environments."""
        asked = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
        try:
            done = subprocess.run(
                self.command(self.program, "-c", asked), capture_output=True, text=True, check=False
            )
        except OSError:
            return False
        return done.returncode == 0 and done.stdout.strip() == version


def find(version: str) -> Interpreter | None:
    """An interpreter of a version that is here already; None where there is none."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    programs = [shutil.which(name), *map(str, sorted(pyenv.glob(f"{version}.*/bin/{name}")))]
    found = [Interpreter(program) for program in programs if program]
    system = SYSTEMS / SUITES.get(version, "none")
    if _marker(system).is_file():
        found.append(Interpreter("python3", system))
    return next((one for one in found if one.is_usable(version)), None)


def obtain(version: str) -> Interpreter:
    """An interpreter that is found, else Debian's, unpacked now.

    Raises:
        NoInterpreterError: It is not here and cannot be unpacked.
    """
    found = find(version)
    if found is None:
        _unpack(version)
        found = find(version)
    if found is None:
        raise NoInterpreterError(f"Debian's {SUITES[version]} has another Python than {version}")
    return found


def lacking(version: str) -> list[str]:
    """The requirements missing to unpack Debian's interpreter of a version."""
    reasons = [f"the program {name}" for name in NEEDED if shutil.which(name) is None]
    if version not in SUITES:
        reasons.append(f"a suite of Debian with Python {version}")
    if os.geteuid() != 0:
        reasons.append("to be root")
    return reasons


def _unpack(version: str) -> None:
    if reasons := lacking(version):
        raise NoInterpreterError(
            f"there is no python{version} on PATH and none of pyenv's; to unpack Debian's, this "
            f"lacks {', '.join(reasons)}"
        )
    system = SYSTEMS / SUITES[version]
    print(f"interpreters: unpacking Debian's {system.name} for Python {version}", flush=True)
    system.parent.mkdir(parents=True, exist_ok=True)
    # Tests of `check` ask git for merge bases.
    command = ["debootstrap", "--variant=minbase", "--include=python3-venv,ca-certificates,git"]
    try:
        done = subprocess.run([*command, system.name, str(system), _mirror()], check=False)
    except subprocess.CalledProcessError as error:
        raise NoInterpreterError(f"apt-get names no mirror: {error}") from error
    if done.returncode:
        raise NoInterpreterError(f"debootstrap failed with {done.returncode}, see above")
    _marker(system).touch()


def _marker(system: Path) -> Path:
    return system / "complete"


def _mirror() -> str:
    """Where this machine's apt gets Debian's packages from."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    if not listed:
        raise NoInterpreterError("apt has no lists of packages; run apt-get update")
    return listed[0]
