"""The procedures about people: user.*, patient.*, doctor.*, connection.*, admin.*."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator

from anamnesis.care import actions, views
from anamnesis.care.policy import access_connection, sees_patients
from anamnesis.care.store import PostgresCareStore
from anamnesis.kernel.clock import Clock
from anamnesis.kernel.errors import BadInput, NotFound
from anamnesis.kernel.javascript import UNDEFINED
from anamnesis.kernel.procedures import Allow, Context, Procedures, Rest
from anamnesis.kernel.text import clean
from anamnesis.schema import ONE_OF, Input, IsoDatetime, Maybe, UrlText, Uuid, custom, issue, number, text

MOST_LEFT_OUT: Final = 1_000_000
LONGEST_URL: Final = 2048
_NO_DOCTOR: Final = "You have no doctor profile yet."
_MOST_MONEY: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Care:
    """What these handlers work on."""

    store: PostgresCareStore
    clock: Clock
    origin: str


Call = Context[Care]
procedures = Procedures()


def _picture(url: str) -> str:
    """A picture's address is fetched by the browsers of other people: only over https, and nothing that runs."""
    if clean(url) != url or not url.lower().startswith("https://") or len(url) > LONGEST_URL:
        raise custom("Invalid url")
    return url


Picture = Annotated[UrlText, AfterValidator(_picture)]


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
    image_url: Maybe[Picture] = UNDEFINED


class Purpose(Input):
    """What a consent is about: the patient's words may be read by a model outside this system."""

    purpose: Annotated[Literal["outside_model"], ONE_OF]


class NewConsent(Purpose):
    """A consent, to this version of the words it was asked with: the one in force, which user.getConsents tells."""

    version: Annotated[str, text(1, 50)]


class Withdrawal(Purpose):
    """The end of a consent, whichever version it was given to."""

    version: Maybe[Annotated[str, text(0, 50)]] = UNDEFINED


class Slug(Input):
    """A doctor's public address."""

    slug: Annotated[str, text(1)]


class DoctorFields(Input):
    """What a doctor tells on joining."""

    specialty: Maybe[Annotated[str, text(1, 200)]] = UNDEFINED
    clinic_name: Maybe[Annotated[str, text(1, 200)]] = UNDEFINED
    bio: Maybe[Annotated[str, text(0, 2000)]] = UNDEFINED
    phone: Maybe[Annotated[str, text(0, 50)]] = UNDEFINED
    address: Maybe[Annotated[str, text(0, 500)]] = UNDEFINED


class DoctorChanges(DoctorFields):
    """What a doctor may change."""

    appointment_duration: Maybe[Annotated[int, number(whole=True, at_least=15, at_most=120)]] = UNDEFINED
    buffer_time: Maybe[Annotated[int, number(whole=True, at_least=0, at_most=60)]] = UNDEFINED
    max_daily_appointments: Maybe[Annotated[int, number(whole=True, at_least=1, at_most=100)]] = UNDEFINED
    consultation_fee: Maybe[Annotated[int, number(whole=True, at_least=0, at_most=_MOST_MONEY)]] = UNDEFINED


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
    reason: Maybe[Annotated[str, text(0, 500)]] = UNDEFINED


class Slice(Input):
    """Which part of a list: so many at most, after leaving out so many."""

    limit: Annotated[int, number(at_least=1, at_most=100)] = 20
    offset: Annotated[int, number(at_least=0, at_most=MOST_LEFT_OUT)] = 0


def given(fields: Input) -> dict[str, Any]:
    """The fields that came, by our names."""
    return {name: value for name in fields.model_fields_set if (value := getattr(fields, name)) is not UNDEFINED}


@procedures.query("user.me", output=views.Me, rest=Rest("GET", "/me"))
async def me(call: Call) -> views.Me:
    """The caller's account with its profiles."""
    store, user_id = call.services.store, call.person.user_id
    return views.me_of(await store.user(user_id), await store.patient(user_id), await store.doctor(user_id))


@procedures.query("user.getMe", output=views.User, rest=Rest("GET", "/me/account"))
async def get_me(call: Call) -> views.User:
    """The caller's account."""
    return views.User(**await call.services.store.user(call.person.user_id))


@procedures.mutation("user.updateProfile", input=NameFields, output=views.User, rest=Rest("PATCH", "/me/account"))
async def update_user(call: Call, body: NameFields) -> views.User:
    """Change the caller's names or picture."""
    return views.User(**await call.services.store.update_user(call.person, given(body)))


@procedures.query("user.getConsents", output=views.Consents, rest=Rest("GET", "/me/consents"))
async def get_consents(call: Call) -> views.Consents:
    """The caller's consents that stand, and the version of the words that are in force."""
    return _consents(call.services.store, await call.services.store.consents(call.person.user_id))


@procedures.mutation("user.giveConsent", input=NewConsent, output=views.Consents, rest=Rest("POST", "/me/consents"))
async def give_consent(call: Call, body: NewConsent) -> views.Consents:
    """Agree to a purpose in the words in force; the same again changes nothing."""
    store = call.services.store
    if body.version != store.in_force[body.purpose]:
        raise _other_words(store.in_force[body.purpose])
    return _consents(store, await store.give_consent(call.person, body.purpose, body.version))


