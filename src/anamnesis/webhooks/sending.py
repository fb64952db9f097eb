"""One signed POST to a target, after a look at where its name leads.

The address that was looked at is the one connected to, so a name cannot lead elsewhere a moment later. No redirect is
followed, no proxy of the environment is used, nothing of the answer but its status is read, and all of it is bounded.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx2
from standardwebhooks.webhooks import Webhook

from anamnesis.webhooks.model import DELIVERED, Attempt, Event, Target, is_public

_SUCCESS: Final = range(200, 300)


class NotAllowed(Exception):
    """The target's name leads to where nothing may be sent."""


@cache
def public_authorities() -> ssl.SSLContext:
    """Whom the wide world trusts, whatever the environment says; read once, for it takes the time of many messages."""
    return httpx2.create_ssl_context(trust_env=False)


@dataclass(frozen=True, slots=True)
class SignedSender:
    """Sends as Standard Webhooks describes it: id, time and signature in headers, over the very bytes of the body.

    While secrets change there is a signature by each of them, and a receiver believes any it knows.
    An https target must show a certificate for its name, of one of the authorities.
    """

    secret: str = field(repr=False)
    earlier: tuple[str, ...] = field(default=(), repr=False)
    within_s: float = 10.0
    is_https_only: bool = True
    authorities: Callable[[], ssl.SSLContext] = public_authorities

    async def send(self, event: Event, target: Target) -> Attempt:
        """Tell the target once. Whatever goes wrong is told by its kind, never by what was answered."""
        began = time.monotonic()
        status = None
        try:
            async with asyncio.timeout(self.within_s):
                status = await self._post(event, target)
            outcome = DELIVERED if status in _SUCCESS else "refused"
        except NotAllowed:
            outcome = "not_allowed"
        except TimeoutError:
            outcome = "timeout"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
            outcome = "unreachable"
        return Attempt(outcome, status, round((time.monotonic() - began) * 1000))

    async def _post(self, event: Event, target: Target) -> int:
        parts = urlsplit(target.url)
        host, is_https = parts.hostname or "", parts.scheme == "https"
        if self.is_https_only and not is_https:
            raise NotAllowed
        port = parts.port or (443 if is_https else 80)
        address = await _address_of(host, port, target)
        shown = f"[{address}]" if ":" in address else address
        url = urlunsplit((parts.scheme, f"{shown}:{port}", parts.path or "/", parts.query, ""))
        body = event.body()
        async with (
            httpx2.AsyncClient(timeout=self.within_s, trust_env=False, verify=self.authorities()) as client,
            client.stream(
                "POST",
                url,
                content=body.encode(),
                headers={**self._signature(event, body), "host": parts.netloc.rpartition("@")[2]},
                extensions={"sni_hostname": host},
                follow_redirects=False,
            ) as answer,
        ):
            return int(answer.status_code)

    def _signature(self, event: Event, body: str) -> dict[str, str]:
        now = datetime.now(UTC)
        signed = [Webhook(secret).sign(str(event.id), now, body) for secret in (self.secret, *self.earlier)]
        return {
            "webhook-id": str(event.id),
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signed),
            "content-type": "application/json",
            "user-agent": "Anamnesis",
            "accept-encoding": "identity",
        }


async def _address_of(host: str, port: int, target: Target) -> str:
    """An address of the host to which something may be sent. Raises NotAllowed when any of them is not such a one."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not addresses or not (target.may_be_private or all(map(is_public, addresses))):
        raise NotAllowed
    return addresses[0]
