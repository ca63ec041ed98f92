"""The addresses to which notifications may go."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.notifications.addresses import may_be_sent_to

pytestmark = pytest.mark.unit

PRIVATE = [
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1"),
    *("::1", "fc00::1", "fd12:3456::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1"),
    # 6to4, Teredo and NAT64 lead to IPv4 addresses.
    *("2002:a00:1::1", "64:ff9b::a00:1", "2001:0:4136:e378:8000:63bf:f5ff:fffe"),
    *("192.0.0.8", "240.0.0.1", "255.255.255.255", "64:ff9b:1::1", "fec0::1"),
]
NEVER = [
    *("169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "100.100.100.200"),
    *("168.63.129.16", "192.0.0.192", "fd00:ec2::254", "0.0.0.0", "::", "224.0.0.1", "ff02::1"),  # noqa: S104  Nothing is bound.
    *("64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "localhost", ""),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_networks_are_allowed_only_if_the_setting_says_so(address: str) -> None:
    assert not may_be_sent_to(address, allow_private=False)
    assert may_be_sent_to(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_where_clouds_hand_out_credentials_nothing_is_ever_sent(address: str) -> None:
    assert not may_be_sent_to(address, allow_private=False)
    assert not may_be_sent_to(address, allow_private=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert may_be_sent_to(address, allow_private=False)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_nothing_that_the_standard_library_calls_private_is_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if isinstance(address, ipaddress.IPv6Address):
        # Newer Pythons call all of 6to4 private, whatever address is inside.
        address = address.sixtofour or address
    if may_be_sent_to(str(address), allow_private=False):
        assert not any((address.is_private, address.is_loopback, address.is_link_local))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_inside_of_ipv6(address: ipaddress.IPv4Address) -> None:
    inside = [f"::ffff:{address}", str(ipaddress.IPv6Address((0x64FF9B << 96) | int(address)))]
    expected = may_be_sent_to(str(address), allow_private=False)
    assert [may_be_sent_to(one, allow_private=False) for one in inside] == [expected, expected]
