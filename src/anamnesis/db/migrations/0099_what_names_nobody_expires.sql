-- What a take-over kept whole and that names no patient of ours goes with nobody: it expires by itself, so long after it
-- was copied as everything else after it was touched. What names a patient, and so whatever one under a legal hold is
-- named by, goes with the patient alone.

-- Rows that have expired, each by the digest of its table and key, so that a later take-over does not bring them back.
CREATE TABLE expired_aside (
    digest      bytea PRIMARY KEY,
    expired_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- How far each of these tables has been looked through, and when its end was reached.
CREATE TABLE aside_sweeps (
    name       text PRIMARY KEY,
    after_key  text NOT NULL DEFAULT '',
    swept_at   timestamptz NOT NULL DEFAULT '-infinity'
);

-- What a row kept whole names, as in 0080: its ids and quoted strings, from beside it or, where it was not sealed by a
-- release that writes them there, from the row itself.
CREATE FUNCTION words_aside(kept jsonb) RETURNS text[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(SELECT kept ->> 'key' UNION
        SELECT jsonb_array_elements_text(CASE jsonb_typeof(kept -> 'names') WHEN 'array' THEN kept -> 'names' ELSE '[]' END) UNION
        SELECT (regexp_matches(kept ->> 'row', '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|"(?:[^"\\]|\\.)*"', 'g'))[1]
        WHERE jsonb_typeof(kept -> 'names') IS DISTINCT FROM 'array')
$$;

-- Whether one of these words is a patient's, or stands in a row kept whole that names one: what erasure would reach.
CREATE FUNCTION names_a_patient(words text[]) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
    an_id   CONSTANT text := '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
    seen    text[] := words;
    wanted  text[] := words;
    ids     uuid[];
    texts   text[];
    aside   text;
    more    text[];
    found   text[];
BEGIN
    LOOP
        ids := ARRAY(SELECT word::uuid FROM unnest(wanted) AS word WHERE word ~ an_id);
        texts := ARRAY(SELECT word::jsonb #>> '{}' FROM unnest(wanted) AS word WHERE word ~ '^"(?:[^"\\[:cntrl:]]|\\["\\/bfnrt])*"$');
        IF EXISTS (SELECT FROM patients WHERE id = ANY (ids)) OR EXISTS (SELECT FROM connections WHERE id = ANY (ids))
            OR EXISTS (SELECT FROM intake_sessions WHERE id = ANY (ids)) OR EXISTS (SELECT FROM chat_messages WHERE id = ANY (ids))
            OR EXISTS (SELECT FROM clinician_notes WHERE id = ANY (ids)) OR EXISTS (SELECT FROM direct_messages WHERE id = ANY (ids))
            OR EXISTS (SELECT FROM notifications WHERE id = ANY (ids))
            OR EXISTS (SELECT FROM users u WHERE (u.id = ANY (ids) OR u.clerk_id = ANY (texts) OR (u.email = ANY (texts) AND u.email <> ''))
                AND (u.primary_role = 'patient' OR EXISTS (SELECT FROM patients p WHERE p.user_id = u.id)))
            OR EXISTS (SELECT FROM imported_rows i WHERE i.source_key = ANY (wanted) AND i.our_key <> i.source_key
                AND i.source_table IN ('users', 'patients', 'connections', 'intake_sessions', 'audit_logs')
                AND CASE i.our_table
                    WHEN 'users' THEN EXISTS (SELECT FROM patients p WHERE p.user_id = i.our_key::uuid)
                    WHEN 'patients' THEN EXISTS (SELECT FROM patients p WHERE p.id = i.our_key::uuid)
                    WHEN 'connections' THEN EXISTS (SELECT FROM connections c WHERE c.id = i.our_key::uuid)
                    WHEN 'intake_sessions' THEN EXISTS (SELECT FROM intake_sessions s WHERE s.id = i.our_key::uuid)
                    WHEN 'audit_logs' THEN EXISTS (SELECT FROM audit_logs a JOIN patients p ON p.user_id = a.user_id WHERE a.id = i.our_key::bigint)
                    ELSE false END)
        THEN
            RETURN true;
        END IF;
        found := '{}';
        FOR aside IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema AND tablename LIKE 'legacy\_%' LOOP
            EXECUTE format('SELECT coalesce(array_agg(DISTINCT word), ''{}'') FROM %I t, unnest(words_aside(to_jsonb(t))) AS word
                WHERE t.key = ANY ($1)', aside) INTO more USING ids::text[];
            found := found || more;
        END LOOP;
        wanted := ARRAY(SELECT DISTINCT word FROM unnest(found) AS word WHERE word <> ALL (seen));
        EXIT WHEN cardinality(wanted) = 0;
        seen := seen || wanted;
    END LOOP;
    RETURN false;
END $$;

-- One page of one table at a time, each table through once a day. Answers how many rows went.
CREATE FUNCTION expire_aside(before timestamptz, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    place  aside_sweeps%ROWTYPE;
    page   text[];
    gone   text[];
BEGIN
    INSERT INTO aside_sweeps (name)
    SELECT tablename FROM pg_tables WHERE schemaname = current_schema AND tablename LIKE 'legacy\_%'
    EXCEPT SELECT name FROM aside_sweeps ON CONFLICT DO NOTHING;
    SELECT s.* INTO place FROM aside_sweeps s JOIN pg_tables t ON t.schemaname = current_schema AND t.tablename = s.name
    WHERE s.swept_at < clock_timestamp() - interval '1 day' ORDER BY s.swept_at, s.name LIMIT 1 FOR UPDATE OF s SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    EXECUTE format('SELECT coalesce(array_agg(key ORDER BY key), ''{}'')
        FROM (SELECT key FROM %I WHERE key > $1 ORDER BY key LIMIT $2) AS page', place.name) INTO page USING place.after_key, most;
    EXECUTE format('SELECT coalesce(array_agg(t.key), ''{}'') FROM %I t
        WHERE t.key = ANY ($1) AND t.copied_at < $2 AND NOT names_a_patient(words_aside(to_jsonb(t)))', place.name)
        INTO gone USING page, before;
    IF cardinality(gone) > 0 THEN
        EXECUTE format('DELETE FROM %I WHERE key = ANY ($1)', place.name) USING gone;
        INSERT INTO expired_aside (digest)
        SELECT sha256(convert_to(place.name || chr(10) || key, 'UTF8')) FROM unnest(gone) AS key ON CONFLICT DO NOTHING;
        INSERT INTO audit_logs (action, procedure, actor_role, purpose, resource_type, resource_id, metadata)
        VALUES ('taken_over_purged', 'upkeep.purge', 'system', 'retention', 'taken_over', place.name,
                jsonb_build_object('count', cardinality(gone)));
    END IF;
    UPDATE aside_sweeps SET after_key = CASE WHEN cardinality(page) < most THEN '' ELSE page[cardinality(page)] END,
        swept_at = CASE WHEN cardinality(page) < most THEN clock_timestamp() ELSE place.swept_at END
    WHERE name = place.name;
    RETURN cardinality(gone);
END $$;

-- As in 0080; a key at which a sweep stands may be somebody's name, and goes with the row.
CREATE OR REPLACE FUNCTION erase_aside(keys_ text[], words text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    aside  text;
    named  text;
    keys   text[];
    found  text[];
BEGIN
    LOOP
        found := '{}';
        FOR aside, named IN
            SELECT t.tablename, CASE WHEN a.attname IS NOT NULL THEN 'OR t.names && $2' ELSE '' END
            FROM pg_tables t LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(quote_ident(t.tablename))
                AND a.attname = 'names' AND NOT a.attisdropped
            WHERE t.schemaname = current_schema AND t.tablename LIKE 'legacy\_%' LOOP
            EXECUTE format('WITH gone AS (
                DELETE FROM %I t WHERE t.key = ANY ($1 || $2) %s
                    OR EXISTS (SELECT FROM unnest($2) AS word WHERE position(word IN t.row::text) > 0)
                RETURNING t.key) SELECT coalesce(array_agg(key), ''{}'') FROM gone', aside, named) INTO keys USING keys_, words;
            found := found || keys;
        END LOOP;
        UPDATE aside_sweeps SET after_key = '' WHERE after_key = ANY (found);
        -- Only what looks like an id can be meant by another row.
        words := ARRAY(SELECT key FROM unnest(found) AS key WHERE key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
        keys_ := '{}';
        EXIT WHEN cardinality(words) = 0;
    END LOOP;
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
    counted := counted + expire_aside(before, 5 * most);
    PERFORM set_config('anamnesis.purpose', coalesce(asked_for, ''), true);
    RETURN counted;
END $$;
