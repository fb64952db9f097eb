-- A doctor who is not connected opens a patient's cases in an emergency: for half an hour, with a reason, and never
-- quietly. The service may not lengthen or remove what it wrote.

CREATE TABLE emergency_accesses (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    doctor_id      uuid NOT NULL REFERENCES doctors (id),
    connection_id  uuid NOT NULL REFERENCES connections (id),
    reason         text NOT NULL CHECK (length(reason) BETWEEN 10 AND 500),
    opened_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at        timestamptz NOT NULL DEFAULT clock_timestamp() + interval '30 minutes',
    CHECK (ends_at <= opened_at + interval '30 minutes 1 second')
);
CREATE INDEX emergency_accesses_of_doctor ON emergency_accesses (doctor_id, ends_at);

GRANT SELECT, INSERT ON emergency_accesses TO anamnesis_app;
