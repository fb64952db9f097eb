-- What people wrote is encrypted by the service and stands in these columns as an envelope, enc1:KEY:BASE64 (ADR 0023).

-- An envelope is longer than the words in it; how long those may be is checked before they are sealed.
ALTER TABLE legal_holds DROP CONSTRAINT legal_holds_reason_check,
    ADD CONSTRAINT legal_holds_reason_check CHECK (reason LIKE 'enc_:%' OR length(reason) BETWEEN 3 AND 500);
ALTER TABLE emergency_accesses DROP CONSTRAINT emergency_accesses_reason_check,
    ADD CONSTRAINT emergency_accesses_reason_check CHECK (reason LIKE 'enc_:%' OR length(reason) BETWEEN 10 AND 500);
ALTER TABLE files DROP CONSTRAINT files_file_name_check,
    ADD CONSTRAINT files_file_name_check CHECK (file_name LIKE 'enc_:%' OR length(file_name) BETWEEN 1 AND 255);

-- A reason is sealed for its row, so the row's number is drawn before the row is written.
GRANT USAGE ON SEQUENCE lowerings_id_seq TO anamnesis_app;

-- What was said stays as it was said. Only the owner of the tables, who says that this is what it does, puts the same
-- words into another envelope; the service's role cannot, whatever it says.
CREATE OR REPLACE FUNCTION patients_words_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> OLD.seq OR NEW.session_id <> OLD.session_id OR (
        NEW.content IS DISTINCT FROM OLD.content AND (
            coalesce(current_setting('anamnesis.sealing', true), '') <> 'on' OR current_user = 'anamnesis_app'
            OR NEW.content NOT LIKE 'enc_:%')) THEN
        RAISE EXCEPTION 'what was said stays as it was said' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

-- Words that were written before and happen to begin as an envelope does are marked as the words they are.
DO $$
DECLARE place record;
BEGIN
    PERFORM set_config('anamnesis.sealing', 'on', true);
    FOR place IN SELECT * FROM (VALUES
        ('chat_messages', 'content'), ('chat_messages', 'reply_so_far'), ('clinician_notes', 'content'),
        ('direct_messages', 'content'),
        ('intake_sessions', 'name'), ('intake_sessions', 'termination_reason'), ('intake_sessions', 'lowered_reason'),
        ('lowerings', 'reason'), ('emergency_accesses', 'reason'), ('legal_holds', 'reason'),
        ('legal_holds', 'lifted_reason'), ('files', 'file_name')) AS p (name, wording) LOOP
        EXECUTE format('UPDATE %1$I SET %2$I = ''enc0:'' || %2$I WHERE %2$I ~ ''^enc[0-9]:''', place.name, place.wording);
    END LOOP;
    PERFORM set_config('anamnesis.sealing', '', true);
END $$;

-- What a take-over kept whole is sealed as well. Erasure cannot look into an envelope: the ids and accounts that a row
-- names stand beside it. A row without them has not been sealed and is looked into as before.
DO $$
DECLARE kept regclass;
BEGIN
    FOR kept IN SELECT oid::regclass FROM pg_class
                WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname LIKE 'legacy\_%' LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN IF NOT EXISTS names text[]', kept);
    END LOOP;
END $$;

-- As in 0045, by those names too; a table that a release from before has made lacks the column.
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
        -- Only what looks like an id can be meant by another row.
        words := ARRAY(SELECT key FROM unnest(found) AS key WHERE key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');
        keys_ := '{}';
        EXIT WHEN cardinality(words) = 0;
    END LOOP;
END $$;
