-- Whoever reads or clears their notices while a patient is erased locks several of them at once, and so does the
-- erasure, in two places. All take them in one order now, by id, and the erasure takes all it will delete before it
-- deletes the first; messages come before notices, as they do when a conversation is read. Otherwise the two waited
-- for each other, and the database ended one of them. Nothing else of the function is new.

-- Whether a notice to a doctor tells of this patient: by an id, each given as a pattern, or, as the replaced system wrote
-- them, by name.
CREATE FUNCTION is_notice_of(notice notifications, patient users, ids text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(notice.data::text LIKE ANY (ids), false)
        OR (patient.first_name <> '' AND patient.last_name <> ''
            AND position(patient.first_name || ' ' || patient.last_name
                IN notice.title || ' ' || notice.message || ' ' || coalesce(notice.data::text, '')) > 0)
$$;

-- Everything of a patient. The audit trail stays: it says who did what to which id, and holds no content. An account
-- that is somebody else as well, a doctor or an operator, is kept without its patient. Who calls it speaks for the
-- service's own work (anamnesis.purpose), or finds no such patient.
CREATE OR REPLACE FUNCTION erase_patient(wanted uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    person    users%ROWTYPE;
    links     uuid[];
    doctors_  uuid[];
    sessions  uuid[];
    ids       text[];
    keys      text[];
    words     text[];
    is_other  boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM patients WHERE id = wanted) THEN
        RETURN false;
    END IF;
    PERFORM s.id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
    WHERE c.patient_id = wanted ORDER BY s.id FOR UPDATE OF s;
    links := ARRAY(SELECT id FROM connections WHERE patient_id = wanted ORDER BY id FOR UPDATE);
    SELECT u.* INTO person FROM patients p JOIN users u ON u.id = p.user_id WHERE p.id = wanted FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM legal_holds WHERE patient_id = wanted AND lifted_at IS NULL) THEN
        RAISE EXCEPTION 'a patient under a legal hold is not erased' USING ERRCODE = 'check_violation';
    END IF;
    sessions := ARRAY(SELECT id FROM intake_sessions WHERE connection_id = ANY (links));
    doctors_ := ARRAY(SELECT d.user_id FROM connections c JOIN doctors d ON d.id = c.doctor_id WHERE c.id = ANY (links));
    is_other := person.primary_role <> 'patient' OR EXISTS (SELECT FROM doctors WHERE user_id = person.id)
        OR EXISTS (SELECT FROM doctors WHERE verified_by = person.id)
        OR EXISTS (SELECT FROM intake_sessions WHERE reviewed_by = person.id OR lowered_by = person.id);

    ids := ARRAY(SELECT '%' || id || '%' FROM unnest(links || sessions || wanted || person.id) AS id);
    PERFORM id FROM direct_messages WHERE connection_id = ANY (links) ORDER BY connection_id, seq FOR UPDATE;
    PERFORM n.id FROM notifications n
    WHERE n.user_id = person.id
        OR n.user_id = ANY (doctors_) AND is_notice_of(n, person, ids)
    ORDER BY n.id FOR UPDATE;

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

    -- What was copied beside our tables names the rows as the replaced system did: of somebody who came to us first,
    -- not as we do.
    words := ARRAY(
        SELECT unnest(links || wanted)::text
        UNION SELECT source_key FROM imported_rows
        WHERE (our_table = 'connections' AND our_key = ANY (links::text[])) OR (our_table = 'patients' AND our_key = wanted::text)
            OR (our_table = 'users' AND our_key = person.id::text AND NOT is_other));
    keys := ARRAY(SELECT m.id::text FROM direct_messages m WHERE m.connection_id = ANY (links));
    DELETE FROM direct_messages WHERE connection_id = ANY (links);
    DELETE FROM jobs WHERE subject = ANY (links || wanted);
    DELETE FROM notifications n
    WHERE n.user_id = ANY (doctors_) AND is_notice_of(n, person, ids);
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
