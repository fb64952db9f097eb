"""The procedures about people: user.*, patient.*, doctor.*, connection.*, admin.*."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from anamnesis.care import actions
from anamnesis.care.policy import access_connection
from anamnesis.care.store import PostgresCareStore
from anamnesis.kernel.clock import Clock
from anamnesis.kernel.errors import NotFound
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Allow, Context, Procedures, Rest
from anamnesis.schema import ONE_OF, Boolean, Input, IsoDatetime, Maybe, Output, UrlText, Uuid, text


@dataclass(frozen=True, slots=True)
class Care:
    """What these handlers work on."""

    store: PostgresCareStore
    clock: Clock
    origin: str


Call = Context[Care]
procedures = Procedures()


class User(Output):
    """An account."""

    id: UUID
    clerk_id: str
    email: str | None
    first_name: str | None
    last_name: str | None
    image_url: str | None
    primary_role: str
    is_active: bool
    created_at: datetime
    updated_at: datetime


class Patient(Output):
    """A patient's own profile."""

    id: UUID
    user_id: UUID
    date_of_birth: datetime | None
    gender: str | None
    phone: str | None
    emergency_contact: str | None
    emergency_phone: str | None
    created_at: datetime
    updated_at: datetime


class Doctor(Output):
    """A doctor's profile."""

    id: UUID
    user_id: UUID
    slug: str
    specialty: str | None
    clinic_name: str | None
    bio: str | None
    phone: str | None
    address: str | None
    verification_status: str
    verified_at: datetime | None
    verified_by: UUID | None
    rejection_reason: str | None
    consultation_fee: int | None
    accepts_payments: bool
    appointment_duration: int
    buffer_time: int
    max_daily_appointments: int
    qr_code_url: str | None
    created_at: datetime
    updated_at: datetime


class Me(User):
    """An account with its profiles."""

    patient: Patient | None
    doctor: Doctor | None


class Names(Output):
    """How somebody is shown to the other side."""

    first_name: str | None
    last_name: str | None
    image_url: str | None


class NamesAndEmail(Names):
    """The same for a doctor's eyes."""

    email: str | None


class OwnNames(NamesAndEmail):
    """The same with the account's id, for its owner."""

    id: UUID


class PatientProfile(Patient):
    """A patient's profile with the account's names."""

    user: OwnNames


class DoctorProfile(Doctor):
    """A doctor's own profile with the share link."""

    share_url: str
    user: OwnNames


class PublicDoctor(Output):
    """What anybody may see of a doctor."""

    id: UUID
    slug: str
    specialty: str | None
    clinic_name: str | None
    bio: str | None
    verification_status: str
    appointment_duration: int
    consultation_fee: int | None
    accepts_payments: bool
    user: Names
    share_url: str
    qr_code_url: str | None


class Connection(Output):
    """A patient and a doctor who agreed to talk."""

    id: UUID
    patient_id: UUID
    doctor_id: UUID
    status: str
    connection_source: str | None
    connected_at: datetime
    disconnected_at: datetime | None
    created_at: datetime


class ConnectedDoctor(Output):
    """The doctor of a connection."""

    id: UUID
    slug: str
    specialty: str | None
    clinic_name: str | None
    verification_status: str
    user: Names


class ConnectedPatient(Output):
    """The patient of a connection."""

    id: UUID
    user: NamesAndEmail


class ConnectionOfPatient(Connection):
    """A connection as its patient sees it."""

    doctor: ConnectedDoctor


class ConnectionOfDoctor(Connection):
    """A connection as its doctor sees it."""

    patient: ConnectedPatient


class ConnectionDetail(ConnectionOfPatient):
    """A connection with both people."""

    patient: ConnectedPatient


class MyConnections(Output):
    """The caller's connections, and as whom."""

    connections: list[ConnectionOfPatient | ConnectionOfDoctor]
    role: str | None


class PendingDoctor(Doctor):
    """A doctor to be verified, with the account's names."""

    user: NamesAndEmail


