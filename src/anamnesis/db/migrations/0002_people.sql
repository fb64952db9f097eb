-- People and who is connected to whom. Names and values are those of the system being replaced,
-- so that its data can be copied; every time is with a zone.

CREATE TYPE user_role AS ENUM ('super_admin', 'doctor', 'clinic_admin', 'receptionist', 'patient');
CREATE TYPE verification_status AS ENUM ('pending', 'verified', 'rejected');
CREATE TYPE connection_status AS ENUM ('active', 'disconnected', 'blocked');

CREATE TABLE users (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    clerk_id      text NOT NULL UNIQUE,
    email         text,
    first_name    text,
    last_name     text,
    image_url     text,
    primary_role  user_role NOT NULL DEFAULT 'patient',
    is_active     boolean NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX users_email ON users (email);

CREATE TABLE patients (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id            uuid NOT NULL UNIQUE REFERENCES users (id),
    date_of_birth      timestamptz,
    gender             text,
    phone              text,
    emergency_contact  text,
    emergency_phone    text,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE doctors (
    id                      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id                 uuid NOT NULL UNIQUE REFERENCES users (id),
    slug                    text NOT NULL UNIQUE,
    specialty               text,
    clinic_name             text,
    bio                     text,
    phone                   text,
    address                 text,
    verification_status     verification_status NOT NULL DEFAULT 'pending',
    verified_at             timestamptz,
    verified_by             uuid REFERENCES users (id),
    rejection_reason        text,
    consultation_fee        integer,
    accepts_payments        boolean NOT NULL DEFAULT false,
    appointment_duration    integer NOT NULL DEFAULT 30,
    buffer_time             integer NOT NULL DEFAULT 10,
    max_daily_appointments  integer NOT NULL DEFAULT 20,
    qr_code_url             text,
    created_at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at              timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX doctors_pending ON doctors (created_at) WHERE verification_status = 'pending';

CREATE TABLE connections (
    id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    patient_id         uuid NOT NULL REFERENCES patients (id),
    doctor_id          uuid NOT NULL REFERENCES doctors (id),
    status             connection_status NOT NULL DEFAULT 'active',
    connection_source  text,
    connected_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    disconnected_at    timestamptz,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (patient_id, doctor_id)
);
CREATE INDEX connections_of_doctor ON connections (doctor_id, status);

GRANT SELECT, INSERT, UPDATE ON users, patients, doctors, connections TO anamnesis_app;

CREATE TABLE notifications (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id     uuid NOT NULL REFERENCES users (id),
    type        text NOT NULL,
    title       text NOT NULL,
    message     text NOT NULL,
    data        jsonb,
    is_read     boolean NOT NULL DEFAULT false,
    read_at     timestamptz,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX notifications_of_user ON notifications (user_id, created_at DESC, id);

CREATE TABLE audit_logs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        uuid,
    action         text NOT NULL,
    resource_type  text NOT NULL,
    resource_id    text,
    metadata       jsonb,
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX audit_logs_of_user ON audit_logs (user_id, created_at);

GRANT SELECT, INSERT, UPDATE ON notifications TO anamnesis_app;
GRANT SELECT, INSERT ON audit_logs TO anamnesis_app;
