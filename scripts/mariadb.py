"""Finds MariaDB's server for the tests, or installs one. Starts none.

Looked for in this order: ``LENS_TEST_MARIADB_BIN`` (the folder of ``mariadbd``), PATH, and the
folders that are in root's PATH only. ``python -m scripts.mariadb --install`` adds Debian's package
where there is none and this is root; it holds the program alone, and starts no service.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts import debian

NAME = "mariadbd"
FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/libexec")
PACKAGE = "mariadb-server-core"

LEFT_OUT = (
    "No MariaDB was found: the tests that need one are LEFT OUT. Install it (on Debian: apt-get "
    f"install {PACKAGE}), or name the folder of {NAME} in LENS_TEST_MARIADB_BIN."
)


class NoMariadbError(RuntimeError):
    """``LENS_TEST_MARIADB_BIN`` names a folder without it, or it does not start."""


def find() -> Path | None:
    """The server's program; None where there is none.

    Raises:
        NoMariadbError: ``LENS_TEST_MARIADB_BIN`` is set, and it is not there.
    """
    named = os.environ.get("LENS_TEST_MARIADB_BIN")
    if named:
        program = shutil.which(NAME, path=named)
        if program is None:
            raise NoMariadbError(f"LENS_TEST_MARIADB_BIN names {named!r}, which has no {NAME}.")
        return Path(program)
    found = shutil.which(NAME) or shutil.which(NAME, path=os.pathsep.join(FOLDERS))
    return Path(found) if found else None


def install() -> Path | None:
    """The server that is found, else one that is installed now; None where none can be.

    Raises:
        NoMariadbError: ``LENS_TEST_MARIADB_BIN`` is set, and it is not there.
    """
    found = find()
    if found is None and debian.can_install():
        print("mariadb: installing Debian's package", flush=True)
        try:
            debian.install(PACKAGE)
        except subprocess.CalledProcessError as error:
            print(f"mariadb: {' '.join(error.cmd)} failed", file=sys.stderr)
        found = find()
    return found


def main() -> int:
    """Print the program's path; ``--install`` installs one where there is none."""
    try:
        path = install() if "--install" in sys.argv[1:] else find()
    except NoMariadbError as error:
        print(f"mariadb: {error}", file=sys.stderr)
        return 1
    print(f"mariadb: {path or LEFT_OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
