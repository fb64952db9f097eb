"""Whose connection this is. A proxy's word about it counts only if we were told to trust that proxy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
#: What one customer is given as a whole: RFC 6177 section 2, so counting single addresses would count nothing.
IPV6_CUSTOMER_BITS = 64


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks whose X-Forwarded-For and X-Forwarded-Proto are believed; none by default."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, cidrs: Iterable[str]) -> "TrustedProxies":
        """Read networks such as ``10.0.0.0/8``. Raises ValueError, which names none of them."""
        try:
            return cls(tuple(ip_network(cidr.strip()) for cidr in cidrs))
        except ValueError:
            raise ValueError("a trusted proxy is an address or a network in CIDR form") from None

    def peer_of(self, scope: Scope) -> str:
        """Whom limits count by: an IPv4 address, an IPv6 /64 network, or ``unknown``.

        Forwarding proxies append, so the list is read from the right, and only as far as trust reaches: what stands
        further left was written by whoever is not trusted.
        """
        address = _socket_peer(scope)
        for hop in reversed(_hops(scope)):
            if address is None or not self._trusts(address):
                break
            forwarded = _read_address(hop)
            if forwarded is None:
                break
            address = forwarded
        return _key(address)

    def is_https(self, scope: Scope) -> bool:
        """Whether the client's own connection is encrypted, here or at a trusted proxy in front."""
        address = _socket_peer(scope)
        if address is None or not self._trusts(address):
            return bool(scope.get("scheme") == "https")
        told = _values(scope, b"x-forwarded-proto")
        return told[-1] == "https" if told else bool(scope.get("scheme") == "https")

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _socket_peer(scope: Scope) -> Address | None:
    client = scope.get("client")
    return _read_address(client[0]) if client else None


def _hops(scope: Scope) -> Sequence[str]:
    return _values(scope, b"x-forwarded-for")


def _values(scope: Scope, name: bytes) -> list[str]:
    """The comma-separated values of every header of this name, in the order in which they were sent."""
    lines = [value.decode("latin-1") for header, value in scope["headers"] if header == name]
    return [part.strip() for line in lines for part in line.split(",")]


def _read_address(text: str) -> Address | None:
    """An address, with or without a port; an IPv4 address written as IPv6 is that IPv4 address."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _key(address: Address | None) -> str:
    if address is None:
        return UNKNOWN
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, IPV6_CUSTOMER_BITS), strict=False))
