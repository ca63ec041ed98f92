"""A server program that the tests need: found, or unpacked from Debian's package. Starts none.

Installing such a package would start a service.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import debian


class NoProgramError(RuntimeError):
    """The variable that names the program names none."""


@dataclass(kw_only=True)
class UnpackedProgram:
    """One program.

    Attributes:
        name: The program, and Debian's package that holds it.
        variable: Environment variable that names the program; it wins over all others.
        folders: Looked into after PATH.
        unpacked: Where Debian's package is unpacked.
        libraries: Packages of libraries that it needs, to be installed where this is root.
        asks_version: Arguments with which it says its version.
    """

    name: str
    variable: str
    folders: Sequence[str]
    unpacked: Path
    libraries: Sequence[str] = ()
    asks_version: str = "-v"

    @property
    def left_out(self) -> str:
        """Message for a machine without it."""
        return (
            f"No {self.name} was found: the tests that need one are LEFT OUT. Install it (on "
            f"Debian: apt-get install {self.name}), or name the program in {self.variable}."
        )

    def find(self) -> Path | None:
        """The program; None where there is none.

        Raises:
            NoProgramError: The variable is set, and names nothing that runs.
        """
        named = os.environ.get(self.variable)
        if named:
            program = shutil.which(named)
            if program is None:
                raise NoProgramError(f"{self.variable} names {named!r}, which is no program.")
            return Path(program)
        folders = (*self.folders, str(self._program.parent))
        found = shutil.which(self.name) or shutil.which(self.name, path=os.pathsep.join(folders))
        return Path(found) if found else None

    def install(self) -> Path | None:
        """The program that is found, else one that is unpacked now; None where none can be.

        Raises:
            NoProgramError: The variable is set, and names nothing that runs.
        """
        found = self.find()
        if found is None and debian.can_unpack():
            print(f"{self.name}: unpacking Debian's package", flush=True)
            try:
                debian.unpack(self.name, self.unpacked)
                if self.libraries and debian.can_install():
                    debian.install(*self.libraries)
                # Whether it runs here: what it depends on was not unpacked with it.
                command = (self._program, self.asks_version)
                subprocess.run(
                    command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            except (subprocess.CalledProcessError, OSError) as error:
                shutil.rmtree(self.unpacked, ignore_errors=True)
                print(f"{self.name}: {error}", file=sys.stderr)
            found = self.find()
        return found

    def main(self) -> int:
        """Print the program's path; ``--install`` unpacks one where there is none."""
        try:
            path = self.install() if "--install" in sys.argv[1:] else self.find()
        except NoProgramError as error:
            print(f"{self.name}: {error}", file=sys.stderr)
            return 1
        print(f"{self.name}: {path or self.left_out}")
        return 0

    @property
    def _program(self) -> Path:
        return self.unpacked / "usr" / "sbin" / self.name
