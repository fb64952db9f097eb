-- How often somebody has called a procedure in the present minute, counted for all processes together. Nothing is lost
-- with it, so it is not logged: counting costs no write to disk, and a crash begins every minute anew.

CREATE UNLOGGED TABLE rate_windows (
    key      text PRIMARY KEY,
    ends_at  timestamptz NOT NULL,
    used     integer NOT NULL
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, UPDATE, DELETE ON rate_windows TO anamnesis_app;
