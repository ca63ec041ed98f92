"""Client addresses as servers provide them. Pure; stores none."""

from ipaddress import IPv4Address, IPv6Address, ip_address


def client_ip(address: str) -> IPv4Address | IPv6Address | None:
    """The IP address of a client; IPv4 for an IPv4 client of a dual-stack socket.

    Args:
        address: The address from a server, such as ``10.0.0.7``, ``fe80::1%eth0`` or
            ``::ffff:10.0.0.7``.

    Returns:
        ``None`` for a text that is no IP address, such as the name of a socket.
    """
    try:
        # The zone names an interface of this machine, and says nothing about the client.
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return mapped or known
