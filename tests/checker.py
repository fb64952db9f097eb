"""Looks at a whole database and says what is not as promised: the invariants of durability, order and one reply.

``broken`` looks at the rows alone; given what clients were told, it also judges the promises made to them.
"""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from anamnesis.db.encryption import CHAT, DIRECT
from build import KEYRING


@dataclass(frozen=True)
class Told:
    """One send and what the client knows of it: the ids of its answer, or that no answer came."""

    key: UUID
    content: str
    acked: bool = True
    message_id: UUID | None = None
    reply_id: UUID | None = None


QUERIES = {
    "a message's place is dense from 1 and unique (I13)": """
        SELECT session_id FROM chat_messages GROUP BY session_id
        HAVING min(seq) <> 1 OR max(seq) <> count(*) OR count(DISTINCT seq) <> count(*)""",
    "the next place is one more than the last (I10)": """
        SELECT s.id FROM intake_sessions s JOIN chat_messages m ON m.session_id = s.id
        GROUP BY s.id, s.next_seq HAVING s.next_seq <> max(m.seq) + 1""",
    "one client id is one message (I3)": """
        SELECT client_message_id FROM chat_messages WHERE client_message_id IS NOT NULL
        GROUP BY session_id, sender_id, client_message_id HAVING count(*) > 1""",
    "one message has at most one current reply (I8)": """
        SELECT reply_to FROM chat_messages WHERE reply_to IS NOT NULL AND superseded_at IS NULL
        GROUP BY reply_to HAVING count(*) > 1""",
    "a reply stands after its message, in the same session (I14)": """
        SELECT r.id FROM chat_messages r JOIN chat_messages m ON m.id = r.reply_to
        WHERE r.seq <= m.seq OR r.session_id <> m.session_id""",
    "an answered message has its reply, a waiting one has none (I7)": """
        SELECT m.id FROM chat_messages m LEFT JOIN chat_messages r ON r.reply_to = m.id AND r.superseded_at IS NULL
        WHERE m.role = 'user' AND (m.turn_state = 'waiting') = (r.id IS NOT NULL)""",
    "a waiting message has an open job (I7)": """
        SELECT m.id FROM chat_messages m WHERE m.turn_state = 'waiting' AND NOT EXISTS (
            SELECT 1 FROM jobs j WHERE j.kind = 'take_turn' AND j.subject = m.session_id
            AND j.state IN ('queued', 'running'))""",
    "a ready session has its hand-over (I11)": """
        SELECT id FROM intake_sessions WHERE status IN ('ready', 'reviewed') AND clinical_handover IS NULL""",
    "the counter of replies equals a recount of the present conversation (I10)": """
        SELECT s.id FROM intake_sessions s LEFT JOIN chat_messages m
        ON m.session_id = s.id AND m.epoch = s.epoch AND m.role = 'model' AND m.reply_to IS NOT NULL
        AND m.superseded_at IS NULL AND m.active_agent IS NOT NULL
        GROUP BY s.id, s.ai_message_count HAVING s.ai_message_count <> count(m.id)""",
    "a status has its times and no others (I31)": """
        SELECT id FROM intake_sessions WHERE (status IN ('ready', 'reviewed')) <> (completed_at IS NOT NULL)
        OR (status = 'reviewed') <> (reviewed_at IS NOT NULL) OR (status = 'reviewed') <> (reviewed_by IS NOT NULL)""",
    "an emergency has its alert (I11)": """
        SELECT s.id FROM intake_sessions s WHERE s.acuity = 2 AND NOT EXISTS (
            SELECT 1 FROM jobs j WHERE j.kind = 'alert_clinician' AND j.subject = s.id)""",
    "a ready session is or will be announced (I11)": """
        SELECT s.id FROM intake_sessions s WHERE s.status IN ('ready', 'reviewed') AND NOT EXISTS (
            SELECT 1 FROM jobs j WHERE j.kind = 'announce_handover' AND j.subject = s.id)""",
    "a direct message's place is dense from 1 and unique (I13)": """
        SELECT connection_id FROM direct_messages GROUP BY connection_id
        HAVING min(seq) <> 1 OR max(seq) <> count(*) OR count(DISTINCT seq) <> count(*)""",
    "the next place of a conversation is one more than the last (I10)": """
        SELECT c.id FROM connections c LEFT JOIN direct_messages m ON m.connection_id = c.id
        GROUP BY c.id, c.next_message_seq HAVING c.next_message_seq <> coalesce(max(m.seq), 0) + 1""",
    "one client id is one direct message (I3)": """
        SELECT client_message_id FROM direct_messages WHERE client_message_id IS NOT NULL
        GROUP BY connection_id, sender_id, client_message_id HAVING count(*) > 1""",
    "a direct message is of one of the two people (I26)": """
        SELECT m.id FROM direct_messages m JOIN connections c ON c.id = m.connection_id
        JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
        WHERE m.sender_id NOT IN (p.user_id, d.user_id)""",
    "a direct message has exactly one notice, for the other one, without its words (I11, I32)": """
        SELECT m.id FROM direct_messages m JOIN connections c ON c.id = m.connection_id
        JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
        LEFT JOIN notifications n ON n.type = 'message' AND n.data->>'messageId' = m.id::text
        GROUP BY m.id, m.sender_id, m.content, p.user_id, d.user_id
        HAVING count(n.id) <> 1 OR bool_or(n.user_id = m.sender_id)
            OR bool_or(n.user_id NOT IN (p.user_id, d.user_id)) OR bool_or(coalesce(n.data->>'preview', '') <> '')""",
}

#: Every stored client id, of both kinds of message, with its current reply.
_STORED = """
SELECT m.client_message_id AS key, m.id, m.session_id, NULL AS connection_id, m.content, r.id AS reply_id
FROM chat_messages m
LEFT JOIN chat_messages r ON r.reply_to = m.id AND r.superseded_at IS NULL WHERE m.client_message_id IS NOT NULL
UNION ALL
SELECT client_message_id, id, NULL, connection_id, content, NULL FROM direct_messages
WHERE client_message_id IS NOT NULL"""

_WAITING = "SELECT id FROM chat_messages WHERE turn_state = 'waiting'"
_LEFT_OVER = "SELECT id FROM jobs WHERE state <> 'done'"


async def broken(connection, *, history=(), at_rest=False):
    """The invariants that do not hold, by name. at_rest: workers had time enough, nothing may wait any more."""
    found = [name for name, query in QUERIES.items() if await connection.fetch(query)]
    if at_rest and await connection.fetch(_WAITING):
        found.append("a message has no reply (I7)")
    if at_rest and await connection.fetch(_LEFT_OVER):
        found.append("a job is left over (I7)")
    stored = defaultdict(list)
    for row in await connection.fetch(_STORED):
        stored[row["key"]].append(KEYRING.opened(DIRECT if row["session_id"] is None else CHAT, row))
    judged = (_promise(told, stored[told.key]) for told in history)
    return found + [problem for problem in judged if problem]


def _promise(told, kept):
    if told.acked and len(kept) != 1:
        return f"an acknowledged message is stored {len(kept)} times (I1)"
    if len(kept) > 1:
        return "a message that was not acknowledged is stored twice (I2)"
    if kept and kept[0]["content"] != told.content:
        return "a message was stored with other words (I4)"
    if told.message_id is not None and kept[0]["id"] != told.message_id:
        return "a client was told another id than the stored one (I9)"
    if told.reply_id is not None and kept[0]["reply_id"] != told.reply_id:
        return "a client was told another reply than the stored one (I3)"
    return None
