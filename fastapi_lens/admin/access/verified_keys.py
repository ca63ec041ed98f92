"""Keys that were right a moment ago, by the address that sent them. Knows no HTTP and no keys."""

import hmac
import secrets
import threading
from collections import OrderedDict

from fastapi_lens.config.keys import normalised

SECONDS = 10.0
"""So long a key is good for another request, without being looked up."""

MAX_PASSES = 1_000


class VerifiedKeyCache:
    """Lets programs that ask again and again in without a database.

    Only right keys are noted, so whoever guesses finds nothing here; safe to use from threads.
    """

    def __init__(self) -> None:
        """Know of nobody yet."""
        self._pepper = secrets.token_bytes(32)
        self._guard = threading.Lock()
        self._names: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def name_of(self, address: str, presented: str | bytes, now: float) -> str | None:
        """Whose key this was at most `SECONDS` ago, sent by the same address; else None.

        Args:
            address: Of the client.
            presented: The key.
            now: Epoch seconds.
        """
        # Looked up by a keyed digest: how long that takes tells nothing about a key.
        name, since = self._names.get(self._mark(address, presented), ("", 0.0))
        return name if name and since <= now < since + SECONDS else None

    def note(self, address: str, presented: str | bytes, name: str, now: float) -> None:
        """A key was right; see `name_of` for the arguments."""
        mark = self._mark(address, presented)
        with self._guard:
            self._names[mark] = (name, now)
            self._names.move_to_end(mark)
            if len(self._names) > MAX_PASSES:
                self._names.popitem(last=False)

    def _mark(self, address: str, presented: str | bytes) -> bytes:
        sent = address.encode() + b"\0" + normalised(presented)
        return hmac.digest(self._pepper, sent, "sha256")
