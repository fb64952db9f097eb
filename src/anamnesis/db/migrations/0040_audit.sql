-- The audit trail: who read or wrote whose health data, when, by which call and why; and a chain of hashes over it that
-- only the sealing function makes. The service may add lines and nothing else; it cannot write the chain at all.

ALTER TABLE audit_logs
    ADD COLUMN actor_role   text,
    ADD COLUMN procedure    text,
    ADD COLUMN request_id   text,
    ADD COLUMN patient_ids  uuid[],
    ADD COLUMN purpose      text;

-- What is committed and not yet in the chain. A line is put here in the transaction that writes it, so one that commits
-- late, whatever its number, is sealed late and never passed over.
CREATE TABLE audit_unsealed (
    entry_id     bigint PRIMARY KEY,
    waits_since  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE audit_chain (
    seq       bigint PRIMARY KEY,
    entry_id  bigint NOT NULL UNIQUE,
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32)
);

-- Where the chain ends. Its row is also the lock of whoever seals.
CREATE TABLE audit_head (
    is_only    boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    seq        bigint NOT NULL,
    hash       bytea NOT NULL,
    sealed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO audit_head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));
INSERT INTO audit_unsealed (entry_id) SELECT id FROM audit_logs;

CREATE FUNCTION audit_line_waits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO audit_unsealed (entry_id) SELECT id FROM written;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_lines_wait AFTER INSERT ON audit_logs REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION audit_line_waits();

-- A field as its length in bytes and itself, so that no two lines of other fields are the same bytes; nothing is a dash.
CREATE FUNCTION audit_field(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT coalesce(octet_length(value) || ':' || value, '-') || ',' $$;

-- Put what waits into the chain, in one transaction: no row when somebody else is sealing, else how many lines were
-- sealed and where the chain ends. anamnesis.purpose is said for row-level security, which holds for owners too; in the
-- body, for only a superuser may say a setting of ours in a function's head.
CREATE FUNCTION seal_audit(most integer) RETURNS TABLE (sealed integer, head_seq bigint, head_hash text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head_row audit_head;
    line record;
    asked_for text := current_setting('anamnesis.purpose', true);
BEGIN
    SELECT * INTO head_row FROM audit_head FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    sealed := 0;
    PERFORM set_config('anamnesis.purpose', 'jobs', true);
    FOR line IN
        SELECT a.id, audit_field('1') || audit_field(a.id::text) || audit_field(a.user_id::text)
               || audit_field(a.actor_role) || audit_field(a.action) || audit_field(a.procedure)
               || audit_field(a.resource_type) || audit_field(a.resource_id) || audit_field(a.patient_ids::text)
               || audit_field(a.request_id) || audit_field(a.purpose) || audit_field(a.metadata::text)
               || audit_field((extract(epoch FROM a.created_at) * 1000000)::bigint::text) AS told
        FROM audit_unsealed u JOIN audit_logs a ON a.id = u.entry_id ORDER BY a.id LIMIT most
    LOOP
        head_row.seq := head_row.seq + 1;
        head_row.hash := sha256(head_row.hash || convert_to(line.told, 'UTF8'));
        INSERT INTO audit_chain (seq, entry_id, hash) VALUES (head_row.seq, line.id, head_row.hash);
        DELETE FROM audit_unsealed WHERE entry_id = line.id;
        sealed := sealed + 1;
    END LOOP;
    PERFORM set_config('anamnesis.purpose', coalesce(asked_for, ''), true);
    IF sealed > 0 THEN
        UPDATE audit_head SET seq = head_row.seq, hash = head_row.hash, sealed_at = clock_timestamp();
    END IF;
    head_seq := head_row.seq;
    head_hash := encode(head_row.hash, 'hex');
    RETURN NEXT;
END $$;
REVOKE ALL ON FUNCTION seal_audit(integer), audit_line_waits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION seal_audit(integer) TO anamnesis_app;
GRANT SELECT ON audit_unsealed, audit_chain, audit_head TO anamnesis_app;
