-- What people agreed to, word for word by version, and when they took it back. Nothing is overwritten.

CREATE TABLE consents (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users (id),
    purpose       text NOT NULL CHECK (purpose IN ('outside_model')),
    version       text NOT NULL,
    given_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    withdrawn_at  timestamptz
);
-- One consent of a kind stands at a time.
CREATE UNIQUE INDEX consents_standing ON consents (user_id, purpose) WHERE withdrawn_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON consents TO anamnesis_app;
