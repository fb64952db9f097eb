-- When a direct message reached the other side, beside when it was read; and when somebody was last reminded of a
-- conversation with words that wait for them.

ALTER TABLE direct_messages ADD COLUMN delivered_at timestamptz;
CREATE INDEX direct_messages_undelivered ON direct_messages (connection_id, seq) WHERE delivered_at IS NULL AND NOT is_read;
-- Whoever waits to be reminded of is found by time, however many messages were read before.
CREATE INDEX direct_messages_waiting ON direct_messages (created_at) WHERE NOT is_read;

CREATE TABLE message_reminders (
    connection_id  uuid NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    user_id        uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    reminded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (connection_id, user_id)
);
CREATE INDEX message_reminders_of_user ON message_reminders (user_id);
GRANT SELECT, INSERT, UPDATE ON message_reminders TO anamnesis_app;
