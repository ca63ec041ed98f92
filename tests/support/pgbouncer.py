"""A PgBouncer in transaction mode in front of a PostgreSQL of the tests. Knows no lens."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import make_url

from benchmarks.support.ports import HOST, free_port
from benchmarks.support.servers import Server
from scripts import pgbouncer

# As many releases come: it knows nothing of prepared statements, and accepts no options.
_CONFIGURATION = """\
[databases]
* = host={host} port={target} user={user}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
unix_socket_dir =
{identity}"""


@contextmanager
def pooling(url: str, folder: Path, *, sessions: int = 1) -> Generator[str]:
    """Start one, and stop it at the end.

    Args:
        url: Of a database of the tests.
        folder: Where it may write.
        sessions: Number of server sessions that all transactions share.

    Yields:
        The URL of the same database behind it.
    """
    program, port, target = pgbouncer.find(), free_port(), make_url(url)
    assert program is not None, pgbouncer.LEFT_OUT
    (folder / "pgbouncer.ini").write_text(
        _CONFIGURATION.format(
            host=HOST,
            target=target.port,
            user=target.username,
            port=port,
            sessions=sessions,
            # It refuses to stay root.
            identity="user = nobody\n" if os.geteuid() == 0 else "",
        ),
        encoding="utf-8",
    )
    server = Server([str(program), str(folder / "pgbouncer.ini")], port=port, cwd=folder)
    try:
        server.wait()
        yield target.set(port=port).render_as_string(hide_password=False)
    finally:
        server.stop()