class PendingDoctors(Output):
    """Doctors to be verified, oldest first."""

    doctors: list[PendingDoctor]


class HasProfile(Output):
    """Whether there is a profile."""

    has_profile: bool


class ProfileFields(Input):
    """What a patient tells of themself."""

    date_of_birth: Maybe[IsoDatetime] = UNDEFINED
    gender: Maybe[Annotated[Literal["male", "female", "other", "prefer_not_to_say"], ONE_OF]] = UNDEFINED
    phone: Maybe[Annotated[str, text(0, 50)]] = UNDEFINED
    emergency_contact: Maybe[Annotated[str, text(0, 200)]] = UNDEFINED
    emergency_phone: Maybe[Annotated[str, text(0, 50)]] = UNDEFINED


class NameFields(Input):
    """What a user may change of the account."""

    first_name: Maybe[Annotated[str, text(1, 100)]] = UNDEFINED
    last_name: Maybe[Annotated[str, text(1, 100)]] = UNDEFINED
    image_url: Maybe[UrlText] = UNDEFINED


class Slug(Input):
    """A doctor's public address."""

    slug: Annotated[str, text()]


class DoctorFields(Input):
    """What a doctor tells on joining."""

    specialty: Maybe[Annotated[str, text(1, 200)]] = UNDEFINED
    clinic_name: Maybe[Annotated[str, text(1, 200)]] = UNDEFINED
    bio: Maybe[Annotated[str, text(0, 2000)]] = UNDEFINED
    phone: Maybe[Annotated[str, text(0, 50)]] = UNDEFINED
    address: Maybe[Annotated[str, text(0, 500)]] = UNDEFINED


class NewConnection(Input):
    """Whom to connect to, and how the patient got there."""

    doctor_id: Uuid
    connection_source: Maybe[Annotated[Literal["qr_scan", "direct_url", "referral"], ONE_OF]] = UNDEFINED


class ConnectionStatusFilter(Input):
    """Which connections to list."""

    status: Annotated[Literal["active", "disconnected", "blocked", "all"], ONE_OF] = "active"


class ConnectionRef(Input):
    """One connection."""

    connection_id: Uuid


class Decision(Input):
    """What to do about a doctor who waits."""

    doctor_id: Uuid
    action: Annotated[Literal["approve", "reject"], ONE_OF]
    reason: Maybe[Annotated[str, text(0, 1000)]] = UNDEFINED
    notify: Maybe[Boolean] = UNDEFINED


def given(fields: Input) -> dict[str, Any]:
    """The fields that came, by our names."""
    return {name: value for name in fields.model_fields_set if (value := getattr(fields, name)) is not UNDEFINED}


@procedures.query("user.me", output=Me, rest=Rest("GET", "/me"))
async def me(call: Call) -> Me:
    """The caller's account with its profiles."""
    store, user_id = call.services.store, call.actor.user_id  # type: ignore[union-attr]  # protected: never a visitor
    patient, doctor = await store.patient(user_id), await store.doctor(user_id)
    return Me(
        **await store.user(user_id),
        patient=Patient(**patient) if patient else None,
        doctor=Doctor(**doctor) if doctor else None,
    )


@procedures.query("user.getMe", output=User, rest=Rest("GET", "/me/account"))
async def get_me(call: Call) -> User:
    """The caller's account."""
    return User(**await call.services.store.user(call.actor.user_id))  # type: ignore[union-attr]  # protected


@procedures.mutation("user.updateProfile", input=NameFields, output=User, rest=Rest("PATCH", "/me/account"))
async def update_user(call: Call, body: NameFields) -> User:
    """Change the caller's names or picture."""
    return User(**await call.services.store.update_user(call.actor, given(body)))  # type: ignore[arg-type]  # protected