@procedures.mutation(
    "user.withdrawConsent",
    input=Withdrawal,
    output=views.Consents,
    rest=Rest("POST", "/me/consents/withdrawal"),
)
async def withdraw_consent(call: Call, body: Withdrawal) -> views.Consents:
    """Take a consent back; it holds from the next message on."""
    store = call.services.store
    return _consents(store, await store.withdraw_consent(call.person, body.purpose))


def _other_words(version: str) -> BadInput:
    """Who agreed to other words, or to other readers, did not agree to these: better asked again than believed."""
    message = f"This is not the version of the words in force, {version}: ask with those"
    return BadInput(issues=(issue(message, "version"),))


def _consents(store: PostgresCareStore, rows: Sequence[Mapping[str, Any]]) -> views.Consents:
    words = [views.Words(purpose=purpose, version=version) for purpose, version in store.in_force.items()]
    return views.Consents(consents=[views.Consent(**row) for row in rows], in_force=words)


@procedures.query(
    "patient.getMyProfile", allow=Allow.PATIENT, output=views.PatientProfile, rest=Rest("GET", "/me/patient")
)
async def my_patient(call: Call) -> views.PatientProfile:
    """The caller's patient profile."""
    store, user_id = call.services.store, call.person.user_id
    patient = await store.patient(user_id)
    if patient is None:
        raise NotFound("You have no patient profile yet.")
    return views.patient_profile_of(patient, await store.user(user_id))


@procedures.mutation(
    "patient.updateProfile",
    allow=Allow.PATIENT,
    input=ProfileFields,
    output=views.Patient,
    rest=Rest("PATCH", "/me/patient"),
)
async def update_patient(call: Call, body: ProfileFields) -> views.Patient:
    """Change what is given of the caller's patient profile."""
    store, actor = call.services.store, call.person
    await actions.patient_of(actor, store=store)
    return views.Patient(**await store.update_patient(actor.user_id, given(body)))


@procedures.mutation(
    "patient.createProfile", input=ProfileFields, output=views.Patient, rest=Rest("POST", "/me/patient", 201)
)
async def create_patient(call: Call, body: ProfileFields) -> views.Patient:
    """Make the caller's patient profile; takes no role away."""
    return views.Patient(**await call.services.store.create_patient(call.person.user_id, given(body)))


@procedures.query("patient.hasProfile", output=views.HasProfile)
async def has_patient(call: Call) -> views.HasProfile:
    """Whether the caller has a patient profile."""
    return views.HasProfile(has_profile=call.person.patient_id is not None)


@procedures.query(
    "doctor.getBySlug", allow=Allow.PUBLIC, input=Slug, output=views.PublicDoctor, rest=Rest("GET", "/doctors/{slug}")
)
async def doctor_by_slug(call: Call, body: Slug) -> views.PublicDoctor:
    """What anybody may see of a doctor."""
    found = await call.services.store.doctor_by_slug(body.slug)
    if found is None:
        raise NotFound("There is no such doctor.")
    return views.public_doctor_of(found, _share(call, found))


@procedures.mutation(
    "doctor.createProfile", input=DoctorFields, output=views.DoctorProfile, rest=Rest("POST", "/me/doctor", 201)
)
async def create_doctor(call: Call, body: DoctorFields) -> views.DoctorProfile:
    """Make the caller a doctor who sees nobody until an operator has verified them."""
    store = call.services.store
    doctor = await store.create_doctor(call.person, given(body))
    return views.doctor_profile_of(doctor, await store.user(doctor["user_id"]), _share(call, doctor))


@procedures.query("doctor.getMyProfile", allow=Allow.DOCTOR, output=views.DoctorProfile, rest=Rest("GET", "/me/doctor"))
async def my_doctor(call: Call) -> views.DoctorProfile:
    """The caller's doctor profile."""
    doctor = await _own_doctor(call)
    return views.doctor_profile_of(doctor, await call.services.store.user(call.person.user_id), _share(call, doctor))


@procedures.mutation(
    "doctor.updateProfile",
    allow=Allow.DOCTOR,
    input=DoctorChanges,
    output=views.SharedDoctor,
    rest=Rest("PATCH", "/me/doctor"),
)
async def update_doctor(call: Call, body: DoctorChanges) -> views.SharedDoctor:
    """Change what is given of the caller's doctor profile."""
    doctor = await call.services.store.update_doctor(call.person, given(body))
    if doctor is None:
        raise NotFound(_NO_DOCTOR)
    return views.SharedDoctor(**doctor, share_url=_share(call, doctor))


@procedures.query("doctor.hasProfile", output=views.HasProfile)
async def has_doctor(call: Call) -> views.HasProfile:
    """Whether the caller has a doctor profile."""
    return views.HasProfile(has_profile=call.person.doctor_id is not None)


@procedures.query(
    "doctor.getShareUrl", allow=Allow.DOCTOR, output=views.ShareUrl, rest=Rest("GET", "/me/doctor/share-url")
)
async def share_url(call: Call) -> views.ShareUrl:
    """The public address where patients connect to the caller."""
    doctor = await _own_doctor(call)
    return views.ShareUrl(share_url=_share(call, doctor), slug=doctor["slug"])


