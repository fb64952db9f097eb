-- Photos and documents of a case. The bytes lie elsewhere, under the row's id; a row is seen when all of them do.

CREATE TABLE files (
    id           uuid PRIMARY KEY,
    session_id   uuid NOT NULL REFERENCES intake_sessions (id),
    uploader_id  uuid NOT NULL REFERENCES users (id),
    file_name    text NOT NULL CHECK (length(file_name) BETWEEN 1 AND 255),
    file_type    text NOT NULL CHECK (file_type IN ('image/jpeg', 'application/pdf')),
    file_size    bigint NOT NULL CHECK (file_size > 0),
    digest       bytea NOT NULL CHECK (length(digest) = 32),  -- of what was sent: sent again, it is the same file
    width        integer,
    height       integer,
    state        text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'ready')),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    ready_at     timestamptz,
    CHECK ((state = 'ready') = (ready_at IS NOT NULL))
);
CREATE INDEX files_of_session ON files (session_id, created_at);
CREATE INDEX files_pending ON files (created_at) WHERE state = 'pending';

GRANT SELECT, INSERT, UPDATE, DELETE ON files TO anamnesis_app;