@procedures.query("patient.getMyProfile", allow=Allow.PATIENT, output=PatientProfile, rest=Rest("GET", "/me/patient"))
async def my_patient(call: Call) -> PatientProfile:
    """The caller's patient profile."""
    store, user_id = call.services.store, call.actor.user_id  # type: ignore[union-attr]  # protected
    patient = await store.patient(user_id)
    if patient is None:
        raise NotFound("You have no patient profile yet.")
    return PatientProfile(**patient, user=_own_names(await store.user(user_id)))


@procedures.mutation(
    "patient.updateProfile", allow=Allow.PATIENT, input=ProfileFields, output=Patient, rest=Rest("PATCH", "/me/patient")
)
async def update_patient(call: Call, body: ProfileFields) -> Patient:
    """Change what is given of the caller's patient profile."""
    store, actor = call.services.store, call.actor
    await actions.patient_of(actor, store=store)  # type: ignore[arg-type]  # protected
    return Patient(**await store.update_patient(actor.user_id, given(body)))  # type: ignore[union-attr]  # protected


@procedures.mutation(
    "patient.createProfile", input=ProfileFields, output=Patient, rest=Rest("POST", "/me/patient", 201)
)
async def create_patient(call: Call, body: ProfileFields) -> Patient:
    """Make the caller's patient profile; takes no role away."""
    return Patient(**await call.services.store.create_patient(call.actor.user_id, given(body)))  # type: ignore[union-attr]  # protected


@procedures.query("patient.hasProfile", output=HasProfile)
async def has_patient(call: Call) -> HasProfile:
    """Whether the caller has a patient profile."""
    return HasProfile(has_profile=call.actor.patient_id is not None)  # type: ignore[union-attr]  # protected


@procedures.query(
    "doctor.getBySlug", allow=Allow.PUBLIC, input=Slug, output=PublicDoctor, rest=Rest("GET", "/doctors/{slug}")
)
async def doctor_by_slug(call: Call, body: Slug) -> PublicDoctor:
    """What anybody may see of a doctor."""
    found = await call.services.store.doctor_by_slug(body.slug)
    if found is None:
        raise NotFound("There is no such doctor.")
    doctor, user = found
    return PublicDoctor(**_only(PublicDoctor, doctor), user=Names(**_only(Names, user)), share_url=_share(call, doctor))


@procedures.mutation(
    "doctor.createProfile", input=DoctorFields, output=DoctorProfile, rest=Rest("POST", "/me/doctor", 201)
)
async def create_doctor(call: Call, body: DoctorFields) -> DoctorProfile:
    """Make the caller a doctor who sees nobody until an operator has verified them."""
    store = call.services.store
    doctor = await store.create_doctor(call.actor, given(body))  # type: ignore[arg-type]  # protected
    user = await store.user(doctor["user_id"])
    return DoctorProfile(**doctor, share_url=_share(call, doctor), user=_own_names(user))


@procedures.query("doctor.getMyProfile", allow=Allow.DOCTOR, output=DoctorProfile, rest=Rest("GET", "/me/doctor"))
async def my_doctor(call: Call) -> DoctorProfile:
    """The caller's doctor profile."""
    store, user_id = call.services.store, call.actor.user_id  # type: ignore[union-attr]  # protected
    doctor = await store.doctor(user_id)
    if doctor is None:
        raise NotFound("You have no doctor profile yet.")
    return DoctorProfile(**doctor, share_url=_share(call, doctor), user=_own_names(await store.user(user_id)))


@procedures.mutation(
    "connection.create",
    allow=Allow.PATIENT,
    input=NewConnection,
    output=Connection,
    rest=Rest("POST", "/connections", 201),
)
async def create_connection(call: Call, body: NewConnection) -> Connection:
    """Connect the calling patient to a verified doctor."""
    source = given(body).get("connection_source")
    return Connection(**await actions.connect(call.actor, body.doctor_id, source, store=call.services.store))  # type: ignore[arg-type]  # protected


