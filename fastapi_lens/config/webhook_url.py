"""The address of a webhook, parsed and checked. Resolves no name and opens nothing."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, urlsplit

_PORTS = {"https": 443, "http": 80}
_LIKE = "write it like https://hooks.example.com/services/…"


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """The address of a webhook. It is a secret, because receivers know a sender by its path.

    Attributes:
        host: Name or IP address, in lower case; an IPv6 address without brackets.
        port: Of the receiver.
        is_tls: True for https.
        authority: Host and port as the ``Host`` header has them.
        target: Path and query.
    """

    host: str = field(repr=False)
    port: int = field(repr=False)
    is_tls: bool
    authority: str = field(repr=False)
    target: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            ValueError: It cannot be used; the message says why and never repeats it.
        """
        # Spaces and line breaks would end the request line, and urlsplit removes some of them.
        if not all("!" <= character <= "~" for character in text):
            raise ValueError(
                f"has spaces, control characters or letters that are not ASCII; {_LIKE}"
            )
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            # Without its cause, which may repeat the address.
            raise ValueError(f"cannot be read; {_LIKE}") from None
        if parts.scheme not in _PORTS or not host:
            raise ValueError(f"is not the address of a web server; {_LIKE}")
        if "@" in parts.netloc:
            raise ValueError("has a user name or password, which are not sent; remove them")
        return cls(
            host=host,
            port=port or _PORTS[parts.scheme],
            is_tls=parts.scheme == "https",
            authority=parts.netloc.lower(),
            target=_target(parts),
        )


def _target(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return (parts.path or "/") + query
