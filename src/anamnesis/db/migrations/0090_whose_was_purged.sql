-- What expires leaves a line that names whose it was, as every other use of health data does, and direct messages leave
-- one too. Nothing else of the function is new.

CREATE OR REPLACE FUNCTION purge_expired(days integer, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
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
        INSERT INTO audit_logs (action, procedure, actor_role, purpose, resource_type, resource_id, patient_ids)
        SELECT 'intake_session_purged', 'upkeep.purge', 'system', 'retention', 'intake_session', s.id::text,
               ARRAY[c.patient_id]
        FROM intake_sessions s JOIN connections c ON c.id = s.connection_id WHERE s.id = ANY (gone);
        PERFORM erase_sessions(gone);
        counted := counted + cardinality(gone);
    END IF;

    gone := ARRAY(
        SELECT m.id FROM direct_messages m JOIN connections c ON c.id = m.connection_id
        WHERE m.created_at < before
          AND NOT EXISTS (SELECT FROM legal_holds h WHERE h.patient_id = c.patient_id AND h.lifted_at IS NULL)
        ORDER BY m.created_at LIMIT 100 * most FOR UPDATE OF m SKIP LOCKED);
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
        INSERT INTO audit_logs (action, procedure, actor_role, purpose, resource_type, resource_id, patient_ids)
        VALUES ('patient_purged', 'upkeep.purge', 'system', 'retention', 'patient', idle::text, ARRAY[idle]);
        PERFORM erase_patient(idle);
        counted := counted + 1;
    END LOOP;
    PERFORM set_config('anamnesis.purpose', coalesce(asked_for, ''), true);
    RETURN counted;
END $$;
