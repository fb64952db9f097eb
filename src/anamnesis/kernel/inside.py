"""Which addresses belong to the deployment itself: nothing that is sent there leaves it."""

from ipaddress import ip_address, ip_network
from typing import Final

#: RFC 1918 and RFC 4193. Link-local addresses are not among them: clouds keep secrets there.
_PRIVATE: Final = tuple(ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))


def is_inside(host: str | None) -> bool:
    """Whether a host is this machine or a private address in figures; a name may be led anywhere and is not inside."""
    try:
        address = ip_address(host or "")
    except ValueError:
        return (host or "").lower() == "localhost"
    return address.is_loopback or any(address in network for network in _PRIVATE)
