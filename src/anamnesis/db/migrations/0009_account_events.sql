-- What the identity provider tells of accounts: each event once, and an older one never over a newer one.

CREATE TABLE account_events (
    id           text PRIMARY KEY,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE users ADD COLUMN told_at timestamptz;

GRANT SELECT, INSERT, DELETE ON account_events TO anamnesis_app;