@procedures.query(
    "doctor.getQRCode", allow=Allow.DOCTOR, output=views.ShareCode, rest=Rest("GET", "/me/doctor/qr-code")
)
async def share_code(call: Call) -> views.ShareCode:
    """The public address as a QR code."""
    return views.share_code_of(_share(call, await _own_doctor(call)))


@procedures.mutation("doctor.regenerateQRCode", allow=Allow.DOCTOR, output=views.ShareCode)
async def regenerate_share_code(call: Call) -> views.ShareCode:
    """The QR code again: it is made of the public address each time, so it is never an old one."""
    return views.share_code_of(_share(call, await _own_doctor(call)))


@procedures.query("doctor.getQRCodeDownload", allow=Allow.DOCTOR, output=views.ShareCodeFile)
async def share_code_file(call: Call) -> views.ShareCodeFile:
    """The QR code as a file to print."""
    doctor = await _own_doctor(call)
    data = views.code_of(_share(call, doctor))
    return views.ShareCodeFile(data=data, mime_type="image/png", filename=f"{doctor['slug']}.png")


@procedures.mutation(
    "connection.create",
    allow=Allow.PATIENT,
    input=NewConnection,
    output=views.Connection,
    rest=Rest("POST", "/connections", 201),
)
async def create_connection(call: Call, body: NewConnection) -> views.Connection:
    """Connect the calling patient to a verified doctor."""
    source = given(body).get("connection_source")
    return views.Connection(**await actions.connect(call.person, body.doctor_id, source, store=call.services.store))


@procedures.query(
    "connection.getMyConnections",
    input=ConnectionStatusFilter,
    input_optional=True,
    output=views.MyConnections,
    rest=Rest("GET", "/connections"),
)
async def my_connections(call: Call, body: ConnectionStatusFilter | None) -> views.MyConnections:
    """The caller's connections; a patient profile wins over a doctor's, and an unverified doctor has none."""
    store, actor = call.services.store, call.person
    status = body.status if body else "active"
    if actor.patient_id is not None:
        rows = await store.connections_of_patient(actor.patient_id, status)
        return views.MyConnections(connections=[views.connection_of_patient(row) for row in rows], role="patient")
    if actor.doctor_id is not None:
        rows = await store.connections_of_doctor(actor.doctor_id, status) if sees_patients(actor) else []
        return views.MyConnections(connections=[views.connection_of_doctor(row) for row in rows], role="doctor")
    return views.MyConnections(connections=[], role=None)


@procedures.mutation(
    "connection.disconnect",
    input=ConnectionRef,
    output=views.Connection,
    rest=Rest("DELETE", "/connections/{connectionId}"),
)
async def disconnect(call: Call, body: ConnectionRef) -> views.Connection:
    """End a connection, for either of its two people."""
    care = call.services
    row = await actions.disconnect(call.person, body.connection_id, store=care.store, clock=care.clock)
    return views.Connection(**row)


@procedures.query(
    "connection.getById",
    input=ConnectionRef,
    output=views.ConnectionDetail,
    rest=Rest("GET", "/connections/{connectionId}"),
)
async def connection_by_id(call: Call, body: ConnectionRef) -> views.ConnectionDetail:
    """One connection with both people."""
    store = call.services.store
    access_connection(call.person, await store.link_of_connection(body.connection_id), writing=False)
    return views.connection_detail_of(await store.connection_with_people(body.connection_id))


@procedures.query(
    "admin.getPendingDoctors",
    allow=Allow.ADMIN,
    input=Slice,
    input_optional=True,
    output=views.PendingDoctors,
    rest=Rest("GET", "/doctors/pending"),
)
async def pending_doctors(call: Call, body: Slice | None) -> views.PendingDoctors:
    """Doctors nobody has verified or rejected yet, oldest first."""
    limit, offset = (int(body.limit), int(body.offset)) if body else (20, 0)
    rows, total = await call.services.store.pending_doctors(limit=limit, offset=offset)
    doctors = [views.pending_doctor_of(row) for row in rows]
    return views.PendingDoctors(doctors=doctors, total=total, limit=limit, offset=offset)


@procedures.mutation("admin.verifyDoctor", allow=Allow.ADMIN, input=Decision, output=views.Doctor)
async def verify_doctor(call: Call, body: Decision) -> views.Doctor:
    """Verify or reject a doctor; either can be changed later."""
    reason, approve = given(body).get("reason"), body.action == "approve"
    store = call.services.store
    return views.Doctor(**await store.decide_on_doctor(call.person, body.doctor_id, approve=approve, reason=reason))


async def _own_doctor(call: Call) -> Mapping[str, Any]:
    doctor = await call.services.store.doctor(call.person.user_id)
    if doctor is None:
        raise NotFound(_NO_DOCTOR)
    return doctor


def _share(call: Call, doctor: Mapping[str, Any]) -> str:
    return f"{call.services.origin}/connect/{doctor['slug']}"
