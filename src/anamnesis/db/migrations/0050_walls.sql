-- The second wall: whatever a statement forgets to ask for, a row is seen and written only by whom it concerns.
--
-- Whom a transaction speaks for stands in settings that end with it: anamnesis.user_id, .patient_id and .doctor_id (a
-- verified one's) of a person, anamnesis.operator for what an operator may ('accounts', or 'oversight' for reading
-- records too), and anamnesis.purpose for the service's own work. Without any of them there is nothing to see.
--
-- The functions are called as (SELECT f()), so that each is asked once a statement and not once a row. What else a row
-- needs is one row of another table, found by a key and written as (SELECT true …): an EXISTS would be planned twice,
-- and what stands within it four times.

CREATE FUNCTION viewer_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('anamnesis.user_id', true), '')::uuid $$;
CREATE FUNCTION viewer_patient() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('anamnesis.patient_id', true), '')::uuid $$;
CREATE FUNCTION viewer_doctor() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('anamnesis.doctor_id', true), '')::uuid $$;
CREATE FUNCTION viewer_operates() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('anamnesis.operator', true), '') IN ('accounts', 'oversight') $$;
CREATE FUNCTION viewer_oversees() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('anamnesis.operator', true), '') = 'oversight' $$;
CREATE FUNCTION viewer_is(VARIADIC purposes text[]) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('anamnesis.purpose', true), '') = ANY (purposes) $$;
-- The service's own work with records: what it leaves for later, taking over the replaced system's data, migrating.
CREATE FUNCTION viewer_works(VARIADIC also text[] DEFAULT '{}') RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('anamnesis.purpose', true), '') = ANY ('{jobs,import,migration}'::text[] || also) $$;
-- Who reads any record: that work, oversight, and the looking up of what access is decided on.
CREATE FUNCTION viewer_sees_all() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('anamnesis.purpose', true), '') IN ('jobs', 'import', 'migration', 'access')
       OR coalesce(current_setting('anamnesis.operator', true), '') = 'oversight' $$;
CREATE FUNCTION viewer_is_there() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT coalesce(current_setting('anamnesis.user_id', true), '') <> ''
       OR coalesce(current_setting('anamnesis.purpose', true), '') <> '' $$;

-- Who may open what in an emergency is said by the code; the wall goes by what was opened, and by the clock.
ALTER TABLE emergency_accesses ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON emergency_accesses FOR SELECT USING (
    doctor_id = (SELECT viewer_doctor()) OR (SELECT viewer_works('access')));
CREATE POLICY made ON emergency_accesses FOR INSERT WITH CHECK (
    doctor_id = (SELECT viewer_doctor()) OR (SELECT viewer_works()));
CREATE POLICY changed ON emergency_accesses FOR UPDATE USING ((SELECT viewer_works()));
CREATE POLICY gone ON emergency_accesses FOR DELETE USING ((SELECT viewer_works()));

-- The connections whose cases the doctor reads in an emergency at this moment.
CREATE FUNCTION viewer_opened() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT ARRAY(SELECT e.connection_id FROM emergency_accesses e
                WHERE e.doctor_id = (SELECT viewer_doctor()) AND e.ends_at > statement_timestamp()) $$;

ALTER TABLE connections ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON connections FOR SELECT USING (
    patient_id = (SELECT viewer_patient()) OR doctor_id = (SELECT viewer_doctor()) OR (SELECT viewer_sees_all())
    OR id = ANY ((SELECT viewer_opened())::uuid[]));
CREATE POLICY made ON connections FOR INSERT WITH CHECK (
    patient_id = (SELECT viewer_patient()) OR (SELECT viewer_works()));
CREATE POLICY changed ON connections FOR UPDATE USING (
    patient_id = (SELECT viewer_patient()) OR doctor_id = (SELECT viewer_doctor()) OR (SELECT viewer_works()));

