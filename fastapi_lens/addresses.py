"""Client addresses as servers give them. Pure; keeps none."""

from ipaddress import IPv4Address, IPv6Address, ip_address


def client_ip(address: str) -> IPv4Address | IPv6Address | None:
    """The IP address of a client; an IPv4 client of a dual-stack socket is an IPv4 client.

    Args:
        address: As a server gives it, such as ``10.0.0.7``, ``fe80::1%eth0`` or
            ``::ffff:10.0.0.7``.

    Returns:
        ``None`` for what is no IP address, like the name of a socket.
    """
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return mapped or known
