-- Urgency only rises, except by a clinician who gives a reason: every lowering leaves who, when and why.

ALTER TABLE intake_sessions
    ADD COLUMN lowered_at     timestamptz,
    ADD COLUMN lowered_by     uuid REFERENCES users (id),
    ADD COLUMN lowered_reason text;

CREATE OR REPLACE FUNCTION intake_status_only_goes_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status < OLD.status AND NEW.epoch = OLD.epoch THEN
        RAISE EXCEPTION 'an intake session does not go back' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.status = 'reviewed' AND OLD.status NOT IN ('ready', 'reviewed') THEN
        RAISE EXCEPTION 'only a ready session can be reviewed' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.acuity < OLD.acuity AND NEW.epoch = OLD.epoch AND (
        NEW.lowered_at IS NOT DISTINCT FROM OLD.lowered_at OR NEW.lowered_by IS NULL
        OR length(coalesce(NEW.lowered_reason, '')) = 0) THEN
        RAISE EXCEPTION 'urgency only rises' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