-- After a disconnect the patient still reads, and the doctor does not.
ALTER TABLE patients ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON patients FOR SELECT USING (
    user_id = (SELECT viewer_user()) OR (SELECT viewer_sees_all())
    OR (SELECT true FROM connections c
               WHERE c.patient_id = patients.id AND c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active')
    OR (SELECT true FROM connections c
               WHERE c.patient_id = patients.id AND c.id = ANY ((SELECT viewer_opened())::uuid[]) LIMIT 1));
CREATE POLICY made ON patients FOR INSERT WITH CHECK (user_id = (SELECT viewer_user()) OR (SELECT viewer_works()));
CREATE POLICY changed ON patients FOR UPDATE USING (user_id = (SELECT viewer_user()) OR (SELECT viewer_works()));

-- Doctors' names are public, whatever role an operator gave them; a patient's are for the patient, that patient's
-- doctors and operators.
ALTER TABLE users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON users FOR SELECT USING (
    id = (SELECT viewer_user())
    OR (SELECT viewer_works('access', 'accounts')) OR (SELECT viewer_operates())
    OR ((SELECT viewer_is_there())
        AND (primary_role <> 'patient' OR (SELECT true FROM doctors d WHERE d.user_id = users.id)))
    OR (SELECT true FROM patients p WHERE p.user_id = users.id));
CREATE POLICY made ON users FOR INSERT WITH CHECK ((SELECT viewer_works('accounts')));
CREATE POLICY changed ON users FOR UPDATE USING (
    id = (SELECT viewer_user())
    OR (SELECT viewer_works('accounts')) OR (SELECT viewer_operates()));

ALTER TABLE consents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON consents USING (user_id = (SELECT viewer_user()) OR (SELECT viewer_works()));

ALTER TABLE intake_sessions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON intake_sessions FOR SELECT USING (
    (SELECT viewer_sees_all())
    OR (SELECT true FROM connections c WHERE c.id = intake_sessions.connection_id
               AND (c.patient_id = (SELECT viewer_patient())
                    OR (c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active')))
    OR connection_id = ANY ((SELECT viewer_opened())::uuid[]));
CREATE POLICY made ON intake_sessions FOR INSERT WITH CHECK (
    (SELECT viewer_works())
    OR (SELECT true FROM connections c
               WHERE c.id = intake_sessions.connection_id AND c.patient_id = (SELECT viewer_patient())));
CREATE POLICY changed ON intake_sessions FOR UPDATE USING (
    (SELECT viewer_works())
    OR (SELECT true FROM connections c WHERE c.id = intake_sessions.connection_id
               AND (c.patient_id = (SELECT viewer_patient())
                    OR (c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active'))));

-- A session that is seen says who sees its lines: the policy above is asked again inside this one.
ALTER TABLE chat_messages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON chat_messages FOR SELECT USING (
    (SELECT viewer_works()) OR ((SELECT viewer_is('operations')) AND turn_state = 'waiting')
    OR (SELECT true FROM intake_sessions s WHERE s.id = chat_messages.session_id));
CREATE POLICY made ON chat_messages FOR INSERT WITH CHECK (
    (SELECT viewer_works())
    OR (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
               WHERE s.id = chat_messages.session_id AND c.patient_id = (SELECT viewer_patient())));
CREATE POLICY changed ON chat_messages FOR UPDATE USING (
    (SELECT viewer_works())
    OR (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
               WHERE s.id = chat_messages.session_id AND c.patient_id = (SELECT viewer_patient())));

-- What doctors add to a case is never a patient's to read.
ALTER TABLE clinician_notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON clinician_notes FOR SELECT USING (
    (SELECT viewer_works()) OR (SELECT viewer_oversees())
    OR (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
               WHERE s.id = clinician_notes.session_id
               AND ((c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active')
                    OR c.id = ANY ((SELECT viewer_opened())::uuid[]))));
CREATE POLICY made ON clinician_notes FOR INSERT WITH CHECK (
    (SELECT viewer_works())
    OR (author_id = (SELECT viewer_user())
        AND (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
                    WHERE s.id = clinician_notes.session_id AND c.doctor_id = (SELECT viewer_doctor())
                    AND c.status = 'active')));
CREATE POLICY changed ON clinician_notes FOR UPDATE USING ((SELECT viewer_works()));

ALTER TABLE direct_messages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON direct_messages FOR SELECT USING (
    (SELECT viewer_works())
    OR (SELECT true FROM connections c WHERE c.id = direct_messages.connection_id
               AND (c.patient_id = (SELECT viewer_patient())
                    OR (c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active'))));
CREATE POLICY made ON direct_messages FOR INSERT WITH CHECK (
    (SELECT viewer_works())
    OR (sender_id = (SELECT viewer_user())
        AND (SELECT true FROM connections c WHERE c.id = direct_messages.connection_id AND c.status = 'active'
                    AND (c.patient_id = (SELECT viewer_patient()) OR c.doctor_id = (SELECT viewer_doctor())))));
CREATE POLICY changed ON direct_messages FOR UPDATE USING (
    (SELECT viewer_works())
    OR (SELECT true FROM connections c WHERE c.id = direct_messages.connection_id
               AND (c.patient_id = (SELECT viewer_patient())
                    OR (c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active'))));

-- A patient sees the patient's own files, never what a doctor added to the case.
ALTER TABLE files ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON files FOR SELECT USING (
    (SELECT viewer_sees_all())
    OR ((SELECT viewer_is('upkeep')) AND state = 'pending')
    OR (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
               WHERE s.id = files.session_id
               AND ((c.patient_id = (SELECT viewer_patient()) AND files.uploader_id = (SELECT viewer_user()))
                    OR (c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active')
                    OR c.id = ANY ((SELECT viewer_opened())::uuid[]))));
CREATE POLICY made ON files FOR INSERT WITH CHECK (
    (SELECT viewer_works())
    OR (uploader_id = (SELECT viewer_user())
        AND (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
                    WHERE s.id = files.session_id AND c.status = 'active'
                    AND (c.patient_id = (SELECT viewer_patient()) OR c.doctor_id = (SELECT viewer_doctor())))));
CREATE POLICY changed ON files FOR UPDATE USING (
    (SELECT viewer_works()) OR uploader_id = (SELECT viewer_user()));
CREATE POLICY gone ON files FOR DELETE USING (
    (SELECT viewer_works())
    OR (state = 'pending' AND (uploader_id = (SELECT viewer_user()) OR (SELECT viewer_is('upkeep')))));

-- Why an urgency was lowered is never a patient's to read either; the case itself holds the last reason.
ALTER TABLE lowerings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON lowerings FOR SELECT USING ((SELECT viewer_works()) OR (SELECT viewer_oversees()));
CREATE POLICY made ON lowerings FOR INSERT WITH CHECK (
    (SELECT viewer_works())
    OR (lowered_by = (SELECT viewer_user())
        AND (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
                    WHERE s.id = lowerings.session_id AND c.doctor_id = (SELECT viewer_doctor())
                    AND c.status = 'active')));
CREATE POLICY changed ON lowerings FOR UPDATE USING ((SELECT viewer_works()));
CREATE POLICY gone ON lowerings FOR DELETE USING ((SELECT viewer_works()));

-- A patient asks to be erased; why somebody's records are held is a court's word, and the owner's.
ALTER TABLE erasure_requests ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON erasure_requests FOR SELECT USING (
    patient_id = (SELECT viewer_patient()) OR (SELECT viewer_works()));
CREATE POLICY made ON erasure_requests FOR INSERT WITH CHECK (
    patient_id = (SELECT viewer_patient()) OR (SELECT viewer_works()));
CREATE POLICY gone ON erasure_requests FOR DELETE USING ((SELECT viewer_works()));
ALTER TABLE legal_holds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY worked ON legal_holds USING ((SELECT viewer_works()));

-- Read by whom they are for; written by who has something to tell: the other person of a connection, an operator, and
-- whoever opened a connection in an emergency to all whom that concerns.
ALTER TABLE notifications ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON notifications FOR SELECT USING (user_id = (SELECT viewer_user()) OR (SELECT viewer_works()));
CREATE POLICY made ON notifications FOR INSERT WITH CHECK (
    user_id = (SELECT viewer_user()) OR (SELECT viewer_works()) OR (SELECT viewer_operates())
    OR (SELECT true FROM doctors d JOIN connections c ON c.doctor_id = d.id
               WHERE d.user_id = notifications.user_id AND c.patient_id = (SELECT viewer_patient()))
    OR (SELECT true FROM patients p JOIN connections c ON c.patient_id = p.id
               WHERE p.user_id = notifications.user_id AND c.doctor_id = (SELECT viewer_doctor()))
    OR (type = 'emergency_access'
        AND (SELECT true FROM users u, connections c
                    JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
                    WHERE c.id = ANY ((SELECT viewer_opened())::uuid[])
                    AND c.id::text = notifications.data->>'connectionId' AND u.id = notifications.user_id
                    AND (u.id IN (p.user_id, d.user_id) OR u.primary_role = 'super_admin'))));
CREATE POLICY changed ON notifications FOR UPDATE USING (user_id = (SELECT viewer_user()) OR (SELECT viewer_works()));
CREATE POLICY gone ON notifications FOR DELETE USING (user_id = (SELECT viewer_user()) OR (SELECT viewer_works()));

-- It tells who read whose record: read by operators, and by those who did what it says; anybody who acts adds to it, in
-- their own name, and the service for those it works for.
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON audit_logs FOR SELECT USING (
    user_id = (SELECT viewer_user()) OR (SELECT viewer_works()) OR (SELECT viewer_operates()));
CREATE POLICY made ON audit_logs FOR INSERT WITH CHECK (
    user_id = (SELECT viewer_user()) OR (SELECT viewer_works('accounts', 'upkeep'))
    OR (user_id IS NULL AND (SELECT viewer_is('visit'))));
CREATE POLICY changed ON audit_logs FOR UPDATE USING ((SELECT viewer_works()));

-- Nothing of a record is deleted by anybody but the service's own work, where its grants let it.
CREATE POLICY gone ON connections FOR DELETE USING ((SELECT viewer_works()));
CREATE POLICY gone ON patients FOR DELETE USING ((SELECT viewer_works()));
CREATE POLICY gone ON users FOR DELETE USING ((SELECT viewer_works()));
CREATE POLICY gone ON intake_sessions FOR DELETE USING ((SELECT viewer_works()));
CREATE POLICY gone ON chat_messages FOR DELETE USING ((SELECT viewer_works()));
CREATE POLICY gone ON clinician_notes FOR DELETE USING ((SELECT viewer_works()));
CREATE POLICY gone ON direct_messages FOR DELETE USING ((SELECT viewer_works()));
CREATE POLICY gone ON audit_logs FOR DELETE USING ((SELECT viewer_works()));

-- What an import kept whole of the replaced system's tables, made by it and granted to nobody.
DO $$
DECLARE kept regclass;
BEGIN
    FOR kept IN SELECT oid::regclass FROM pg_class
                WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname LIKE 'legacy\_%' LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', kept);
        EXECUTE format('CREATE POLICY imported ON %s USING ((SELECT viewer_works()))', kept);
    END LOOP;
END $$;

-- What access is decided on is looked up before it is known what the caller may see: ids and states of one thing, never
-- words or values of anybody. Each function speaks for that purpose while it looks, and for who called it afterwards.

CREATE FUNCTION person_of(subject text)
RETURNS TABLE (id uuid, primary_role text, is_active boolean, patient_id uuid, doctor_id uuid, is_verified boolean,
               opened uuid[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE purpose text := current_setting('anamnesis.purpose', true);
BEGIN
    PERFORM set_config('anamnesis.purpose', 'access', true);
    RETURN QUERY
        SELECT u.id, u.primary_role::text, u.is_active, p.id, d.id, d.verification_status = 'verified',
               CASE WHEN d.id IS NOT NULL THEN ARRAY(
                   SELECT e.connection_id FROM emergency_accesses e
                   WHERE e.doctor_id = d.id AND e.ends_at > statement_timestamp())
               END
        FROM users u LEFT JOIN patients p ON p.user_id = u.id LEFT JOIN doctors d ON d.user_id = u.id
        WHERE u.clerk_id = subject;
    PERFORM set_config('anamnesis.purpose', coalesce(purpose, ''), true);
END $$;

CREATE FUNCTION link_of_connection(wanted uuid)
RETURNS TABLE (id uuid, patient_id uuid, doctor_id uuid, status text, patient_user_id uuid, doctor_user_id uuid,
               is_verified boolean, is_there boolean)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE purpose text := current_setting('anamnesis.purpose', true);
BEGIN
    PERFORM set_config('anamnesis.purpose', 'access', true);
    RETURN QUERY
        SELECT c.id, c.patient_id, c.doctor_id, c.status::text, p.user_id, d.user_id,
               d.verification_status = 'verified', d.verification_status = 'verified' AND u.is_active
        FROM connections c JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id
        JOIN users u ON u.id = d.user_id
        WHERE c.id = wanted;
    PERFORM set_config('anamnesis.purpose', coalesce(purpose, ''), true);
END $$;

-- A session that was put away is nobody's to open.
CREATE FUNCTION link_of_session(wanted uuid)
RETURNS TABLE (id uuid, patient_id uuid, doctor_id uuid, status text, patient_user_id uuid, doctor_user_id uuid,
               is_verified boolean, is_there boolean)
LANGUAGE plpgsql ROWS 1 AS $$
#variable_conflict use_column
DECLARE purpose text := current_setting('anamnesis.purpose', true);
BEGIN
    PERFORM set_config('anamnesis.purpose', 'access', true);
    RETURN QUERY
        SELECT c.id, c.patient_id, c.doctor_id, c.status::text, p.user_id, d.user_id,
               d.verification_status = 'verified', d.verification_status = 'verified' AND u.is_active
        FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
        JOIN patients p ON p.id = c.patient_id JOIN doctors d ON d.id = c.doctor_id JOIN users u ON u.id = d.user_id
        WHERE s.id = wanted AND s.archived_at IS NULL;
    PERFORM set_config('anamnesis.purpose', coalesce(purpose, ''), true);
END $$;

CREATE FUNCTION session_of_file(wanted uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    purpose text := current_setting('anamnesis.purpose', true);
    found uuid;
BEGIN
    PERFORM set_config('anamnesis.purpose', 'access', true);
    SELECT f.session_id INTO found FROM files f WHERE f.id = wanted AND f.state = 'ready';
    PERFORM set_config('anamnesis.purpose', coalesce(purpose, ''), true);
    RETURN found;
END $$;

-- How many files a session has, whoever may see them: only so many fit.
CREATE FUNCTION files_in_session(wanted uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    purpose text := current_setting('anamnesis.purpose', true);
    found bigint;
BEGIN
    PERFORM set_config('anamnesis.purpose', 'access', true);
    SELECT count(*) INTO found FROM files f WHERE f.session_id = wanted;
    PERFORM set_config('anamnesis.purpose', coalesce(purpose, ''), true);
    RETURN found;
END $$;
