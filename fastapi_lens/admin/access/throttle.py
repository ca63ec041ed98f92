"""Throttle of wrong keys: clients are refused for some seconds, and never delayed.

It counts in the database, for all workers, and in memory while the database is down. Knows no HTTP.
"""

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from fastapi_lens.admin.access.networks import limited_networks
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.throttle import Failures, add_failures, read_failures

FIRST_WAIT_SECONDS = 4
"""Wait after the first failure beyond the limit; each further one doubles it, up to the window."""

MAX_CLIENTS = 1_000
"""Most clients in memory while the database is down."""

WIDER = 4
"""Factor of the limit of wrong keys from one IPv6 network to the next wider one: a /56 gets four
times that of a /64, a /48 four times that of a /56."""

_US = 1_000_000

Found = TypeVar("Found")


class Throttle:
    """Counts wrong keys by client, and for IPv6 also by the surrounding networks.

    Args:
        database: The database in which all workers count.
        secret: Key of the hash that stands for an address.
        report: Called with the address, its wrong keys so far and the time in microseconds.
        max_failures: Wrong keys of a client before it has to wait.
        window_seconds: Time without a wrong key after which a client starts again; also the
            longest wait.
    """

    def __init__(
        self,
        database: Database,
        secret: bytes,
        report: Callable[[str, int, int], None],
        *,
        max_failures: int,
        window_seconds: int,
    ) -> None:
        """Start without any failures."""
        self._database = database
        self._secret = secret
        self._report = report
        self._max = max_failures
        self._window_us = window_seconds * _US
        self._turn = threading.Lock()
        self._memory: OrderedDict[str, Failures] = OrderedDict()

    def attempt(
        self, address: str, find: Callable[[], Found | None], *, now: float, kind: str = ""
    ) -> Found | int | None:
        """The result of `find`, unless the client has to wait. Blocks; one at a time in a process.

        Args:
            address: The client's address.
            find: Compares the key; returns None for a wrong one.
            now: Epoch seconds.
            kind: Kind of the key; each kind is counted separately.

        Returns:
            Whole seconds to wait, or what was found.
        """
        now_us, networks = round(now * _US), limited_networks(address)
        clients = [self._client(kind + name) for name in networks]
        limits = {one: self._max * WIDER**level for level, one in enumerate(clients)}
        # Checked and counted in one turn, otherwise many requests at once would pass the check.
        with self._turn:
            wait_us = self._blocked_until_us(limits) - now_us
            if wait_us > 0:
                # Rounded up, so that a client that waits for this time is let through.
                return -(-wait_us // _US)
            found = find()
            if found is None:
                noted = self._note(limits, now_us)
                if noted is not None:
                    self._report(address, noted[clients[0]].count, now_us)
            return found

    def _blocked_until_us(self, clients: Mapping[str, int]) -> int:
        try:
            noted = list(read_failures(self._database, clients).values())
        except StorageError:
            noted = []
        # Also after an outage: failures that were counted in memory still block.
        noted += [self._memory[one] for one in clients if one in self._memory]
        return max((failures.blocked_until_us for failures in noted), default=0)

    def _note(self, limits: Mapping[str, int], now_us: int) -> dict[str, Failures] | None:
        """Add a failure of these clients and return all so far; None while the database is down."""
        steps = {one: partial(self._after, now_us, limit) for one, limit in limits.items()}
        try:
            # A row counts for one window after its block, which is at most one window long.
            forget_before_us = now_us - 2 * self._window_us
            return add_failures(self._database, steps, forget_before_us=forget_before_us)
        except StorageError:
            for one, step in steps.items():
                # Taken out and put back, which makes the client the last one to be evicted.
                self._memory[one] = step(self._memory.pop(one, Failures()))
            while len(self._memory) > MAX_CLIENTS:
                self._memory.popitem(last=False)
            return None

    def _after(self, now_us: int, limit: int, before: Failures) -> Failures:
        """One more failure than before."""
        if max(before.last_us, before.blocked_until_us) + self._window_us < now_us:
            before = Failures(first_us=now_us)
        count = before.count + 1
        blocked_until = 0
        if count >= limit:
            # Limited before it becomes an exponent, because a client may continue for years.
            doublings = min(count - limit, 32)
            wait_us = min((FIRST_WAIT_SECONDS << doublings) * _US, self._window_us)
            # Workers' clocks differ: one that is behind must not shorten a wait.
            blocked_until = max(now_us + wait_us, before.blocked_until_us)
        return Failures(count, before.first_us, now_us, blocked_until)

    def _client(self, name: str) -> str:
        """A keyed hash, so that the table contains no address."""
        return hmac.new(self._secret, name.encode(), "sha256").hexdigest()
