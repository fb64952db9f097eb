"""Looks at a whole database and says what is not as promised: the invariants of durability, order and one reply."""

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
        SELECT m.id FROM chat_messages m LEFT JOIN chat_messages r ON r.reply_to = m.id
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
        AND m.active_agent IS NOT NULL GROUP BY s.id, s.ai_message_count HAVING s.ai_message_count <> count(m.id)""",
    "a direct message's place is dense from 1 and unique (I13)": """
        SELECT connection_id FROM direct_messages GROUP BY connection_id
        HAVING min(seq) <> 1 OR max(seq) <> count(*) OR count(DISTINCT seq) <> count(*)""",
    "the next place of a conversation is one more than the last (I10)": """
        SELECT c.id FROM connections c LEFT JOIN direct_messages m ON m.connection_id = c.id
        GROUP BY c.id, c.next_message_seq HAVING c.next_message_seq <> coalesce(max(m.seq), 0) + 1""",
    "one client id is one direct message (I3)": """
        SELECT client_message_id FROM direct_messages WHERE client_message_id IS NOT NULL
        GROUP BY connection_id, sender_id, client_message_id HAVING count(*) > 1""",
    "a direct message has its notification (I11)": """
        SELECT m.id FROM direct_messages m WHERE NOT EXISTS (
            SELECT 1 FROM notifications n WHERE n.type = 'message' AND n.data->>'messageId' = m.id::text)""",
}


async def broken(connection):
    """The invariants that do not hold, by name."""
    return [name for name, query in QUERIES.items() if await connection.fetch(query)]
