"""Origins of web sites in the form that browsers send. Pure; knows no requests."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from types import MappingProxyType

_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
_LAST_PORT = 65_535


def normalized_origin(text: str) -> str | None:
    """An origin in lower case, without a default port: ``https://admin.example.com``.

    Args:
        text: A scheme, a host and an optional port, and nothing else.

    Returns:
        ``None`` for a text that is no origin of a site, such as ``null`` or a URL with a path.
    """
    # Lowering turns some letters beyond ASCII into ASCII ones, such as the Kelvin sign into k.
    found = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None
    if found is None:
        return None
    scheme, host, digits = found.groups()
    port = int(digits or _DEFAULT_PORTS[scheme])
    if port > _LAST_PORT:
        return None
    if host.startswith("["):
        try:
            # Browsers send IPv6 addresses in their shortest form.
            host = f"[{IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            return None
    return f"{scheme}://{host}" + ("" if port == _DEFAULT_PORTS[scheme] else f":{port}")
