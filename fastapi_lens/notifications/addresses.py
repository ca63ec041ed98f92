"""The IP addresses to which a notification may be sent. Pure; resolves no name."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_BITS = 0xFFFF_FFFF
_METADATA = frozenset(
    map(
        ip_address,
        # Link-local ones need no entry. Azure's answers its own machines only, at a public address.
        ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"),
    )
)
"""Where clouds tell a machine its credentials."""

_RESERVED = tuple(
    map(
        ip_network,
        # Python 3.11.7 and earlier call some of these public.
        (
            "0.0.0.0/8",
            "100.64.0.0/10",
            "192.0.0.0/24",
            "240.0.0.0/4",
            "fec0::/10",
            "100::/64",
            "64:ff9b:1::/48",
        ),
    )
)

Address = IPv4Address | IPv6Address


def may_be_sent_to(address: str, *, allow_private: bool) -> bool:
    """True if a notification may go to an IP address.

    Link-local, multicast and unspecified addresses, and those at which clouds hand out credentials,
    are never allowed.

    Args:
        address: As the resolver gives it.
        allow_private: Allow private networks and this machine.
    """
    try:
        # A zone names an interface of this machine.
        found = _inner(ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if found in _METADATA or found.is_link_local or found.is_multicast or found.is_unspecified:
        return False
    return allow_private or (found.is_global and not _is_reserved(found))


def _inner(address: Address) -> Address:
    """The IPv4 address to which a packet to an IPv6 address goes in the end; else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64 or not int(address) >> 32:
        # NAT64, and the former IPv4-compatible addresses; ::1 and :: are IPv6's own.
        low = int(address) & _IPV4_BITS
        return address if low in (0, 1) and address not in _NAT64 else IPv4Address(low)
    teredo = None if address.teredo is None else address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _is_reserved(address: Address) -> bool:
    return any(address in network for network in _RESERVED if network.version == address.version)
