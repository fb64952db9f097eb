"""What people may see of themselves and of each other, as types: what is no field of a type cannot leak through it."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import segno

from anamnesis.care.model import ConnectionStatus
from anamnesis.care.policy import names_patient_to_doctor
from anamnesis.schema import Output

Row = Mapping[str, Any]
#: Pixels for each dot of a QR code.
_DOTS: Final = 8


class Consent(Output):
    """A consent that stands."""

    purpose: str
    version: str
    given_at: datetime


class Words(Output):
    """The version of the words of a purpose that is asked now."""

    purpose: str
    version: str


class Consents(Output):
    """The consents that stand; one that is not listed was not given, was given to earlier words, or was taken back."""

    consents: list[Consent]
    in_force: list[Words]


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


class SharedDoctor(Doctor):
    """A doctor's profile with its public address."""

    share_url: str


class ShareUrl(Output):
    """A doctor's public address."""

    share_url: str
    slug: str


class ShareCode(Output):
    """A doctor's public address, and its QR code as an address of its own (a PNG inside it)."""

    qr_code_url: str
    share_url: str


class ShareCodeFile(Output):
    """The QR code of a doctor's public address as a file; data is in base64."""

    data: str
    mime_type: str
    filename: str


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
    """One page of the doctors to be verified, oldest first; total counts all of them."""

    doctors: list[PendingDoctor]
    total: int
    limit: int
    offset: int


class HasProfile(Output):
    """Whether there is a profile."""

    has_profile: bool


def me_of(user: Row, patient: Row | None, doctor: Row | None) -> Me:
    """An account with the profiles it has."""
    return Me(**user, patient=Patient(**patient) if patient else None, doctor=Doctor(**doctor) if doctor else None)


def code_of(share_url: str) -> str:
    """A QR code of the address as a PNG, in base64: big enough to print, with room around it to be read from paper."""
    drawn = BytesIO()
    segno.make(share_url, error="m").save(drawn, kind="png", scale=_DOTS, border=4)
    return b64encode(drawn.getvalue()).decode()


def share_code_of(share_url: str) -> ShareCode:
    """The QR code of the address, as an address itself."""
    return ShareCode(qr_code_url=f"data:image/png;base64,{code_of(share_url)}", share_url=share_url)


def patient_profile_of(patient: Row, user: Row) -> PatientProfile:
    """A patient's own profile."""
    return PatientProfile(**patient, user=OwnNames(**_only(OwnNames, user)))


def doctor_profile_of(doctor: Row, user: Row, share_url: str) -> DoctorProfile:
    """A doctor's own profile."""
    return DoctorProfile(**doctor, share_url=share_url, user=OwnNames(**_only(OwnNames, user)))


def public_doctor_of(row: Row, share_url: str) -> PublicDoctor:
    """A doctor for anybody's eyes, of a row that holds the account's names too."""
    return PublicDoctor(**_only(PublicDoctor, row), user=Names(**_only(Names, row)), share_url=share_url)


def pending_doctor_of(row: Row) -> PendingDoctor:
    """A doctor to be verified, of a row that holds the account's names too."""
    return PendingDoctor(**_only(Doctor, row), user=NamesAndEmail(**_only(NamesAndEmail, row)))


def connection_of_patient(row: Row) -> ConnectionOfPatient:
    """A connection for its patient, of a row with both people's names."""
    return ConnectionOfPatient(**_only(Connection, row), doctor=_doctor_in(row))


def connection_of_doctor(row: Row) -> ConnectionOfDoctor:
    """A connection for its doctor: that it ended is the doctor's to know, who the patient was no longer is."""
    shown = names_patient_to_doctor(ConnectionStatus(row["status"]))
    return ConnectionOfDoctor(**_only(Connection, row), patient=_patient_in(row) if shown else _nameless_in(row))


def connection_detail_of(row: Row) -> ConnectionDetail:
    """A connection with both people, of a row with both people's names."""
    return ConnectionDetail(**_only(Connection, row), doctor=_doctor_in(row), patient=_patient_in(row))


def _doctor_in(row: Row) -> ConnectedDoctor:
    about = {name: row[name] for name in ("slug", "specialty", "clinic_name", "verification_status")}
    return ConnectedDoctor(id=row["doctor_id"], **about, user=Names(**_names(row, "doctor")))


def _patient_in(row: Row) -> ConnectedPatient:
    user = NamesAndEmail(**_names(row, "patient"), email=row["patient_email"])
    return ConnectedPatient(id=row["patient_id"], user=user)


def _nameless_in(row: Row) -> ConnectedPatient:
    nobody = NamesAndEmail(first_name=None, last_name=None, image_url=None, email=None)
    return ConnectedPatient(id=row["patient_id"], user=nobody)


def _names(row: Row, who: str) -> dict[str, Any]:
    return {name: row[f"{who}_{name}"] for name in Names.model_fields}


def _only(shape: type[Output], row: Row) -> dict[str, Any]:
    return {name: row[name] for name in shape.model_fields if name in row}
