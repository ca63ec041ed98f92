"""A PostgreSQL that follows another one, which waits for it with each commit. Knows no tables."""

from collections.abc import Sequence

from sqlalchemy.engine import make_url

from benchmarks.support.database_server import USER
from benchmarks.support.ports import HOST
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.waiting import wait_until

NAME = "standby"


class StandbyServer(PostgresServer):
    """A copy of a server, without which that one commits nothing once the copy runs."""

    def __init__(self, primary: PostgresServer) -> None:
        """Copy the server while it runs, follow it, and have it wait for us.

        Raises:
            ServerError: It cannot be copied, or the copy does not start.
        """
        self._primary = primary
        super().__init__(primary.programs)
        primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'")
        primary.execute("SELECT pg_reload_conf()")
        wait_until(self._is_waited_for, what="synchronous replication")

    def promote(self) -> None:
        """Become the primary; returns when it takes writes."""
        ((promoted,),) = self.execute("SELECT pg_promote()")
        assert promoted

    def url_of_both(self, url: str) -> str:
        """The URL of a database that leads to whichever of the two takes writes.

        Args:
            url: Of the database on the first of them.
        """
        one = make_url(url)
        hosts = "&".join(f"host={HOST}:{port}" for port in (self._primary.port, self.port))
        both = f"{one.drivername}://{one.username}@/{one.database}?{hosts}"
        return f"{both}&target_session_attrs=read-write"

    def _is_waited_for(self) -> bool:
        found = self._primary.execute(
            "SELECT application_name, sync_state FROM pg_stat_replication"
        )
        return (NAME, "sync") in found

    def _prepare(self) -> None:
        origin = ("-h", HOST, "-p", str(self._primary.port), "-U", USER)
        copy = ("-D", str(self._data), "--checkpoint=fast", "--no-sync", "--write-recovery-conf")
        self._run(str(self.programs / "pg_basebackup"), *origin, *copy)

    def _command(self) -> Sequence[str]:
        origin = f"host={HOST} port={self._primary.port} user={USER}"
        follow = f"--primary_conninfo={origin} application_name={NAME}"
        return [*super()._command(), follow]
