"""Finds nginx for the tests, or unpacks one. Starts none.

Looked for in this order: ``LENS_TEST_NGINX`` (the program), PATH, the folders that are in root's
PATH only, and ``.nginx/``. ``python -m scripts.nginx --install`` unpacks Debian's package there
where there is none: installing it would start a service, and needs root.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts import debian

NAME = "nginx"
FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/nginx/sbin")
PACKAGE = "nginx"
UNPACKED = Path(__file__).parents[1] / ".nginx"

LEFT_OUT = (
    "No nginx was found: the tests that need one are LEFT OUT. Install it (on Debian: apt-get "
    f"install {PACKAGE}), or name the program in LENS_TEST_NGINX."
)


class NoNginxError(RuntimeError):
    """``LENS_TEST_NGINX`` names no program."""


def find() -> Path | None:
    """The server's program; None where there is none.

    Raises:
        NoNginxError: ``LENS_TEST_NGINX`` is set, and names nothing that runs.
    """
    named = os.environ.get("LENS_TEST_NGINX")
    if named:
        program = shutil.which(named)
        if program is None:
            raise NoNginxError(f"LENS_TEST_NGINX names {named!r}, which is no program.")
        return Path(program)
    folders = (*FOLDERS, str(UNPACKED / "usr" / "sbin"))
    found = shutil.which(NAME) or shutil.which(NAME, path=os.pathsep.join(folders))
    return Path(found) if found else None


def install() -> Path | None:
    """The server that is found, else one that is unpacked now; None where none can be.

    Raises:
        NoNginxError: ``LENS_TEST_NGINX`` is set, and names nothing that runs.
    """
    found = find()
    if found is None and debian.can_unpack():
        print("nginx: unpacking Debian's package", flush=True)
        try:
            debian.unpack(PACKAGE, UNPACKED)
            _check(UNPACKED / "usr" / "sbin" / NAME)
        except (subprocess.CalledProcessError, OSError) as error:
            shutil.rmtree(UNPACKED, ignore_errors=True)
            print(f"nginx: {error}", file=sys.stderr)
        found = find()
    return found


def _check(program: Path) -> None:
    """Whether it runs here: what it depends on was not unpacked with it.

    Raises:
        OSError: It cannot be started.
        subprocess.CalledProcessError: A library is missing.
    """
    subprocess.run((program, "-v"), check=True, stderr=subprocess.DEVNULL)


def main() -> int:
    """Print the program's path; ``--install`` unpacks one where there is none."""
    try:
        path = install() if "--install" in sys.argv[1:] else find()
    except NoNginxError as error:
        print(f"nginx: {error}", file=sys.stderr)
        return 1
    print(f"nginx: {path or LEFT_OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
