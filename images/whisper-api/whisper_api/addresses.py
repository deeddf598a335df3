"""Which addresses the server may fetch from: public ones, and networks that the operator named.

An IPv6 address can carry an IPv4 address inside (mapped, 6to4, Teredo, NAT64, ...); where the packet would end
counts, so the inner one is judged too.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# A NAT64 gateway sends a packet on to the IPv4 address in its last 32 bits (RFC 6052), and to nowhere else.
_NAT64 = IPv6Network("64:ff9b::/96")
# Prefixes that may be unpacked in the same way: NAT64 of local use (RFC 8215), IPv4-compatible (RFC 4291),
# IPv4-translated (RFC 2765).
_CARRIES_IPV4_LAST = (
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("::/96"),
    IPv6Network("::ffff:0:0:0/96"),
)
# Routed, but never to a server that a recording would be fetched from.
_NEVER = (
    IPv4Network("192.88.99.0/24"),  # 6to4 relays (deprecated)
    IPv6Network("fec0::/10"),  # site-local (deprecated)
    IPv6Network("5f00::/16"),  # segment routing
    IPv6Network("3fff::/20"),  # documentation
    IPv6Network("100::/64"),  # discard-only
)

# Ports that speak something else than HTTP, as browsers refuse them (WHATWG Fetch, "bad port").
BAD_PORTS = frozenset(
    (
        *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104),
        *(109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515),
        *(526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049),
        *(3659, 4045, 4190, 5060, 5061, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211),
    )
)


def parse(text: str) -> Address | None:
    """Address in its usual notation (a zone such as %eth0 included), or None."""
    try:
        return ip_address(text.split("%", 1)[0])
    except ValueError:
        return None


def is_odd_ipv4(host: str) -> bool:
    """Whether the C library would take `host` for an IPv4 address though it is not in dotted decimal (0x7f.1)."""
    try:
        socket.inet_aton(host.rstrip("."))
    except (OSError, UnicodeError):
        return False
    return parse(host) is None


def may_reach(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether `address`, and every address it carries inside, is public or in one of the `allowed` networks."""
    return all(_public(one) or any(one in network for network in allowed) for one in _unwrapped(address))


def _unwrapped(address: Address) -> Iterator[Address]:
    """The addresses where a packet for `address` can end."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:  # the kernel opens a plain IPv4 connection for this one
        yield address.ipv4_mapped
        return
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if any(address in network for network in _CARRIES_IPV4_LAST):
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    if (int(address) >> 32) & 0xFFFFFFFF in {0x00005EFE, 0x02005EFE}:  # ISATAP
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _NEVER)
    )
