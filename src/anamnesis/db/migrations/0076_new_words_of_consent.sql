-- The chat page asks now for the note to the doctor too. Who agreed to its earlier words agreed to questions only, and is
-- asked again; until then no model outside is told anything.

UPDATE consents SET withdrawn_at = clock_timestamp() WHERE version = '2026-11-25' AND withdrawn_at IS NULL;
