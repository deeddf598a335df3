"""Which addresses count as public."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from whisper_api import addresses

PRIVATE = (
    "0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 "
    "192.0.0.1 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 "
    "255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::ffff:0:127.0.0.1 "
    "64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:a00:1:: "
    "fc00::1 fd12:3456::1 fe80::1 fec0::1 ff02::1 3fff::1 5f00::1 2001:0:7f00:1::1 2606:4700::5efe:127.0.0.1"
)
PUBLIC = "1.1.1.1 8.8.8.8 93.184.216.34 2606:4700:4700::1111 2a00:1450:4001:80e::200e ::ffff:8.8.8.8 64:ff9b::8.8.8.8"


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("text", PRIVATE.split())
def test_not_public(text: str) -> None:
    assert not addresses.may_reach(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public(text: str) -> None:
    assert addresses.may_reach(ip_address(text))


def test_a_named_network_is_reached_also_in_ipv6_s_clothes() -> None:
    allowed = (ip_network("10.1.0.0/16"),)
    assert addresses.may_reach(ip_address("10.1.2.3"), allowed)
    assert addresses.may_reach(ip_address("::ffff:10.1.2.3"), allowed)
    assert not addresses.may_reach(ip_address("10.2.0.1"), allowed)
    assert not addresses.may_reach(ip_address("::ffff:10.2.0.1"), allowed)


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0x7f000001"])
def test_odd_notations_are_known(host: str) -> None:
    assert addresses.is_odd_ipv4(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "example.com", "::1", "1.2.3.4.5", "cafe.com"])
def test_usual_notations_are_not_odd(host: str) -> None:
    assert not addresses.is_odd_ipv4(host)
