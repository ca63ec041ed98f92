"""Who has given too many wrong keys waits: refused with the seconds to go, never delayed.

Counts in the database, for all workers; in memory only while that is down. Knows no HTTP.
"""

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import TypeVar

from fastapi_lens.errors import StorageError
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.throttling import Failures, add_failure, read_failures

FIRST_WAIT_SECONDS = 4
"""After the failure that is one too many; each further one doubles it, up to the window."""

MAX_CLIENTS = 1_000
"""Kept in memory while the database is down."""

_US = 1_000_000
_NETWORK_BITS = 64

Known = TypeVar("Known")


class Throttle:
    """Counts wrong keys by client.

    Args:
        database: Where all workers count.
        secret: Keys the hash under which an address is noted.
        told: Called with the address, its wrong keys up to now and the time in microseconds.
        max_failures: Wrong keys that are free.
        window_seconds: A client that is quiet for so long begins anew; also the longest wait.
    """

    def __init__(
        self,
        database: Database,
        secret: bytes,
        told: Callable[[str, int, int], None],
        *,
        max_failures: int,
        window_seconds: int,
    ) -> None:
        """Know of nobody yet."""
        self._database = database
        self._secret = secret
        self._told = told
        self._max = max_failures
        self._window_us = window_seconds * _US
        self._turn = threading.Lock()
        self._memory: OrderedDict[str, Failures] = OrderedDict()

    def attempt(
        self, address: str, find: Callable[[], Known | None], *, now: float
    ) -> Known | int | None:
        """What `find` finds, unless the client has to wait. Blocks; one at a time in a process.

        Args:
            address: Of the client.
            find: Compares; None means that the key was wrong.
            now: Epoch seconds.

        Returns:
            Whole seconds to wait, or what was found.
        """
        client, now_us = self._client(address), round(now * _US)
        with self._turn:
            wait_us = self._noted(client).blocked_until_us - now_us
            if wait_us > 0:
                return -(-wait_us // _US)
            found = find()
            if found is None:
                count = self._note(client, now_us)
                if count is not None:
                    self._told(address, count, now_us)
            return found

    def _noted(self, client: str) -> Failures:
        try:
            noted = read_failures(self._database, client)
        except StorageError:
            noted = Failures()
        mine = self._memory.get(client, noted)
        return max(noted, mine, key=lambda failures: failures.blocked_until_us)

    def _note(self, client: str, now_us: int) -> int | None:
        """The client's failures up to now; None while the database is down."""

        def step(before: Failures) -> Failures:
            return self._after(before, now_us)

        try:
            forget_before_us = now_us - 2 * self._window_us
            noted = add_failure(self._database, client, step, forget_before_us=forget_before_us)
        except StorageError:
            self._memory[client] = step(self._memory.pop(client, Failures()))
            while len(self._memory) > MAX_CLIENTS:
                self._memory.popitem(last=False)
            return None
        return noted.count

    def _after(self, before: Failures, now_us: int) -> Failures:
        """One more failure than before."""
        if max(before.last_us, before.blocked_until_us) + self._window_us < now_us:
            before = Failures(first_us=now_us)
        count = before.count + 1
        blocked_until = 0
        if count >= self._max:
            # Bounded before it is a power: a client may go on for years.
            doublings = min(count - self._max, 32)
            wait_us = min((FIRST_WAIT_SECONDS << doublings) * _US, self._window_us)
            blocked_until = max(now_us + wait_us, before.blocked_until_us)
        return Failures(count, before.first_us, now_us, blocked_until)

    def _client(self, address: str) -> str:
        """A keyed hash, so that the table tells no address; IPv6 by the network of /64."""
        try:
            known = ip_address(address)
            # A socket for both gives IPv4 clients as ::ffff:10.0.0.7; they share no network.
            if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
                address = f"{int(known) >> _NETWORK_BITS:x}::"
        except ValueError:
            pass  # A server may name a socket or nothing.
        return hmac.new(self._secret, address.encode(), "sha256").hexdigest()
