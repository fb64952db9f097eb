-- What is told to the operator's other systems: that something happened, by ids alone, and how telling it went. Both go
-- with what they are about.

CREATE TABLE webhook_events (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    kind           text NOT NULL CHECK (kind IN ('intake.ready', 'intake.emergency', 'message.created')),
    connection_id  uuid NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    session_id     uuid REFERENCES intake_sessions (id) ON DELETE CASCADE,
    message_id     uuid REFERENCES direct_messages (id) ON DELETE CASCADE,
    occurred_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    replayed_at    timestamptz  -- told anew since then: what was delivered before does not count
);
CREATE INDEX webhook_events_of_connection ON webhook_events (connection_id);
CREATE INDEX webhook_events_of_session ON webhook_events (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX webhook_events_of_message ON webhook_events (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX webhook_events_by_time ON webhook_events (occurred_at);

CREATE TABLE webhook_deliveries (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id     uuid NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
    target       text NOT NULL,  -- its host and a short hash of its address: a path may hold a secret
    outcome      text NOT NULL,
    status       smallint,
    duration_ms  integer NOT NULL,
    tried_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (event_id, id);

GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_events TO anamnesis_app;
GRANT SELECT, INSERT ON webhook_deliveries TO anamnesis_app;
