"""The replaced system's database as its schema describes it, with good rows and broken ones."""

import itertools
import json
from uuid import UUID

SCHEMA = """
CREATE TYPE user_role AS ENUM ('super_admin', 'doctor', 'clinic_admin', 'receptionist', 'patient');
CREATE TYPE verification_status AS ENUM ('pending', 'verified', 'rejected');
CREATE TYPE connection_status AS ENUM ('active', 'disconnected', 'blocked');
CREATE TYPE intake_status AS ENUM ('not_started', 'in_progress', 'ready', 'reviewed');
CREATE TYPE context_layer AS ENUM ('patient-intake', 'doctor-enhancement');
CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), clerk_id text NOT NULL UNIQUE, email text NOT NULL,
    first_name text, last_name text, image_url text, primary_role user_role NOT NULL DEFAULT 'patient',
    is_active boolean NOT NULL DEFAULT true, created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp NOT NULL DEFAULT now());
CREATE TABLE doctors (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL UNIQUE REFERENCES users,
    slug text NOT NULL UNIQUE, specialty text, clinic_name text, bio text, phone text, address text,
    verification_status verification_status NOT NULL DEFAULT 'pending', verified_at timestamp, verified_by uuid,
    rejection_reason text, consultation_fee int, accepts_payments boolean NOT NULL DEFAULT false,
    appointment_duration int NOT NULL DEFAULT 30, buffer_time int NOT NULL DEFAULT 10,
    max_daily_appointments int NOT NULL DEFAULT 20, qr_code_url text, created_at timestamp NOT NULL DEFAULT now(),
    updated_at timestamp NOT NULL DEFAULT now());
CREATE TABLE patients (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL UNIQUE,
    date_of_birth timestamp, gender text, phone text, emergency_contact text, emergency_phone text,
    created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now());
CREATE TABLE connections (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), patient_id uuid NOT NULL,
    doctor_id uuid NOT NULL, status connection_status NOT NULL DEFAULT 'active', connection_source text,
    connected_at timestamp NOT NULL DEFAULT now(), disconnected_at timestamp,
    created_at timestamp NOT NULL DEFAULT now(), UNIQUE (patient_id, doctor_id));
CREATE TABLE intake_sessions (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), connection_id uuid NOT NULL, name text,
    status intake_status NOT NULL DEFAULT 'not_started', medical_data jsonb, clinical_handover jsonb,
    doctor_thought jsonb, completeness int NOT NULL DEFAULT 0, current_agent text DEFAULT 'Triage',
    follow_up_counts jsonb DEFAULT '{}', answered_topics jsonb DEFAULT '[]', consecutive_errors int NOT NULL DEFAULT 0,
    ai_message_count int NOT NULL DEFAULT 0, has_offered_conclusion boolean NOT NULL DEFAULT false,
    termination_reason text, started_at timestamp, completed_at timestamp, reviewed_at timestamp, reviewed_by uuid,
    created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now());
CREATE TABLE chat_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), session_id uuid NOT NULL, role text NOT NULL,
    content text, images jsonb, active_agent text, grounding_metadata jsonb,
    context_layer context_layer NOT NULL DEFAULT 'patient-intake', created_at timestamp NOT NULL DEFAULT now());
CREATE TABLE direct_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), connection_id uuid NOT NULL,
    sender_id uuid NOT NULL, content text NOT NULL, is_read boolean NOT NULL DEFAULT false, read_at timestamp,
    created_at timestamp NOT NULL DEFAULT now());
CREATE TABLE notifications (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL, type text NOT NULL,
    title text NOT NULL, message text NOT NULL, data jsonb, is_read boolean NOT NULL DEFAULT false, read_at timestamp,
    created_at timestamp NOT NULL DEFAULT now());
CREATE TABLE audit_logs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid, action text NOT NULL,
    resource_type text NOT NULL, resource_id text, metadata jsonb, ip_address text, user_agent text,
    created_at timestamp NOT NULL DEFAULT now());
CREATE TABLE appointments (id uuid PRIMARY KEY, connection_id uuid, scheduled_at timestamp, notes text);
CREATE TABLE platform_config (id uuid PRIMARY KEY, key text UNIQUE, value jsonb);
CREATE TABLE "odd ""name; x" (a int, b int, words text);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'patient intake is immutable'; END $$;
CREATE TRIGGER immutable_update BEFORE UPDATE ON chat_messages FOR EACH ROW
    WHEN (OLD.context_layer = 'patient-intake') EXECUTE FUNCTION refuse();
CREATE TRIGGER immutable_delete BEFORE DELETE ON chat_messages FOR EACH ROW
    WHEN (OLD.context_layer = 'patient-intake') EXECUTE FUNCTION refuse();
"""


