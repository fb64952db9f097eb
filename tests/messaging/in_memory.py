"""A small honest store of messages, for actions that need no database."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

from anamnesis.care.model import ConnectionStatus
from anamnesis.kernel.errors import BadInput, Conflict, NotPermitted


@dataclass
class InMemoryMessageStore:
    """Implements MessageStore."""

    links: dict = field(default_factory=dict)
    messages: list[dict] = field(default_factory=list)
    notices: list[dict] = field(default_factory=list)
    writes: int = 0

    async def link(self, connection_id):
        return self.links.get(connection_id)

    async def send(self, draft):
        self.writes += 1
        connection_id, sender_id = draft.access.link.connection_id, draft.sender.user_id
        here = [each for each in self.messages if each["connection_id"] == connection_id]
        for each in here:
            if draft.client_message_id and each["key"] == (sender_id, draft.client_message_id):
                if each["content"] != draft.content:
                    raise Conflict("This message id was used for other words. Nothing was stored.")
                return each
        if self.links[connection_id].status is not ConnectionStatus.ACTIVE:
            raise NotPermitted("This connection has ended.")
        kept = {
            "id": uuid4(),
            "connection_id": connection_id,
            "seq": len(here) + 1,
            "sender_id": sender_id,
            "content": draft.content,
            "key": (sender_id, draft.client_message_id),
            "is_read": False,
            "read_at": None,
            "delivered_at": None,
            "created_at": datetime.now(UTC),
        }
        self.messages.append(kept)
        self.notices.append({"user_id": draft.recipient_id, "message_id": kept["id"]})
        return kept

    async def page(self, connection_id, *, limit, cursor):
        if cursor is not None and not cursor.isdecimal():
            raise BadInput("This cursor is not one of ours. Start again without it.")
        before = 2**62 if cursor is None else int(cursor)
        rows = [each for each in self.messages if each["connection_id"] == connection_id and each["seq"] < before]
        shown = rows[-limit:]
        return shown, str(shown[0]["seq"]) if len(rows) > limit else None

    async def mark_read(self, connection_id, reader):
        unread = [
            each
            for each in self.messages
            if each["connection_id"] == connection_id and each["sender_id"] != reader.user_id and not each["is_read"]
        ]
        for each in unread:
            now = datetime.now(UTC)
            each.update(is_read=True, read_at=now, delivered_at=each["delivered_at"] or now)
        return len(unread)

    async def delivered(self, connection_id, reader, seq):
        waiting = [
            each
            for each in self.messages
            if each["connection_id"] == connection_id and each["sender_id"] != reader.user_id
            and each["seq"] <= seq and each["delivered_at"] is None and not each["is_read"]
        ]  # fmt: skip
        for each in waiting:
            each.update(delivered_at=datetime.now(UTC))
        return len(waiting)

    async def unread(self, reader):
        doctor_id = reader.doctor_id if reader.doctor_is_verified else None
        mine = {
            link.connection_id
            for link in self.links.values()
            if link.status is ConnectionStatus.ACTIVE
            and (link.patient_id == (reader.patient_id or 0) or link.doctor_id == (doctor_id or 0))
        }
        return sum(
            each["connection_id"] in mine and each["sender_id"] != reader.user_id and not each["is_read"]
            for each in self.messages
        )

    def end(self, connection_id, status=ConnectionStatus.DISCONNECTED):
        self.links[connection_id] = replace(self.links[connection_id], status=status)
