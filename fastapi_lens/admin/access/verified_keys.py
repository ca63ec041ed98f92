"""Cache of recently verified keys, by address of the client. Knows no HTTP and no keys."""

import hmac
import secrets
import threading
from collections import OrderedDict

from fastapi_lens.config.keys import normalised

SECONDS = 10.0
"""Time for which a verified key is accepted without another lookup."""

MAX_PASSES = 1_000


class VerifiedKeyCache:
    """Accepts repeated keys of programs without a query of the database.

    Only correct keys are stored, so the cache gives no hint to an attacker; safe to use from
    threads.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._pepper = secrets.token_bytes(32)
        self._guard = threading.Lock()
        self._names: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def name_of(self, address: str, presented: str | bytes, now: float) -> str | None:
        """The name of a key that the same address sent at most `SECONDS` ago; otherwise None.

        Args:
            address: The client's address.
            presented: The key.
            now: Epoch seconds.
        """
        # The lookup uses a keyed digest, so its duration reveals nothing about a key.
        name, since = self._names.get(self._mark(address, presented), ("", 0.0))
        # If the clock is set back, the pass ends instead of lasting for longer.
        return name if name and since <= now < since + SECONDS else None

    def note(self, address: str, presented: str | bytes, name: str, now: float) -> None:
        """Store a correct key; see `name_of` for the arguments."""
        mark = self._mark(address, presented)
        with self._guard:
            self._names[mark] = (name, now)
            self._names.move_to_end(mark)
            if len(self._names) > MAX_PASSES:
                self._names.popitem(last=False)

    def _mark(self, address: str, presented: str | bytes) -> bytes:
        sent = address.encode() + b"\0" + normalised(presented)
        return hmac.digest(self._pepper, sent, "sha256")
