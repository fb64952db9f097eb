"""What Clerk tells of its accounts: signed by svix over the very bytes, within five minutes, each event once."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from anamnesis.care.model import AccountEvent
from anamnesis.edge.headers import request_id_of
from anamnesis.edge.tokens import LONGEST_EMAIL, LONGEST_NAME, LONGEST_SUBJECT, LONGEST_URL
from anamnesis.journal import log
from anamnesis.kernel.errors import TooLarge, Unavailable
from anamnesis.kernel.identity import Claims
from anamnesis.kernel.text import clean

_KINDS: Final = frozenset({"user.created", "user.updated", "user.deleted"})
_LONGEST_ID: Final = 255
#: Beyond the year 9999 there is no datetime.
_LAST_MS: Final = 253_402_300_799_000


class Malformed(ValueError):
    """A signed event that tells nothing we can use."""


@dataclass(frozen=True, slots=True)
class ClerkWebhook:
    """ASGI endpoint. Without a secret nothing can be believed, so everything is put off."""

    secret: str | None
    settle: Callable[[AccountEvent], Awaitable[None]]
    max_body_bytes: int = 1024 * 1024

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST":
            return PlainTextResponse("Only POST.", 405, {"allow": "POST"})
        if self.secret is None:
            return _told(request, "WEBHOOK_SECRET_MISSING", "CLERK_WEBHOOK_SECRET is not set.", 503)
        try:
            event = read_event(await self._body(request), request.headers, self.secret)
        except TooLarge:
            return _told(request, "PAYLOAD_TOO_LARGE", "The event is too large.", 413)
        except (WebhookVerificationError, ValueError, RecursionError):
            return _told(request, "WEBHOOK_REFUSED", "The signature or the event is not acceptable.", 400)
        try:
            if event is not None:
                await self.settle(event)
        except Unavailable:
            return _told(request, "SERVICE_UNAVAILABLE", "Please send the event again.", 503)
        return PlainTextResponse("ok")

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > self.max_body_bytes:
                    raise TooLarge(self.max_body_bytes)
        except ClientDisconnect:
            raise Malformed from None
        return bytes(body)


def _told(request: Request, code: str, text: str, status: int) -> Response:
    log.warning("webhook.clerk", phase="error", request_id=request_id_of(request.scope), error_code=code)
    return PlainTextResponse(text, status)


def read_event(body: bytes, headers: Mapping[str, str], secret: str) -> AccountEvent | None:
    """The event these bytes hold, or None for one of another kind.

    Raises WebhookVerificationError for a signature that does not fit, or one older than five minutes, and ValueError
    for what cannot be read.
    """
    signed = {f"webhook-{name}": headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")}
    if not signed["webhook-timestamp"].isdecimal() or not 0 < len(signed["webhook-id"]) <= _LONGEST_ID:
        raise WebhookVerificationError("Missing required headers")
    Webhook(secret).verify(body, signed, json_parse=False)
    told = json.loads(body)
    if not isinstance(told, dict) or not isinstance(told.get("data"), dict):
        raise Malformed("an event is an object with data")
    if told.get("type") not in _KINDS:
        return None
    moment = told.get("timestamp")
    if isinstance(moment, bool) or not isinstance(moment, int) or not 0 <= moment <= _LAST_MS:
        moment = int(signed["webhook-timestamp"]) * 1000
    return AccountEvent(
        id=clean(signed["webhook-id"]),
        at=datetime.fromtimestamp(moment / 1000, UTC),
        is_deleted=told["type"] == "user.deleted",
        claims=_claims_of(told["data"]),
    )


def _claims_of(data: Mapping[str, Any]) -> Claims:
    subject = data.get("id")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isascii():
        raise Malformed("an account has an id")
    image = _text(data.get("image_url"), LONGEST_URL)
    return Claims(
        subject=clean(subject),
        email=_text(_primary_email(data), LONGEST_EMAIL),
        first_name=_text(data.get("first_name"), LONGEST_NAME),
        last_name=_text(data.get("last_name"), LONGEST_NAME),
        image_url=image if image and image.startswith("https://") else None,
    )


def _primary_email(data: Mapping[str, Any]) -> object:
    """The address Clerk calls primary; the first of them when it calls none so."""
    listed = data.get("email_addresses")
    addresses = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    wanted = data.get("primary_email_address_id")
    chosen = next((each for each in addresses if each.get("id") == wanted), addresses[0] if addresses else {})
    return chosen.get("email_address")


def _text(value: object, longest: int) -> str | None:
    text = clean(value).strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= longest else None