@procedures.query(
    "connection.getMyConnections",
    input=ConnectionStatusFilter,
    input_optional=True,
    output=MyConnections,
    rest=Rest("GET", "/connections"),
)
async def my_connections(call: Call, body: ConnectionStatusFilter | None) -> MyConnections:
    """The caller's connections; a patient profile wins over a doctor's."""
    store, actor = call.services.store, call.actor
    status = body.status if body else "active"
    if actor.patient_id is not None:  # type: ignore[union-attr]  # protected
        rows = await store.connections(patient_id=actor.patient_id, status=status)  # type: ignore[union-attr]  # protected
        return MyConnections(connections=[ConnectionOfPatient(**_connected(row)) for row in rows], role="patient")
    if actor.doctor_id is not None:  # type: ignore[union-attr]  # protected
        rows = await store.connections(doctor_id=actor.doctor_id, status=status)  # type: ignore[union-attr]  # protected
        return MyConnections(connections=[ConnectionOfDoctor(**_connected(row)) for row in rows], role="doctor")
    return MyConnections(connections=[], role=None)


@procedures.mutation(
    "connection.disconnect", input=ConnectionRef, output=Connection, rest=Rest("DELETE", "/connections/{connectionId}")
)
async def disconnect(call: Call, body: ConnectionRef) -> Connection:
    """End a connection, for either of its two people."""
    care = call.services
    row = await actions.disconnect(call.actor, body.connection_id, store=care.store, clock=care.clock)  # type: ignore[arg-type]  # protected
    return Connection(**row)


@procedures.query(
    "connection.getById", input=ConnectionRef, output=ConnectionDetail, rest=Rest("GET", "/connections/{connectionId}")
)
async def connection_by_id(call: Call, body: ConnectionRef) -> ConnectionDetail:
    """One connection with both people."""
    store = call.services.store
    access_connection(call.actor, await store.link_of_connection(body.connection_id), writing=False)  # type: ignore[arg-type]  # protected
    (row,) = await store.connections(one=body.connection_id)
    return ConnectionDetail(**_connected(row))


@procedures.query(
    "admin.getPendingDoctors", allow=Allow.ADMIN, output=PendingDoctors, rest=Rest("GET", "/doctors/pending")
)
async def pending_doctors(call: Call) -> PendingDoctors:
    """Doctors nobody has verified or rejected yet."""
    pairs = await call.services.store.pending_doctors()
    return PendingDoctors(
        doctors=[PendingDoctor(**doctor, user=NamesAndEmail(**_only(NamesAndEmail, user))) for doctor, user in pairs]
    )


@procedures.mutation("admin.verifyDoctor", allow=Allow.ADMIN, input=Decision, output=Doctor)
async def verify_doctor(call: Call, body: Decision) -> Doctor:
    """Verify or reject a doctor."""
    fields = given(body)
    return Doctor(
        **await call.services.store.decide_on_doctor(
            call.actor,  # type: ignore[arg-type]  # admin
            body.doctor_id,
            approve=body.action == "approve",
            reason=fields.get("reason"),
        )
    )


def _share(call: Call, doctor: Mapping[str, Any]) -> str:
    return f"{call.services.origin}/connect/{doctor['slug']}"


def _only(shape: type[Output], row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in shape.model_fields if name in row}


def _own_names(user: Mapping[str, Any]) -> OwnNames:
    return OwnNames(**_only(OwnNames, user))


def _connected(row: Mapping[str, Any]) -> dict[str, Any]:
    """A connection's row with its two people as the wire nests them."""

    def names(who: str) -> dict[str, Any]:
        return {name: row[f"{who}_{name}"] for name in ("first_name", "last_name", "image_url")}

    doctor = ConnectedDoctor(
        id=row["doctor_id"],
        **{name: row[name] for name in ("slug", "specialty", "clinic_name", "verification_status")},
        user=Names(**names("doctor")),
    )
    patient = ConnectedPatient(id=row["patient_id"], user=NamesAndEmail(**names("patient"), email=row["patient_email"]))
    return {**_only(Connection, row), "doctor": doctor, "patient": patient}
