"""An event for another system, the system it goes to, and how telling it went."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from anamnesis.kernel.errors import AnamnesisError

DELIVERED: Final = "delivered"
#: NAT64: the last four bytes are an IPv4 address.
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")


class EventKind(StrEnum):
    """What can be told."""

    INTAKE_READY = "intake.ready"
    INTAKE_EMERGENCY = "intake.emergency"
    MESSAGE_CREATED = "message.created"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. Its id stays the same however often it is told, so a receiver knows it again."""

    id: UUID
    kind: EventKind
    connection_id: UUID
    session_id: UUID | None
    message_id: UUID | None
    occurred_at: datetime

    def body(self) -> str:
        """What is sent, the same bytes every time: ids, and nothing a person has said or is called."""
        ids = {"connectionId": self.connection_id, "sessionId": self.session_id, "messageId": self.message_id}
        told = {name: str(each) for name, each in ids.items() if each is not None}
        moment = self.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"type": self.kind.value, "timestamp": moment, "data": told}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver the operator has named. may_be_private lets it be in our own network, for development."""

    url: str = field(repr=False)
    may_be_private: bool = False

    @property
    def name(self) -> str:
        """Its host, and what tells it from another on that host: may stand in a log, where a path may hold a secret."""
        parts = urlsplit(self.url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        return f"{host}#{hashlib.sha256(self.url.encode()).hexdigest()[:6]}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How telling one target went: ``delivered`` or the kind of failure, and the status if it answered."""

    outcome: str
    status: int | None = None
    duration_ms: int = 0

    @property
    def is_delivered(self) -> bool:
        """Whether the target has taken it."""
        return self.outcome == DELIVERED


@dataclass(eq=False)
class NotDelivered(AnamnesisError):
    """Some target has not taken an event: it is to be tried again."""


def is_public(address: str) -> bool:
    """Whether the address is one of the wide world: none of this machine, this network, or no single machine at all.

    An IPv4 address inside an IPv6 one counts as itself.
    """
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else found)
    if isinstance(found, IPv6Address) and found in _TRANSLATED:
        found = IPv4Address(int(found) & 0xFFFFFFFF)
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)