def key(number: int) -> str:
    return str(UUID(int=number))


PATIENT_USER, DOCTOR_USER, PATIENT, DOCTOR, CONNECTION = (key(n) for n in range(1, 6))
OPEN, READY, BARE, BROKEN = (key(n) for n in range(11, 15))
WORD = "zebrafever4711"
DATA = {
    "chiefComplaint": f"sore throat {WORD}", "medications": ["amlodipine"], "oddField": {"deep": [1, 2.5, None]},
    "vitalsData": {"patientName": "Jane", "oddVital": "kept", "triageDecision": "agent-assisted"},
}  # fmt: skip
SBAR = {"situation": "S", "background": "B", "assessment": "A", "recommendation": "R"}
THOUGHT = {
    "differentialDiagnosis": [{"condition": "Pharyngitis", "probability": "High", "reasoning": "told"}],
    "missingInformation": ["duration"], "strategy": "Ask on", "nextMove": "Ask about fever",
}  # fmt: skip
_messages = itertools.count(1000)


async def insert(db, table, **values):
    names = ", ".join(values)
    row = json.dumps(values)
    await db.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_record(NULL::{table}, $1)", row)


async def line(db, session, minute, role, content, **more):
    made = {"id": key(next(_messages)), "created_at": f"2025-01-01T10:{minute:02}:00.25",
            "context_layer": "patient-intake", **more}  # fmt: skip
    await insert(db, "chat_messages", session_id=session, role=role, content=content, **made)
    return made["id"]


def times(day=1):
    return {"created_at": f"2025-01-{day:02}T09:00:00", "updated_at": f"2025-01-{day:02}T09:30:00"}


