"""Sample people and intakes, made through the same procedures a client would call. Invented, every one of them."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from anamnesis.bootstrap import App
from anamnesis.db.viewing import Purpose, at_work, viewing
from anamnesis.edge.calling import Caller
from anamnesis.kernel.identity import Claims
from anamnesis.kernel.procedures import Request

SLUG: Final = "demo"
OPERATOR: Final = Claims("demo_operator", "operator@demo.invalid", "Olive", "Operator")
DOCTOR: Final = Claims("demo_doctor", "doctor@demo.invalid", "Amina", "Nakato")
WAITING_DOCTOR: Final = Claims("demo_doctor_waiting", "waiting@demo.invalid", "Peter", "Okot")
PATIENT: Final = Claims("demo_patient", "patient@demo.invalid", "Grace", "Achieng")
NEWCOMER: Final = Claims("demo_newcomer", "newcomer@demo.invalid", "Newcomer", None)
_IDS: Final = UUID("6d0c3e50-5c3c-4f0b-9a80-0a5f8d6f2f10")


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample patient and what was told, message by message."""

    claims: Claims
    told: tuple[str, ...]


SAMPLES: Final = (
    Sample(
        Claims("demo_sample_1", "sample1@demo.invalid", "Joseph", "Okello"),
        ("It is about me", "Joseph, 58, male", "Crushing pain in my chest since this morning and I am sweating"),
    ),
    Sample(
        Claims("demo_sample_2", "sample2@demo.invalid", "Sarah", "Namuli"),
        ("It is about my child", "Moses, 3 years old, boy", "he has a fever since yesterday and does not want to eat"),
    ),
    Sample(
        Claims("demo_sample_3", "sample3@demo.invalid", "Ruth", "Auma"),
        (
            "It is about me", "Ruth, 34, female", "I have had a headache since Monday", "No",
            "in front, throbbing, it does not spread", "It comes and goes, it took a day to get bad",
            "5, noise makes it worse, rest helps", "None of these", "bp 128/82, temp 36.9", "No records",
            "No medicines",
            "I am allergic to penicillin, I got a rash", "No other illnesses",
            "No family illness, I do not smoke, I live with my sister", "Nothing else", "Yes, this is right",
        ),
    ),
)  # fmt: skip


async def clinic(app: App) -> None:
    """Make the demo's people and cases, once; what is there already stays."""
    operator, doctor = _caller(app, OPERATOR), _caller(app, DOCTOR)
    await operator.call("user.getMe")
    with viewing(at_work(Purpose.ACCOUNTS)):
        await app.database.execute(
            "UPDATE users SET primary_role = 'super_admin' WHERE clerk_id = $1", OPERATOR.subject
        )
    me = await doctor.call("user.me")
    if me["doctor"] is not None:
        return
    profile = await doctor.call("doctor.createProfile", specialty="General practice", clinicName="Demo Clinic")
    await app.database.execute("UPDATE doctors SET slug = $2 WHERE id = $1", profile["id"], SLUG)
    await operator.call("admin.verifyDoctor", doctorId=str(profile["id"]), action="approve")
    await _caller(app, WAITING_DOCTOR).call("doctor.createProfile", specialty="Paediatrics", clinicName="Demo Clinic")
    for sample in (Sample(PATIENT, ()), *SAMPLES):
        await _tell(app, sample, profile)


async def _tell(app: App, sample: Sample, doctor: Any) -> None:
    patient = _caller(app, sample.claims)
    connection = await patient.call("connection.create", doctorId=str(doctor["id"]), connectionSource="direct_url")
    session = await patient.call("intake.create", connectionId=str(connection["id"]))
    for number, words in enumerate(sample.told):
        await patient.call(
            "intake.sendMessage",
            sessionId=str(session["id"]),
            content=words,
            clientMessageId=str(uuid5(_IDS, f"{sample.claims.subject} {number}")),
        )


def _caller(app: App, claims: Claims) -> Caller:
    return Caller(app.registry, app.door, Request("demo", claims))
