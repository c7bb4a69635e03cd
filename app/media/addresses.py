"""Which addresses are public, and what an operator's list of allowed ones says."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

CLOSED_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT, and one cloud's metadata service
        "127.0.0.0/8",
        "169.254.0.0/16",  # link local, and most clouds' metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, and one cloud's metadata service
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
OPEN_IPV6 = IPv6Network("2000::/3")
CLOSED_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # Teredo, benchmarks, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4 hides an IPv4 address
        "3fff::/20",
    )
)


def parse_address(text: str) -> Address:
    """Read one address; an IPv4 address wrapped in IPv6 comes out as IPv4. Raises ``ValueError``."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in block for block in CLOSED_IPV4)
    return address in OPEN_IPV6 and not any(address in block for block in CLOSED_IPV6)


def is_disguised(host: str) -> bool:
    """Whether ``host`` is a number that the operating system would interpret as an IPv4 address.

    ``127.1``, ``2130706433``, ``0x7f.0.0.1`` and the like: no real host name ends in a number.
    """
    last = host.rstrip(".").rpartition(".")[2].lower()
    if last.isdigit():
        return True
    return last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:])


def read_allowed(entry: str) -> Network | str:
    """One entry of the allow-list: a network (or single address), or a host name in lower case."""
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return entry.lower().rstrip(".")