async def seed(db):
    """A clinic without anything wrong."""
    await db.execute(SCHEMA)
    active = {"is_active": True, **times()}
    await insert(
        db,
        "users",
        id=PATIENT_USER,
        clerk_id="patient",
        email="p@example.test",
        first_name="Jane",
        primary_role="patient",
        **active,
    )
    await insert(
        db,
        "users",
        id=DOCTOR_USER,
        clerk_id="doctor",
        email="d@example.test",
        first_name="Ada",
        primary_role="doctor",
        **active,
    )
    await insert(db, "patients", id=PATIENT, user_id=PATIENT_USER, date_of_birth="1990-05-01T00:00:00", **times())
    await insert(
        db,
        "doctors",
        id=DOCTOR,
        user_id=DOCTOR_USER,
        slug="ada",
        verification_status="verified",
        accepts_payments=False,
        appointment_duration=30,
        buffer_time=10,
        max_daily_appointments=20,
        **times(),
    )
    await insert(
        db,
        "connections",
        id=CONNECTION,
        patient_id=PATIENT,
        doctor_id=DOCTOR,
        status="active",
        connected_at="2025-01-01T09:00:00",
        created_at="2025-01-01T09:00:00",
    )
    await session(
        db,
        OPEN,
        status="in_progress",
        name="Sore throat",
        medical_data=DATA,
        doctor_thought=THOUGHT,
        completeness=40,
        current_agent="ClinicalInvestigator",
    )
    await session(db, READY, status="ready", medical_data=DATA, clinical_handover=SBAR, completeness=100, day=2)
    await session(db, BARE, status="reviewed", clinical_handover=SBAR, reviewed_by=DOCTOR_USER, day=3)
    await line(db, OPEN, 2, "user", f"My throat hurts {WORD}")
    await line(db, OPEN, 1, "model", "What brings you here?")
    await line(db, OPEN, 3, "model", "Since when?", active_agent="ClinicalInvestigator")
    await line(db, OPEN, 4, "doctor", f"doctors own words {WORD}")
    await line(db, OPEN, 5, "model", "enhanced, for the doctor", context_layer="doctor-enhancement")
    await line(db, READY, 1, "user", "hello", images=["https://files.example.test/1.jpg"])
    for number in range(3):
        await insert(
            db,
            "direct_messages",
            id=key(100 + number),
            connection_id=CONNECTION,
            content=f"direct {number}",
            sender_id=PATIENT_USER,
            is_read=number == 0,
            created_at=f"2025-01-01T11:0{number}:00",
        )
    await insert(
        db,
        "notifications",
        id=key(200),
        user_id=DOCTOR_USER,
        type="intake_complete",
        title="t",
        message="m",
        data={"sessionId": READY},
        is_read=False,
        created_at="2025-01-02T10:00:00",
    )
    await insert(
        db,
        "audit_logs",
        id=key(300),
        user_id=PATIENT_USER,
        action="intake_started",
        resource_type="intake",
        resource_id=OPEN,
        metadata={"a": 1},
        ip_address="192.0.2.1",
        created_at="2025-01-01T09:00:00",
    )
    await insert(db, "appointments", id=key(400), connection_id=CONNECTION, notes=f"bring {WORD}")
    await insert(db, "platform_config", id=key(500), key="k", value=[1, "x"])
    await db.execute("""INSERT INTO "odd ""name; x" VALUES (1, 2, 'x'), (1, 2, 'x'), (3, 4, NULL)""")


async def session(db, session_id, *, day=1, **values):
    whole = {
        "connection_id": CONNECTION,
        "current_agent": "Triage",
        "completeness": 0,
        "consecutive_errors": 0,
        "ai_message_count": 0,
        "has_offered_conclusion": False,
        **times(day),
        **values,
    }
    await insert(db, "intake_sessions", id=session_id, **whole)


async def spoil(db):
    """Everything that can be wrong with a row."""
    await insert(
        db,
        "users",
        id=key(600),
        clerk_id="  ",
        email="x",
        first_name=" ",
        primary_role="patient",
        is_active=True,
        **times(),
    )
    await insert(
        db,
        "users",
        id=key(601),
        clerk_id="blank",
        email="x",
        first_name=" ",
        primary_role="patient",
        is_active=True,
        **times(),
    )
    await insert(db, "patients", id=key(602), user_id=key(999), **times())
    await session(db, key(603), status="ready", name="  ", day=4)
    await session(db, key(604), connection_id=key(998), status="ready")
    await session(db, key(605), status="in_progress", medical_data=["not", "an object"], day=5)
    await session(db, key(606), status="in_progress", medical_data=json.dumps(DATA), day=6)
    await line(db, key(997), 1, "user", f"orphan {WORD}")
    await line(db, OPEN, 6, "system", f"of no known role {WORD}")
    await line(db, OPEN, 7, "user", None)
    await line(db, OPEN, 8, "user", "with odd pictures", images={"no": "list"})
    await insert(
        db,
        "direct_messages",
        id=key(607),
        connection_id=key(996),
        content="x",
        sender_id=PATIENT_USER,
        is_read=False,
        created_at="2025-01-01T11:00:00",
    )
    await insert(
        db,
        "notifications",
        id=key(608),
        user_id=key(995),
        type="t",
        title="t",
        message="m",
        is_read=False,
        created_at="2025-01-01T11:00:00",
    )
