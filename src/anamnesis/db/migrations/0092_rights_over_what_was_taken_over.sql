-- What was taken over from the replaced system is reached by everybody's rights: a patient who came to us before the
-- take-over has rows under other ids here than what was copied beside our tables names, and a notice that expires takes
-- its own words along, which were kept aside. A hold that is being set is waited for by nobody and overrun by nobody.

-- Everything of a patient. The audit trail stays: it says who did what to which id, and holds no content. An account
-- that is somebody else as well, a doctor or an operator, is kept without its patient. Who calls it speaks for the
-- service's own work (anamnesis.purpose), or finds no such patient.
CREATE OR REPLACE FUNCTION erase_patient(wanted uuid) RETURNS boolean LANGUAGE plpgsql AS $$
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
CREATE OR REPLACE FUNCTION purge_expired(days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    asked_for text := current_setting('anamnesis.purpose', true);
    before   timestamptz := clock_timestamp() - make_interval(days => days);
    gone     uuid[];
    idle     uuid;
    kept     text[];
    counted  integer := 0;
BEGIN
    IF days < 30 THEN
        RAISE EXCEPTION 'records are kept for a month at least' USING ERRCODE = 'check_violation';
    END IF;
    PERFORM set_config('anamnesis.purpose', 'jobs', true);
    gone := ARRAY(
        SELECT s.id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id JOIN patients p ON p.id = c.patient_id
        WHERE greatest(s.updated_at, s.last_patient_at, s.seen_at, s.reviewed_at) < before
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = c.patient_id AND h.lifted_at IS NULL)
          AND NOT EXISTS (SELECT FROM clinician_notes n WHERE n.session_id = s.id AND n.created_at >= before)
          AND NOT EXISTS (SELECT FROM chat_messages m WHERE m.session_id = s.id AND m.created_at >= before)
        ORDER BY s.updated_at LIMIT most FOR UPDATE OF s SKIP LOCKED FOR KEY SHARE OF p SKIP LOCKED);
    -- Whoever sets a hold locks the patient: none is being set now, and one that was set meanwhile is seen here.
    gone := ARRAY(
        SELECT s.id FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
        WHERE s.id = ANY (gone)
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = c.patient_id AND h.lifted_at IS NULL));
    IF cardinality(gone) > 0 THEN
        INSERT INTO audit_logs (action, procedure, actor_role, purpose, resource_type, resource_id, patient_ids)
        SELECT 'intake_session_purged', 'upkeep.purge', 'system', 'retention', 'intake_session', s.id::text,
               ARRAY[c.patient_id]
        FROM intake_sessions s JOIN connections c ON c.id = s.connection_id WHERE s.id = ANY (gone);
        PERFORM erase_sessions(gone);
        counted := counted + cardinality(gone);
    END IF;

    gone := ARRAY(
        SELECT m.id FROM direct_messages m JOIN connections c ON c.id = m.connection_id JOIN patients p ON p.id = c.patient_id
        WHERE m.created_at < before
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = c.patient_id AND h.lifted_at IS NULL)
        ORDER BY m.created_at LIMIT 100 * most FOR UPDATE OF m SKIP LOCKED FOR KEY SHARE OF p SKIP LOCKED);
    gone := ARRAY(
        SELECT m.id FROM direct_messages m JOIN connections c ON c.id = m.connection_id
        WHERE m.id = ANY (gone)
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = c.patient_id AND h.lifted_at IS NULL));
    IF cardinality(gone) > 0 THEN
        INSERT INTO audit_logs (action, procedure, actor_role, purpose, resource_type, resource_id, patient_ids, metadata)
        SELECT 'direct_messages_purged', 'upkeep.purge', 'system', 'retention', 'connection', c.id::text,
               ARRAY[c.patient_id], jsonb_build_object('count', count(*))
        FROM direct_messages m JOIN connections c ON c.id = m.connection_id WHERE m.id = ANY (gone)
        GROUP BY c.id, c.patient_id;
        UPDATE imported_rows SET fingerprint = NULL
        WHERE our_table = 'direct_messages' AND fingerprint IS NOT NULL AND our_key = ANY (ARRAY(SELECT unnest(gone)::text));
        DELETE FROM direct_messages WHERE id = ANY (gone);
        PERFORM erase_aside(ARRAY(SELECT unnest(gone)::text), '{}');
        counted := counted + cardinality(gone);
    END IF;
    gone := ARRAY(
        SELECT n.id FROM notifications n WHERE n.created_at < before
          AND NOT EXISTS (SELECT FROM patients p JOIN legal_holds h ON h.patient_id = p.id AND h.lifted_at IS NULL
                          WHERE p.user_id = n.user_id)
        LIMIT 100 * most FOR UPDATE SKIP LOCKED);
    DELETE FROM notifications WHERE id = ANY (gone);
    counted := counted + cardinality(gone);
    -- Its own words, which quote what was said, were kept aside.
    kept := ARRAY(SELECT source_key FROM imported_rows
                  WHERE source_table = 'notifications' AND source_key = ANY (gone::text[]));
    IF cardinality(kept) > 0 THEN
        PERFORM erase_aside(kept, '{}');
    END IF;

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
        INSERT INTO audit_logs (action, procedure, actor_role, purpose, resource_type, resource_id, patient_ids)
        VALUES ('patient_purged', 'upkeep.purge', 'system', 'retention', 'patient', idle::text, ARRAY[idle]);
        PERFORM erase_patient(idle);
        counted := counted + 1;
    END LOOP;
    PERFORM set_config('anamnesis.purpose', coalesce(asked_for, ''), true);
    RETURN counted;
END $$;
