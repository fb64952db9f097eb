-- What a language model made of a hand-over, beside the note code wrote, which is never replaced. It counts for the very
-- note it was made from: when that one is written anew, this is no longer shown.

CREATE TABLE worded_notes (
    session_id      uuid PRIMARY KEY REFERENCES intake_sessions (id),
    basis           bytea NOT NULL CHECK (octet_length(basis) = 32),  -- note_digest of the note it was made from
    note            jsonb,  -- null: nothing that was proposed held
    differential    jsonb NOT NULL DEFAULT '[]',
    prompt_version  text NOT NULL,
    reworded        smallint NOT NULL,
    dropped         smallint NOT NULL,
    worded_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION note_digest(note jsonb) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT sha256(convert_to(note::text, 'UTF8')) $$;

GRANT SELECT, INSERT, UPDATE ON worded_notes TO anamnesis_app;
