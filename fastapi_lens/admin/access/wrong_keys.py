"""Wrong keys in the audit log; a flood of keys makes few entries."""

from fastapi_lens.admin.audit import WRONG_KEY, Author
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import add_audit_entry, count_entries

UNKNOWN = "unknown"
"""The actor of these entries."""

MAX_WRONG_KEYS = 20
"""Most entries about wrong keys in an hour, of all clients together."""

_HOUR_US = 3_600_000_000


class WrongKeys:
    """Audits wrong keys, with so few entries that a flood of keys cannot fill the log.

    Args:
        database: The database with the audit log.
        app: Name of the app.
        max_failures: Wrong keys after which a client has to wait.
    """

    def __init__(self, database: Database, app: str, max_failures: int) -> None:
        """Note nothing yet."""
        self._database = database
        self._app = app
        self._max = max_failures

    def note(self, address: str, count: int, now_us: int) -> None:
        """Audit the first wrong key of a client, the one that blocks it, and each doubling.

        Args:
            address: The client's address.
            count: Its wrong keys up to now.
            now_us: Microseconds since the epoch.

        Raises:
            StorageError: The database cannot be written.
        """
        if count != 1 and not self._is_doubling(count):
            return
        noted = count_entries(self._database, self._app, WRONG_KEY.name, since_us=now_us - _HOUR_US)
        if noted >= MAX_WRONG_KEYS:
            return
        after = "1 wrong key" if count == 1 else f"{count:,} wrong keys; the client has to wait"
        if noted == MAX_WRONG_KEYS - 1:
            after += "; more of any client are not listed for an hour"
        entry = Author(UNKNOWN, address, now_us / 1_000_000).did(WRONG_KEY, after=after)
        add_audit_entry(self._database, self._app, entry)

    def _is_doubling(self, count: int) -> bool:
        times, rest = divmod(count, self._max)
        return rest == 0 and times & (times - 1) == 0
