-- What people may ask of us about their data: erasure that leaves nothing, a hold that keeps what a court wants kept,
-- and an end of keeping. The service's role can delete none of this itself; it is granted the one bounded verb below.

CREATE TABLE legal_holds (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient_id     uuid NOT NULL REFERENCES patients (id),
    reason         text NOT NULL CHECK (length(reason) BETWEEN 3 AND 500),
    set_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    lifted_at      timestamptz,
    lifted_reason  text,
    CHECK ((lifted_at IS NULL) = (lifted_reason IS NULL))
);
CREATE UNIQUE INDEX legal_holds_standing ON legal_holds (patient_id) WHERE lifted_at IS NULL;
CREATE INDEX legal_holds_of_patient ON legal_holds (patient_id);

-- Who asked to be forgotten; an operator decides, for the law may want some of it kept.
CREATE TABLE erasure_requests (
    patient_id  uuid PRIMARY KEY REFERENCES patients (id),
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT ON erasure_requests TO anamnesis_app;

-- What was erased, by id alone, so that a later take-over of the replaced system's data does not bring it back.
CREATE TABLE erased_ids (
    id         uuid PRIMARY KEY,
    erased_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Files whose rows are gone and whose bytes have yet to go; the name of a blob is its random id.
CREATE TABLE erased_files (
    file_id    uuid PRIMARY KEY,
    erased_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, DELETE ON erased_files TO anamnesis_app;

-- Every lowering of an urgency with its reason, which is a doctor's words about a patient: it stands here and not in the
-- audit trail, so that it goes when the case does.
CREATE TABLE lowerings (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id  uuid NOT NULL REFERENCES intake_sessions (id),
    lowered_by  uuid NOT NULL REFERENCES users (id),
    lowered_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason      text NOT NULL
);
CREATE INDEX lowerings_of_session ON lowerings (session_id, id);
GRANT SELECT, INSERT ON lowerings TO anamnesis_app;

-- Deleting ten thousand lines looks up the replies of each.
CREATE INDEX chat_messages_replies ON chat_messages (reply_to) WHERE reply_to IS NOT NULL;

-- Rows of whatever table refers to these: one that is added later is not forgotten.
CREATE FUNCTION erase_references(parent regclass, ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    child record;
BEGIN
    FOR child IN
        SELECT k.conrelid::regclass AS name, a.attname AS reference
        FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
        WHERE k.contype = 'f' AND k.confrelid = parent AND cardinality(k.conkey) = 1
    LOOP
        EXECUTE format('DELETE FROM %s WHERE %I = ANY ($1)', child.name, child.reference) USING ids;
    END LOOP;
END $$;

-- Everything of these sessions, and its traces among jobs, notices, the ledger of calls and of the take-over.
CREATE FUNCTION erase_sessions(wanted uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    aside text;
BEGIN
    PERFORM id FROM intake_sessions WHERE id = ANY (wanted) ORDER BY id FOR UPDATE;
    INSERT INTO erased_ids (id) SELECT unnest(wanted) ON CONFLICT DO NOTHING;
    INSERT INTO erased_ids (id)
    SELECT source_key::uuid FROM imported_rows
    WHERE our_table = 'intake_sessions' AND our_key <> source_key AND our_key::uuid = ANY (wanted)
    ON CONFLICT DO NOTHING;
    UPDATE imported_rows i SET fingerprint = NULL
    WHERE i.fingerprint IS NOT NULL AND (
        (i.our_table = 'intake_sessions' AND i.our_key::uuid = ANY (wanted))
        OR (i.our_table = 'chat_messages' AND i.our_key IN
            (SELECT m.id::text FROM chat_messages m WHERE m.session_id = ANY (wanted)))
        OR (i.our_table = 'clinician_notes' AND i.our_key IN
            (SELECT n.id::text FROM clinician_notes n WHERE n.session_id = ANY (wanted))));
    -- What the take-over kept aside of single lines stands under their keys.
    FOREACH aside IN ARRAY ARRAY['legacy_chat_messages', 'legacy_clinician_notes'] LOOP
        IF to_regclass(aside) IS NOT NULL THEN
            EXECUTE format('DELETE FROM %I WHERE key IN (
                SELECT id::text FROM chat_messages WHERE session_id = ANY ($1)
                UNION ALL SELECT id::text FROM clinician_notes WHERE session_id = ANY ($1))', aside) USING wanted;
        END IF;
    END LOOP;
    INSERT INTO erased_files (file_id) SELECT id FROM files WHERE session_id = ANY (wanted) ON CONFLICT DO NOTHING;
    DELETE FROM files WHERE session_id = ANY (wanted);
    DELETE FROM lowerings WHERE session_id = ANY (wanted);
    DELETE FROM clinician_notes WHERE session_id = ANY (wanted);
    DELETE FROM chat_messages WHERE session_id = ANY (wanted);
    UPDATE model_calls SET session_id = NULL WHERE session_id = ANY (wanted);
    DELETE FROM jobs WHERE subject = ANY (wanted);
    DELETE FROM notifications n USING intake_sessions s JOIN connections c ON c.id = s.connection_id
        JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
    WHERE s.id = ANY (wanted) AND n.user_id IN (p.user_id, d.user_id) AND n.data->>'sessionId' = s.id::text;
    PERFORM erase_references('intake_sessions', wanted);
    DELETE FROM intake_sessions WHERE id = ANY (wanted);
    PERFORM erase_aside('{}', ARRAY(SELECT unnest(wanted)::text));
END $$;

-- Rows of the replaced system that were copied whole, under these keys or naming one of these words, and what in turn
-- names those rows.
CREATE FUNCTION erase_aside(keys_ text[], words text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    aside  text;
    keys   text[];
    found  text[];
BEGIN
    LOOP
        found := '{}';
        FOR aside IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema AND tablename LIKE 'legacy\_%' LOOP
            EXECUTE format('WITH gone AS (
                DELETE FROM %I t WHERE t.key = ANY ($1 || $2)
                    OR EXISTS (SELECT FROM unnest($2) AS word WHERE position(word IN t.row::text) > 0)
                RETURNING t.key) SELECT coalesce(array_agg(key), ''{}'') FROM gone', aside) INTO keys USING keys_, words;
            found := found || keys;
        END LOOP;
        -- Only what looks like an id can be meant by another row.
        words := ARRAY(SELECT key FROM unnest(found) AS key WHERE key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
        keys_ := '{}';
        EXIT WHEN cardinality(words) = 0;
    END LOOP;
END $$;

-- Everything of a patient. The audit trail stays: it says who did what to which id, and holds no content. An account
-- that is somebody else as well, a doctor or an operator, is kept without its patient. Who calls it speaks for the
-- service's own work (anamnesis.purpose), or finds no such patient.
CREATE FUNCTION erase_patient(wanted uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    person    users%ROWTYPE;
    links     uuid[];
    doctors_  uuid[];
    sessions  uuid[];
    keys      text[];
    words     text[];
    is_other  boolean;
BEGIN
    SELECT u.* INTO person FROM patients p JOIN users u ON u.id = p.user_id WHERE p.id = wanted FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM legal_holds WHERE patient_id = wanted AND lifted_at IS NULL) THEN
        RAISE EXCEPTION 'a patient under a legal hold is not erased' USING ERRCODE = 'check_violation';
    END IF;
    links := ARRAY(SELECT id FROM connections WHERE patient_id = wanted ORDER BY id FOR UPDATE);
    sessions := ARRAY(SELECT id FROM intake_sessions WHERE connection_id = ANY (links));
    doctors_ := ARRAY(SELECT d.user_id FROM connections c JOIN doctors d ON d.id = c.doctor_id WHERE c.id = ANY (links));
    is_other := person.primary_role <> 'patient' OR EXISTS (SELECT FROM doctors WHERE user_id = person.id)
        OR EXISTS (SELECT FROM doctors WHERE verified_by = person.id)
        OR EXISTS (SELECT FROM intake_sessions WHERE reviewed_by = person.id OR lowered_by = person.id);

    PERFORM erase_sessions(sessions);
    INSERT INTO erased_ids (id) SELECT unnest(links || wanted) ON CONFLICT DO NOTHING;
    INSERT INTO erased_ids (id)
    SELECT source_key::uuid FROM imported_rows
    WHERE our_key <> source_key AND ((our_table = 'connections' AND our_key::uuid = ANY (links))
        OR (our_table = 'patients' AND our_key = wanted::text)
        OR (our_table = 'users' AND our_key = person.id::text AND NOT is_other))
    ON CONFLICT DO NOTHING;
    UPDATE imported_rows SET fingerprint = NULL
    WHERE fingerprint IS NOT NULL AND (
        (our_table = 'connections' AND our_key::uuid = ANY (links)) OR (our_table = 'patients' AND our_key = wanted::text)
        OR (our_table = 'users' AND our_key = person.id::text AND NOT is_other)
        OR (our_table = 'direct_messages' AND our_key IN
            (SELECT m.id::text FROM direct_messages m WHERE m.connection_id = ANY (links))));

    words := ARRAY(SELECT unnest(links || wanted)::text);
    keys := ARRAY(SELECT m.id::text FROM direct_messages m WHERE m.connection_id = ANY (links));
    DELETE FROM direct_messages WHERE connection_id = ANY (links);
    DELETE FROM jobs WHERE subject = ANY (links || wanted);
    -- Notices to the doctors that name the patient, by id or, as the replaced system wrote them, by name.
    DELETE FROM notifications n
    WHERE n.user_id = ANY (doctors_) AND (
        EXISTS (SELECT FROM unnest(links || sessions || wanted || person.id) AS word
                WHERE position(word::text IN n.data::text) > 0)
        OR (person.first_name <> '' AND person.last_name <> ''
            AND position(person.first_name || ' ' || person.last_name IN n.title || ' ' || n.message || ' ' || coalesce(n.data::text, '')) > 0));
    DELETE FROM consents WHERE user_id = person.id;
    PERFORM erase_references('connections', links);
    DELETE FROM connections WHERE id = ANY (links);
    DELETE FROM erasure_requests WHERE patient_id = wanted;
    DELETE FROM legal_holds WHERE patient_id = wanted;
    PERFORM erase_references('patients', ARRAY[wanted]);
    DELETE FROM patients WHERE id = wanted;

    IF NOT is_other THEN
        words := words || person.id::text || to_jsonb(person.clerk_id)::text;
        IF person.email <> '' AND NOT EXISTS (SELECT FROM users WHERE email = person.email AND id <> person.id) THEN
            words := words || to_jsonb(person.email)::text;
        END IF;
        DELETE FROM notifications WHERE user_id = person.id;
        DELETE FROM rate_windows WHERE starts_with(key, person.clerk_id || ':');
        keys := keys || ARRAY(
            SELECT i.source_key FROM audit_logs a JOIN imported_rows i ON i.our_table = 'audit_logs' AND i.our_key = a.id::text
            WHERE a.user_id = person.id);
        INSERT INTO erased_ids (id) VALUES (person.id) ON CONFLICT DO NOTHING;
        DELETE FROM users WHERE id = person.id;
    END IF;
    PERFORM erase_aside(keys, words);
    RETURN true;
END $$;

-- The end of keeping: what nobody has touched for so many days, a piece at a time, the oldest first. Answers how many
-- pieces went. Nobody can use it to reach what is younger than a month, nor what is held.
CREATE FUNCTION purge_expired(days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    asked_for text := current_setting('anamnesis.purpose', true);
    before   timestamptz := clock_timestamp() - make_interval(days => days);
    gone     uuid[];
    idle     uuid;
    lines    integer;
    counted  integer := 0;
BEGIN
    IF days < 30 THEN
        RAISE EXCEPTION 'records are kept for a month at least' USING ERRCODE = 'check_violation';
    END IF;
    PERFORM set_config('anamnesis.purpose', 'jobs', true);
    gone := ARRAY(
        SELECT s.id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
        WHERE greatest(s.updated_at, s.last_patient_at, s.seen_at, s.reviewed_at) < before
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = c.patient_id AND h.lifted_at IS NULL)
          AND NOT EXISTS (SELECT FROM clinician_notes n WHERE n.session_id = s.id AND n.created_at >= before)
          AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.session_id = s.id AND m.created_at >= before)
        ORDER BY s.updated_at LIMIT most FOR UPDATE OF s SKIP LOCKED);
    IF cardinality(gone) > 0 THEN
        INSERT INTO audit_logs (action, resource_type, resource_id)
        SELECT 'intake_session_purged', 'intake_session', id::text FROM unnest(gone) AS id;
        PERFORM erase_sessions(gone);
        counted := counted + cardinality(gone);
    END IF;

    gone := ARRAY(
        SELECT m.id FROM direct_messages m JOIN connections c ON c.id = m.connection_id
        WHERE m.created_at < before
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = c.patient_id AND h.lifted_at IS NULL)
        ORDER BY m.created_at LIMIT 100 * most FOR UPDATE OF m SKIP LOCKED);
    IF cardinality(gone) > 0 THEN
        UPDATE imported_rows SET fingerprint = NULL
        WHERE our_table = 'direct_messages' AND fingerprint IS NOT NULL AND our_key = ANY (ARRAY(SELECT unnest(gone)::text));
        DELETE FROM direct_messages WHERE id = ANY (gone);
        PERFORM erase_aside(ARRAY(SELECT unnest(gone)::text), '{}');
        counted := counted + cardinality(gone);
    END IF;
    DELETE FROM notifications WHERE ctid = ANY (ARRAY(
        SELECT n.ctid FROM notifications n WHERE n.created_at < before
          AND NOT EXISTS (SELECT FROM patients p JOIN legal_holds h ON h.patient_id = p.id AND h.lifted_at IS NULL
                          WHERE p.user_id = n.user_id)
        LIMIT 100 * most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS lines = ROW_COUNT;
    counted := counted + lines;

    -- Somebody of whom nothing is left but the account.
    FOR idle IN
        SELECT p.id FROM patients p JOIN users u ON u.id = p.user_id
        WHERE p.updated_at < before AND u.updated_at < before AND u.primary_role = 'patient'
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = p.id AND h.lifted_at IS NULL)
          AND NOT EXISTS (SELECT FROM connections c WHERE c.patient_id = p.id AND (
                c.created_at >= before OR c.disconnected_at >= before
                OR EXISTS (SELECT FROM intake_sessions s WHERE s.connection_id = c.id)
                OR EXISTS (SELECT FROM direct_messages m WHERE m.connection_id = c.id)))
          AND NOT EXISTS (SELECT FROM doctors d WHERE d.user_id = u.id)
          AND NOT EXISTS (SELECT FROM consents k WHERE k.user_id = u.id AND k.given_at >= before)
        ORDER BY p.updated_at LIMIT most FOR UPDATE OF p SKIP LOCKED
    LOOP
        INSERT INTO audit_logs (action, resource_type, resource_id) VALUES ('patient_purged', 'patient', idle::text);
        PERFORM erase_patient(idle);
        counted := counted + 1;
    END LOOP;
    PERFORM set_config('anamnesis.purpose', coalesce(asked_for, ''), true);
    RETURN counted;
END $$;

REVOKE EXECUTE ON FUNCTION erase_references(regclass, uuid[]), erase_sessions(uuid[]), erase_aside(text[], text[]), erase_patient(uuid), purge_expired(integer, integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_expired(integer, integer) TO anamnesis_app;
