"""A MariaDB that is started and thrown away by whoever needs one. Knows no tables.

It needs ``mariadbd`` alone: without the tables of users it starts in a twentieth of the time
that making them takes. `scripts.mariadb` finds or installs it.
"""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pymysql

from benchmarks.support.database_server import USER, DatabaseServer, ServerError
from benchmarks.support.ports import HOST
from scripts import mariadb

# Small and fast. What is committed is written, but not synchronised: a crash loses nothing.
# A name that another release does not know is passed over ("loose").
_SETTINGS = {
    "bind-address": HOST,
    "character-set-server": "latin1",
    "collation-server": "latin1_swedish_ci",
    "innodb-flush-log-at-trx-commit": "2",
    "loose-aria-log-file-size": "8M",
    "loose-innodb-buffer-pool-size": "24M",
    "loose-innodb-doublewrite": "OFF",
    "loose-innodb-flush-method": "nosync",
    "loose-innodb-log-file-size": "16M",
    "loose-innodb-stats-persistent": "OFF",
    "loose-innodb-undo-tablespaces": "0",
    "loose-innodb-use-native-aio": "OFF",
    "loose-performance-schema": "OFF",
    "max-connections": "150",
}


class MariadbServer(DatabaseServer):
    """One server, with as many databases as are asked for.

    Its databases are latin1 and compare without case, as those of many an old server do.
    """

    name = "MariaDB"
    fast_shutdown = signal.SIGTERM
    sudden_end = signal.SIGKILL

    def __init__(
        self, program: Path | None = None, *, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Start it.

        Args:
            program: mariadbd; the one that is found by default.
            settings: Beside those of all.

        Raises:
            NoMariadbError: There is none.
            ServerError: It cannot be started; the message ends with its log.
        """
        found = program or mariadb.find()
        if found is None:
            raise mariadb.NoMariadbError(mariadb.LEFT_OUT)
        self._program = found
        self._settings = {**_SETTINGS, **settings}
        super().__init__()

    def create_database(self) -> str:
        """A new, empty database.

        Returns:
            Its URL, as SQLAlchemy takes it: ``mysql+pymysql://…``.
        """
        name = self.new_name()
        self.execute(f"CREATE DATABASE `{name}`")
        return f"mysql+pymysql://{USER}@{HOST}:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop one with whoever is still connected to it."""
        self.cut(url)  # A transaction that somebody has forgotten would hold it up.
        self.execute(f"DROP DATABASE IF EXISTS `{url.rpartition('/')[2]}`")

    def cut(self, url: str) -> int:
        """End all connections to a database, also in the middle of a transaction; how many."""
        name = url.rpartition("/")[2]
        connections = self.execute(
            f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"  # noqa: S608
        )
        ended = 0
        for (number,) in connections:
            try:
                self.execute(f"KILL {number}")
                ended += 1
            except pymysql.err.OperationalError:
                continue  # It has ended by itself meanwhile.
        return ended

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the administrator; its rows, if it has any."""
        # Without TLS, which it has not: reading the certificates of the system takes a while.
        connection = pymysql.connect(
            host=HOST, port=self.port, user=USER, autocommit=True, ssl_disabled=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def _prepare(self) -> None:
        """Let it fill the folder and end in order: a crash before that would be its last."""
        done = subprocess.run(
            [*self._command(), "--bootstrap"],
            capture_output=True,
            check=False,
            **self._surroundings(),
        )
        if done.returncode:
            raise ServerError(done.stderr.decode(errors="replace"))

    def _command(self) -> Sequence[str]:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        places = [
            f"--datadir={self._data}",
            # In a common one, a server that starts deletes the tables of those that run.
            f"--tmpdir={self._data}",
            f"--socket={self._data}/socket",
            f"--port={self.port}",
        ]
        no_users = ["--skip-grant-tables", "--skip-name-resolve", "--skip-networking=0"]
        # The first one has to come first.
        return [str(self._program), "--no-defaults", *places, *no_users, *settings]

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True
