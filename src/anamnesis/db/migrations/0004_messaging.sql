-- Direct messages between the two people of a connection, in an order nobody can dispute.

ALTER TABLE connections ADD COLUMN next_message_seq bigint NOT NULL DEFAULT 1;

CREATE TABLE direct_messages (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    connection_id      uuid NOT NULL REFERENCES connections (id),
    seq                bigint NOT NULL,
    sender_id          uuid NOT NULL REFERENCES users (id),
    content            text NOT NULL,
    client_message_id  uuid,
    is_read            boolean NOT NULL DEFAULT false,
    read_at            timestamptz,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (connection_id, seq)
);
CREATE UNIQUE INDEX direct_messages_client_id ON direct_messages (connection_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
CREATE INDEX direct_messages_unread ON direct_messages (connection_id, sender_id) WHERE NOT is_read;

GRANT SELECT, INSERT, UPDATE ON direct_messages TO anamnesis_app;
