from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.access.networks import limited_networks, queued_networks

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "written",
    ["10.0.0.7", "::ffff:10.0.0.7", "::FFFF:a00:7", "64:ff9b::a00:7", "10.0.0.7:51234"],
)
def test_an_address_of_ipv4_is_one_however_it_is_written(written: str) -> None:
    assert limited_networks(written) == ("10.0.0.7",)
    assert queued_networks(written) == ("10.0.0.0/16", "10.0.0.0/24", "10.0.0.7/32")


@pytest.mark.parametrize(
    "written", ["2001:db8:7:1ff::1", "2001:DB8:7:1FF:0:0:0:2", "[2001:db8:7:1ff::1]:443"]
)
def test_an_address_of_ipv6_is_that_of_its_networks(written: str) -> None:
    nets = ("2001:db8:7:1ff::/64", "2001:db8:7:100::/56", "2001:db8:7::/48")
    assert limited_networks(written) == nets
    assert queued_networks(written) == ("2001:db8::/32", "2001:db8:7::/48", "2001:db8:7:1ff::/64")


def test_an_interface_is_no_part_of_an_address() -> None:
    assert limited_networks("fe80::1%eth0") == limited_networks("fe80::2")
    assert queued_networks("fe80::1%eth0") == queued_networks("fe80::2%eth1")


@pytest.mark.parametrize(
    "text", ["", "testclient", "unix:", "10.0.0.256", "1.2.3:4", "[x]:1", "::1]"]
)
def test_what_is_no_address_is_a_client_of_its_own(text: str) -> None:
    assert limited_networks(text) == (text,)
    assert queued_networks(text) == (text, text, text)


@given(st.ip_addresses(v=6), st.integers(0, 127))
def test_addresses_share_the_networks_that_they_share_and_no_others(
    address: IPv6Address, bit: int
) -> None:
    other = IPv6Address(int(address) ^ (1 << (127 - bit)))
    mine, others = limited_networks(str(address)), limited_networks(str(other))
    if len(mine) == len(others) == 3:
        same = [one == another for one, another in zip(mine, others, strict=True)]
        assert same == [bit >= 64, bit >= 56, bit >= 48]


@given(st.text())
def test_every_text_has_networks(text: str) -> None:
    assert len(queued_networks(text)) == 3
    assert len(limited_networks(text)) in (1, 3)
