-- What was taken over from the replaced system: which row became which of ours, and what ours was worth on that day, so
-- that a row nobody has changed here can be brought up to date and one that somebody has is left alone. The service
-- reads neither this nor the legacy_* tables the import makes, so its role is granted nothing.

CREATE TABLE imported_rows (
    source_table  text NOT NULL,
    source_key    text NOT NULL,
    our_table     text NOT NULL,
    our_key       text NOT NULL,
    fingerprint   bytea,  -- null: the row was here before, under this key, and is ours
    written_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (source_table, source_key)
);
CREATE INDEX imported_under_another_key ON imported_rows (source_table) WHERE our_key <> source_key;
