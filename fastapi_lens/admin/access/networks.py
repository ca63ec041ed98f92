"""The networks that a client address belongs to. Pure text; knows no HTTP and no limits."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

from fastapi_lens.text.addresses import client_ip

LIMITED_BITS = (64, 56, 48)
"""IPv6 prefix lengths of typical networks, customers and sites, narrowest first."""

# IPv6 ends at /64, inside of which one host can take any address.
_QUEUED_BITS = {4: (16, 24, 32), 6: (32, 48, 64)}
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_BITS = 0xFFFF_FFFF
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")
"""An address with a port, as some proxies send it: ``[2001:db8::1]:443``, ``192.0.2.7:51234``."""


def limited_networks(address: str) -> tuple[str, ...]:
    """The networks for which wrong keys are limited, narrowest first.

    Args:
        address: The address from the server; a text that is no address is a network of its own.

    Returns:
        For IPv4 the address; for IPv6 one network for each of `LIMITED_BITS`.
    """
    known = _address(address)
    if isinstance(known, IPv6Address):
        return tuple(_network(known, bits) for bits in LIMITED_BITS)
    return (str(known),)


def queued_networks(address: str) -> tuple[str, str, str]:
    """The networks that share turns with others of the same width, widest first."""
    known = _address(address)
    if isinstance(known, str):
        return known, known, known
    wide, middle, narrow = (_network(known, bits) for bits in _QUEUED_BITS[known.version])
    return wide, middle, narrow


def _address(text: str) -> IPv4Address | IPv6Address | str:
    """Parse an address; IPv4 embedded in IPv6 becomes IPv4."""
    found = _WITH_PORT.fullmatch(text)
    known = client_ip((found[1] or found[2]) if found else text)
    # A NAT64 translator shows IPv4 clients as 64:ff9b::a00:7.
    if isinstance(known, IPv6Address) and known in _NAT64:
        return IPv4Address(int(known) & _IPV4_BITS)
    return known or text  # A server may provide the name of a socket, or nothing.


def _network(address: IPv4Address | IPv6Address, bits: int) -> str:
    return str(ip_network((int(address), bits), strict=False))
