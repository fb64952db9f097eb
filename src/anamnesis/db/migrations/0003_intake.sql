-- The interview: sessions, their transcript, clinicians' own notes.

CREATE TYPE intake_status AS ENUM ('not_started', 'in_progress', 'ready', 'reviewed');

CREATE TABLE intake_sessions (
    id                     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    connection_id          uuid NOT NULL REFERENCES connections (id),
    name                   text,
    status                 intake_status NOT NULL DEFAULT 'not_started',
    record                 jsonb NOT NULL DEFAULT '{}',
    medical_data           jsonb NOT NULL DEFAULT '{}',  -- what the replaced system had stored and we do not compute
    clinical_handover      jsonb,
    doctor_thought         jsonb,
    acuity                 smallint NOT NULL DEFAULT 0 CHECK (acuity BETWEEN 0 AND 2),
    completeness           smallint NOT NULL DEFAULT 0 CHECK (completeness BETWEEN 0 AND 100),
    current_agent          text NOT NULL DEFAULT 'VitalsTriageAgent',
    consecutive_errors     integer NOT NULL DEFAULT 0,
    ai_message_count       integer NOT NULL DEFAULT 0,
    termination_reason     text,
    epoch                  integer NOT NULL DEFAULT 1,
    next_seq               bigint NOT NULL DEFAULT 1,
    version                bigint NOT NULL DEFAULT 1,
    last_patient_at        timestamptz,
    started_at             timestamptz,
    completed_at           timestamptz,
    reviewed_at            timestamptz,
    reviewed_by            uuid REFERENCES users (id),
    archived_at            timestamptz,
    created_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (status NOT IN ('ready', 'reviewed') OR clinical_handover IS NOT NULL)
);
CREATE INDEX intake_sessions_of_connection ON intake_sessions (connection_id, updated_at DESC) WHERE archived_at IS NULL;

CREATE TABLE chat_messages (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id         uuid NOT NULL REFERENCES intake_sessions (id),
    epoch              integer NOT NULL DEFAULT 1,
    seq                bigint NOT NULL,
    role               text NOT NULL CHECK (role IN ('user', 'model')),
    sender_id          uuid REFERENCES users (id),
    content            text NOT NULL,
    images             jsonb,
    active_agent       text,
    choices            jsonb,
    is_emergency       boolean NOT NULL DEFAULT false,
    client_message_id  uuid,
    reply_to           uuid REFERENCES chat_messages (id),
    superseded_at      timestamptz,
    turn_state         text CHECK (turn_state IN ('waiting', 'answered_ai', 'answered_fallback', 'answered_fixed')),
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (session_id, seq),
    CHECK ((role = 'user') = (turn_state IS NOT NULL))
);
CREATE UNIQUE INDEX chat_messages_client_id ON chat_messages (session_id, sender_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
-- One message has one current reply, whoever crashed and however many workers ran.
CREATE UNIQUE INDEX chat_messages_one_reply ON chat_messages (reply_to) WHERE reply_to IS NOT NULL AND superseded_at IS NULL;
CREATE INDEX chat_messages_waiting ON chat_messages (session_id, seq) WHERE turn_state = 'waiting';

CREATE TABLE clinician_notes (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id         uuid NOT NULL REFERENCES intake_sessions (id),
    author_id          uuid NOT NULL REFERENCES users (id),
    content            text NOT NULL,
    client_message_id  uuid,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX clinician_notes_client_id ON clinician_notes (session_id, author_id, client_message_id)
    WHERE client_message_id IS NOT NULL;
CREATE INDEX clinician_notes_of_session ON clinician_notes (session_id, created_at);

CREATE FUNCTION intake_status_only_goes_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status AND NEW.epoch = OLD.epoch THEN
        RAISE EXCEPTION 'an intake session does not go back' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status = 'reviewed' AND OLD.status NOT IN ('ready', 'reviewed') THEN
        RAISE EXCEPTION 'only a ready session can be reviewed' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.acuity < OLD.acuity AND NEW.epoch = OLD.epoch THEN
        RAISE EXCEPTION 'urgency only rises' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER intake_status_forward BEFORE UPDATE ON intake_sessions
    FOR EACH ROW EXECUTE FUNCTION intake_status_only_goes_forward();

CREATE FUNCTION patients_words_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.content IS DISTINCT FROM OLD.content OR NEW.seq <> OLD.seq OR NEW.session_id <> OLD.session_id THEN
        RAISE EXCEPTION 'what was said stays as it was said' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER chat_messages_stay BEFORE UPDATE ON chat_messages
    FOR EACH ROW EXECUTE FUNCTION patients_words_stay();

GRANT SELECT, INSERT, UPDATE ON intake_sessions, chat_messages TO anamnesis_app;
GRANT SELECT, INSERT ON clinician_notes TO anamnesis_app;
