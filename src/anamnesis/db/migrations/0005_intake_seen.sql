-- When a doctor last dealt with a case, so that a reviewed one comes back when its patient writes again; and whether a
-- session has been named, so that a name its patient took away is not given again.

ALTER TABLE intake_sessions
    ADD COLUMN seen_at  timestamptz,
    ADD COLUMN is_named boolean NOT NULL DEFAULT false;
UPDATE intake_sessions SET is_named = true WHERE name IS NOT NULL;
