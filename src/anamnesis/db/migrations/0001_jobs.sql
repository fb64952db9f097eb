-- The outbox: work left for later in the transaction that caused it.

CREATE TABLE jobs (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind             text NOT NULL,
    subject          uuid NOT NULL,
    state            text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'dead')),
    run_after        timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_until      timestamptz,
    attempt          integer NOT NULL DEFAULT 0,
    fence            bigint NOT NULL DEFAULT 0,
    rerun            boolean NOT NULL DEFAULT false,  -- asked for again while it was running
    request_id       text NOT NULL DEFAULT '',
    last_error_type  text,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at      timestamptz
);

-- Two jobs of one kind about one thing are one job, for as long as it is not finished.
CREATE UNIQUE INDEX jobs_open ON jobs (kind, subject) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_due ON jobs (run_after) WHERE state = 'queued';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs (id) WHERE state = 'dead';

GRANT SELECT, INSERT, UPDATE ON jobs TO anamnesis_app;
