"""People and connections in PostgreSQL."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
import structlog

from anamnesis.care.actions import slug_for
from anamnesis.care.model import AccountEvent, CareLink, ConnectionStatus, KnownDoctor, Spend
from anamnesis.clinical.record import record_of_urgency, record_to_json
from anamnesis.clinical.terms import Acuity
from anamnesis.db.auditing import write
from anamnesis.db.encryption import ACCOUNT_REASONS, SESSIONS, Keyring
from anamnesis.db.postgres import Connection, Database
from anamnesis.db.rates import ONE_MORE
from anamnesis.db.viewing import Purpose, at_work, now_a_patient, viewing
from anamnesis.kernel.consents import IN_FORCE
from anamnesis.kernel.errors import AnamnesisError, Conflict, NotFound, NotPermitted
from anamnesis.kernel.identity import Claims, ConnectionId, DoctorId, PatientId, Person, Role, UserId
from anamnesis.kernel.trail import Trail, concerns, following, present

Row = Mapping[str, Any]
_log: Final = structlog.get_logger("anamnesis.care")

#: What a list calls a case that cannot be opened.
UNREADABLE: Final = "This interview cannot be read at the moment"

_PERSON: Final = """
SELECT p.id, p.primary_role, p.is_active, p.patient_id, p.doctor_id, p.is_verified, p.opened"""
_FIND: Final = _PERSON + " FROM person_of($1) p"

_SPEND: Final = f"""
INSERT INTO rate_windows AS r (key, ends_at, used) VALUES ($1, clock_timestamp() + interval '1 minute', 1){ONE_MORE}
RETURNING used, extract(epoch FROM ends_at - clock_timestamp()) AS left_s"""  # noqa: S608 - a text of our own

# The call is counted and its caller found in one round trip.
_SPEND_AND_FIND: Final = (
    "WITH spent AS (" + _SPEND + ")" + _PERSON + ", spent.used, spent.left_s FROM person_of($2) p CROSS JOIN spent"
)

_IS_GONE: Final = """
SELECT NOT EXISTS (SELECT FROM users WHERE id = $1)
    OR EXISTS (SELECT FROM unnest($2::uuid[]) AS p WHERE NOT EXISTS (SELECT FROM patients WHERE id = p)) AS is_gone"""

_LINK: Final = """
SELECT id, patient_id, doctor_id, status, patient_user_id, doctor_user_id, is_verified, is_there
FROM link_of_connection($1)"""

#: The same by what a call is about.
_LINKS: Final = {"connection": _LINK, "intake_session": _LINK.replace("link_of_connection", "link_of_session")}

_USER: Final = """
SELECT id, clerk_id, email, first_name, last_name, image_url, primary_role::text AS primary_role, is_active,
       created_at, updated_at
FROM users WHERE id = $1"""

_PATIENT: Final = """
SELECT id, user_id, date_of_birth, gender, phone, emergency_contact, emergency_phone, created_at, updated_at
FROM patients WHERE user_id = $1"""

_DOCTOR: Final = """
SELECT id, user_id, slug, specialty, clinic_name, bio, phone, address,
       verification_status::text AS verification_status, verified_at, verified_by,
       rejection_reason, consultation_fee, accepts_payments, appointment_duration, buffer_time,
       max_daily_appointments, qr_code_url, created_at, updated_at
FROM doctors WHERE user_id = $1"""

_DOCTOR_BY_SLUG: Final = """
SELECT d.id, d.slug, d.specialty, d.clinic_name, d.bio, d.verification_status::text AS verification_status,
       d.appointment_duration, d.consultation_fee, d.accepts_payments, d.qr_code_url,
       u.first_name, u.last_name, u.image_url
FROM doctors d JOIN users u ON u.id = d.user_id WHERE d.slug = $1 AND u.is_active"""

_DOCTORS_PENDING: Final = """
SELECT d.id, d.user_id, d.slug, d.specialty, d.clinic_name, d.bio, d.phone, d.address,
       d.verification_status::text AS verification_status, d.verified_at, d.verified_by,
       d.rejection_reason, d.consultation_fee, d.accepts_payments, d.appointment_duration, d.buffer_time,
       d.max_daily_appointments, d.qr_code_url, d.created_at, d.updated_at,
       u.first_name, u.last_name, u.image_url, u.email
FROM doctors d JOIN users u ON u.id = d.user_id
WHERE d.verification_status = 'pending' ORDER BY d.created_at, d.id LIMIT $1 OFFSET $2"""

_KNOWN_DOCTOR: Final = """
SELECT d.id, d.user_id, d.verification_status = 'verified' AS is_verified, u.is_active
FROM doctors d JOIN users u ON u.id = d.user_id WHERE d.id = $1"""

_CONNECTION: Final = """
SELECT id, patient_id, doctor_id, status::text AS status, connection_source, connected_at, disconnected_at, created_at
FROM connections WHERE id = $1"""

#: A doctor whose patient has left still finds the connection, and nobody behind it.
_WITH_PEOPLE: Final = """
SELECT c.id, c.patient_id, c.doctor_id, c.status::text AS status, c.connection_source, c.connected_at,
       c.disconnected_at, c.created_at, d.slug, d.specialty, d.clinic_name,
       d.verification_status::text AS verification_status,
       du.first_name AS doctor_first_name, du.last_name AS doctor_last_name, du.image_url AS doctor_image_url,
       pu.first_name AS patient_first_name, pu.last_name AS patient_last_name, pu.image_url AS patient_image_url,
       pu.email AS patient_email
FROM connections c
JOIN doctors d ON d.id = c.doctor_id JOIN users du ON du.id = d.user_id
LEFT JOIN patients p ON p.id = c.patient_id LEFT JOIN users pu ON pu.id = p.user_id
"""
_OF_ONE: Final = _WITH_PEOPLE + "WHERE c.id = $1"
# One condition per list, not one for all: a statement planned once must find its own index.
_OF_PATIENT: Final = (
    _WITH_PEOPLE + "WHERE c.patient_id = $1 AND ($2 = 'all' OR c.status::text = $2) ORDER BY c.connected_at DESC, c.id"
)
_OF_DOCTOR: Final = (
    _WITH_PEOPLE + "WHERE c.doctor_id = $1 AND ($2 = 'all' OR c.status::text = $2) ORDER BY c.connected_at DESC, c.id"
)

_AUDIT: Final = """
INSERT INTO audit_logs (user_id, action, resource_type, resource_id, metadata) VALUES ($1, $2, $3, $4, $5)"""

_ACCOUNT_REASON: Final = "INSERT INTO account_reasons (id, user_id, reason) VALUES ($1, $2, $3)"

_NOTIFY: Final = """
INSERT INTO notifications (user_id, type, title, message, data) VALUES ($1, $2, $3, $4, $5)"""

_GIVE_CONSENT: Final = """
INSERT INTO consents (user_id, purpose, version) VALUES ($1, $2, $3)
ON CONFLICT (user_id, purpose) WHERE withdrawn_at IS NULL DO NOTHING"""

#: With a version, only what is no consent to it: to other words, or given before the last withdrawal.
_WITHDRAW_CONSENT: Final = """
UPDATE consents c SET withdrawn_at = clock_timestamp()
WHERE user_id = $1 AND purpose = $2 AND withdrawn_at IS NULL AND ($3::text IS NULL OR version <> $3 OR EXISTS (
    SELECT FROM consents taken_back WHERE taken_back.user_id = c.user_id AND taken_back.purpose = c.purpose
    AND taken_back.withdrawn_at > c.given_at))"""

_CONSENTS: Final = """
SELECT purpose, version, given_at FROM consents c JOIN unnest($2::text[], $3::text[]) AS force (purpose, version)
       USING (purpose, version)
WHERE user_id = $1 AND withdrawn_at IS NULL AND NOT EXISTS (
    SELECT FROM consents taken_back WHERE taken_back.user_id = c.user_id AND taken_back.purpose = c.purpose
    AND taken_back.withdrawn_at > c.given_at)
ORDER BY purpose"""

_UPDATE_PATIENT: Final = """
UPDATE patients SET date_of_birth = coalesce($2, date_of_birth), gender = coalesce($3, gender),
       phone = coalesce($4, phone), emergency_contact = coalesce($5, emergency_contact),
       emergency_phone = coalesce($6, emergency_phone), updated_at = clock_timestamp()
WHERE user_id = $1"""


_OF_DOCTOR_OWN: Final = (
    "specialty", "clinic_name", "bio", "phone", "address", "appointment_duration", "buffer_time",
    "max_daily_appointments", "consultation_fee",
)  # fmt: skip
_UPDATE_DOCTOR: Final = """
UPDATE doctors SET specialty = coalesce($2, specialty), clinic_name = coalesce($3, clinic_name),
       bio = coalesce($4, bio), phone = coalesce($5, phone), address = coalesce($6, address),
       appointment_duration = coalesce($7, appointment_duration), buffer_time = coalesce($8, buffer_time),
       max_daily_appointments = coalesce($9, max_daily_appointments),
       consultation_fee = coalesce($10, consultation_fee), updated_at = clock_timestamp()
WHERE user_id = $1 RETURNING id"""


# An account that was closed here stays closed; one that is deleted is closed, and stays known so that an older event
# that comes later does not bring it back. Being deleted is the end of an account, whatever was told of it since.
_SETTLE_ACCOUNT: Final = """
INSERT INTO users AS u (clerk_id, email, first_name, last_name, image_url, is_active, told_at)
VALUES ($1, $2, $3, $4, $5, NOT $6, $7)
ON CONFLICT (clerk_id) DO UPDATE
SET email = CASE WHEN $6 THEN u.email ELSE excluded.email END,
    first_name = CASE WHEN $6 THEN u.first_name ELSE excluded.first_name END,
    last_name = CASE WHEN $6 THEN u.last_name ELSE excluded.last_name END,
    image_url = CASE WHEN $6 THEN u.image_url ELSE excluded.image_url END,
    is_active = u.is_active AND NOT $6, told_at = greatest(u.told_at, $7), updated_at = clock_timestamp()
WHERE u.told_at IS NULL OR u.told_at <= $7 OR $6
RETURNING id"""


@dataclass(frozen=True, slots=True)
class PostgresCareStore:
    """Implements CareStore, and the reads this slice's procedures show."""

    database: Database
    in_force: Mapping[str, str] = field(default_factory=lambda: IN_FORCE)

    async def find_person(self, subject: str, spend: Spend | None = None) -> tuple[Person, bool] | None:
        """The person of this identity and whether the account is active; with spend the call is counted."""
        if spend is None:
            row = await self.database.lookup(_FIND, subject)
        else:
            row = await self.database.lookup(_SPEND_AND_FIND, spend.key, subject)
        if row is None:
            return None
        person = Person(
            UserId(row["id"]),
            subject,
            Role(row["primary_role"]),
            row["patient_id"],
            row["doctor_id"],
            doctor_is_verified=bool(row["is_verified"]),
            wait_s=0 if spend is None else _wait_s(dict(row), spend),
            calls_a_minute=0 if spend is None else spend.calls,
            opened=frozenset(row["opened"] or ()),
        )
        return person, row["is_active"]

    async def spend(self, spend: Spend) -> int:
        """Count a call; answers how many whole seconds too early it is."""
        row = await self.database.lookup(_SPEND, spend.key)
        return 0 if row is None else _wait_s(dict(row), spend)

    async def forget_spent(self) -> None:
        """Drop the counts of minutes that are over."""
        await self.database.execute("DELETE FROM rate_windows WHERE ends_at < clock_timestamp() - interval '1 minute'")

    async def add_person(self, claims: Claims) -> bool:
        """Make an account, and answer whether this did it; two first sights at once make one."""
        with viewing(at_work(Purpose.ACCOUNTS)):
            made = await self.database.execute(
                "INSERT INTO users (clerk_id, email, first_name, last_name, image_url) VALUES ($1, $2, $3, $4, $5)"
                " ON CONFLICT (clerk_id) DO NOTHING",
                claims.subject,
                claims.email,
                claims.first_name,
                claims.last_name,
                claims.image_url,
            )
        return made == "INSERT 0 1"

    async def settle_account(self, event: AccountEvent) -> None:
        """Take over what is told of an account: each event once, and none that is older than what is known."""
        with viewing(at_work(Purpose.ACCOUNTS)):
            await self._settle(event)

    async def _settle(self, event: AccountEvent) -> None:
        async with self.database.transaction() as connection:
            new = await connection.fetchval(
                "INSERT INTO account_events (id) VALUES ($1) ON CONFLICT (id) DO NOTHING RETURNING id", event.id
            )
            if new is None:
                return
            told = event.claims
            user_id = await connection.fetchval(
                _SETTLE_ACCOUNT, told.subject, told.email, told.first_name, told.last_name, told.image_url,
                event.is_deleted, event.at,
            )  # fmt: skip
            if user_id is not None:
                action = "user_deleted_by_provider" if event.is_deleted else "user_told_by_provider"
                await connection.execute(_AUDIT, None, action, "user", str(user_id), {"event": event.id})

    async def forget_events(self) -> None:
        """Drop the ids of events too old to be sent again."""
        await self.database.execute(
            "DELETE FROM account_events WHERE received_at < clock_timestamp() - interval '30 days'"
        )

    async def ensure_patient(self, user_id: UserId) -> PatientId:
        """The user's patient profile, made if there is none."""
        await self.database.execute(
            "INSERT INTO patients (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING", user_id
        )
        made = PatientId(await self.database.fetchval("SELECT id FROM patients WHERE user_id = $1", user_id))
        now_a_patient(made)
        return made

    async def changed(self, trail: Trail) -> AnamnesisError | None:
        """What a call that failed is answered when its record was erased, or its connection ended, beneath it.

        Only for who was let on to it: nobody else learns whether there is such a record. Raises Unavailable.
        """
        if trail.user_id is None:
            return None
        patients = trail.patients | ({trail.own_patient_id} if trail.own_patient_id else set())
        with viewing(at_work(Purpose.JOBS)), following(None):
            if await self.database.fetchval(_IS_GONE, trail.user_id, [*patients]):
                return NotFound()
        if not trail.patients or trail.subject is None or trail.kind not in _LINKS:
            return None
        link = await self.database.lookup(_LINKS[trail.kind], UUID(trail.subject))
        if link is None:
            return NotFound()
        is_open = link["status"] == ConnectionStatus.ACTIVE.value or (trail.is_reading and trail.purpose == "own")
        return None if is_open else NotPermitted("This connection has ended. Nothing was stored.")

    async def link_of_connection(self, connection_id: UUID) -> CareLink | None:
        """A connection with what access depends on, in one indexed statement."""
        row = await self.database.lookup(_LINK, connection_id)
        return None if row is None else link_of(dict(row))

    async def find_doctor(self, doctor_id: DoctorId) -> KnownDoctor | None:
        """A doctor with what being connected to one depends on."""
        row = await self.database.fetchrow(_KNOWN_DOCTOR, doctor_id)
        if row is None:
            return None
        return KnownDoctor(DoctorId(row["id"]), UserId(row["user_id"]), row["is_verified"], row["is_active"])

    async def connect(self, patient_id: PatientId, doctor: KnownDoctor, source: str | None, actor: Person) -> Row:
        """Connect, or connect again after a disconnect, with its notification and its audit line."""
        doctor_id = doctor.doctor_id
        async with self.database.transaction() as connection:
            inserted = await connection.fetchval(
                "INSERT INTO connections (patient_id, doctor_id, connection_source) VALUES ($1, $2, $3)"
                " ON CONFLICT (patient_id, doctor_id) DO NOTHING RETURNING id",
                patient_id,
                doctor_id,
                source or "direct_url",
            )
            connection_id = inserted or await self._reconnect(connection, patient_id, doctor_id, source)
            action = "new" if inserted else "reconnected"
            data = {
                "connectionId": str(connection_id),
                "patientUserId": str(actor.user_id),
                "patientName": "A patient",
                "action": action,
            }
            await connection.execute(
                _NOTIFY, doctor.user_id, "connection", "A patient has connected", "A patient has connected.", data
            )
            metadata = {
                "doctorId": str(doctor_id),
                "connectionSource": source or "direct_url",
                "isReconnection": not inserted,
            }
            await audit(connection, actor, "connection_created", "connection", connection_id, metadata)
            return dict(await connection.fetchrow(_CONNECTION, connection_id) or {})

    @staticmethod
    async def _reconnect(connection: Connection, patient_id: UUID, doctor_id: UUID, source: str | None) -> UUID:
        again = await connection.fetchval(
            "UPDATE connections SET status = 'active', connected_at = clock_timestamp(), disconnected_at = NULL,"
            " connection_source = coalesce($3, connection_source)"
            " WHERE patient_id = $1 AND doctor_id = $2 AND status = 'disconnected' RETURNING id",
            patient_id,
            doctor_id,
            source,
        )
        if again is None:
            raise Conflict("You are already connected to this doctor.")
        return UUID(str(again))

    async def disconnect(self, connection_id: UUID, actor: Person, at: datetime) -> Row:
        """End a connection with its audit line; one that is not active stays as it is."""
        async with self.database.transaction() as connection:
            ended = await connection.fetchval(
                "UPDATE connections SET status = 'disconnected', disconnected_at = $2"
                " WHERE id = $1 AND status = 'active' RETURNING id",
                connection_id,
                at,
            )
            row = dict(await connection.fetchrow(_CONNECTION, connection_id) or {})
            metadata = {
                "patientId": str(row["patient_id"]),
                "doctorId": str(row["doctor_id"]),
                "disconnectedBy": str(actor.user_id),
            }
            if ended is not None:  # of two who part at once, one ends the connection
                await audit(connection, actor, "connection_disconnected", "connection", connection_id, metadata)
            return row

    async def user(self, user_id: UserId) -> Row:
        """The account's row."""
        return dict(await self.database.fetchrow(_USER, user_id) or {})

    async def update_user(self, actor: Person, changes: Mapping[str, str]) -> Row:
        """Change names or picture, audited by the fields' names: the trail outlives a person's erasure."""
        async with self.database.transaction() as connection:
            await connection.execute(
                "UPDATE users SET first_name = coalesce($2, first_name), last_name = coalesce($3, last_name),"
                " image_url = coalesce($4, image_url), updated_at = clock_timestamp() WHERE id = $1",
                actor.user_id,
                changes.get("first_name"),
                changes.get("last_name"),
                changes.get("image_url"),
            )
            await audit(connection, actor, "user_updated", "user", actor.user_id, {"fields": sorted(changes)})
            return dict(await connection.fetchrow(_USER, actor.user_id) or {})

    async def give_consent(self, actor: Person, purpose: str, version: str) -> list[Row]:
        """Note the consent, in place of one to another version; the same again changes nothing. What stands now."""
        async with self.database.transaction() as connection:
            await connection.execute(_WITHDRAW_CONSENT, actor.user_id, purpose, version)
            given = await connection.execute(_GIVE_CONSENT, actor.user_id, purpose, version)
            if given == "INSERT 0 1":
                metadata = {"purpose": purpose, "version": version}
                await audit(connection, actor, "consent_given", "user", actor.user_id, metadata)
            return [dict(row) for row in await connection.fetch(_CONSENTS, actor.user_id, *self._words)]

    async def withdraw_consent(self, actor: Person, purpose: str) -> list[Row]:
        """Take the consent back; without one nothing changes. What stands now."""
        async with self.database.transaction() as connection:
            if await connection.execute(_WITHDRAW_CONSENT, actor.user_id, purpose, None) != "UPDATE 0":
                await audit(connection, actor, "consent_withdrawn", "user", actor.user_id, {"purpose": purpose})
            return [dict(row) for row in await connection.fetch(_CONSENTS, actor.user_id, *self._words)]

    @property
    def _words(self) -> tuple[list[str], list[str]]:
        """The purposes, and the version of each that is in force."""
        return list(self.in_force), list(self.in_force.values())

    async def consents(self, user_id: UserId) -> list[Row]:
        """The consents that stand and hold: to the words in force."""
        return [dict(row) for row in await self.database.fetch(_CONSENTS, user_id, *self._words)]

    async def patient(self, user_id: UserId) -> Row | None:
        """The user's patient profile."""
        concerns(purpose="own")
        row = await self.database.fetchrow(_PATIENT, user_id)
        return None if row is None else dict(row)

    async def create_patient(self, user_id: UserId, fields: Mapping[str, object]) -> Row:
        """Make the user's patient profile. Raises Conflict when there is one."""
        async with self.database.transaction() as connection:
            made = await connection.fetchval(
                "INSERT INTO patients (user_id) VALUES ($1) ON CONFLICT (user_id) DO NOTHING RETURNING id", user_id
            )
            if made is None:
                raise Conflict("You already have a patient profile.")
            concerns(made, purpose="own")
            await self._write_patient(connection, user_id, fields)
            return dict(await connection.fetchrow(_PATIENT, user_id) or {})

    async def update_patient(self, user_id: UserId, fields: Mapping[str, object]) -> Row:
        """Change what is given of the user's patient profile."""
        concerns(purpose="own")
        async with self.database.transaction() as connection:
            await self._write_patient(connection, user_id, fields)
            row = await connection.fetchrow(_PATIENT, user_id)
            if row is None:
                raise NotFound("You have no patient profile yet.")
            return dict(row)

    @staticmethod
    async def _write_patient(connection: Connection, user_id: UserId, fields: Mapping[str, object]) -> None:
        names = ("date_of_birth", "gender", "phone", "emergency_contact", "emergency_phone")
        await connection.execute(_UPDATE_PATIENT, user_id, *(fields.get(name) for name in names))

    async def doctor(self, user_id: UserId) -> Row | None:
        """The user's doctor profile."""
        row = await self.database.fetchrow(_DOCTOR, user_id)
        return None if row is None else dict(row)

    async def doctor_by_slug(self, slug: str) -> Row | None:
        """A doctor with the account's names, by public address; one who left is not found."""
        row = await self.database.fetchrow(_DOCTOR_BY_SLUG, slug)
        return None if row is None else dict(row)

    async def create_doctor(self, actor: Person, fields: Mapping[str, object]) -> Row:
        """Make an unverified doctor of a user; a patient's role becomes doctor, no other role is taken away."""
        async with self.database.transaction() as connection:
            user = dict(await connection.fetchrow(_USER, actor.user_id) or {})
            name = " ".join(part for part in (user.get("first_name"), user.get("last_name")) if part)
            made = await connection.fetchval(
                "INSERT INTO doctors (user_id, slug, specialty, clinic_name, bio, phone, address)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_id) DO NOTHING RETURNING id",
                actor.user_id,
                slug_for(name, uuid4()),
                *(fields.get(each) for each in ("specialty", "clinic_name", "bio", "phone", "address")),
            )
            if made is None:
                raise Conflict("You already have a doctor profile.")
            await connection.execute(
                "UPDATE users SET primary_role = 'doctor', updated_at = clock_timestamp()"
                " WHERE id = $1 AND primary_role = 'patient'",
                actor.user_id,
            )
            doctor = dict(await connection.fetchrow(_DOCTOR, actor.user_id) or {})
            await audit(connection, actor, "doctor_created", "doctor", doctor["id"], {})
            return doctor

    async def update_doctor(self, actor: Person, fields: Mapping[str, object]) -> Row | None:
        """Change what is given of the user's doctor profile, audited by the fields' names; None without one."""
        async with self.database.transaction() as connection:
            row = await connection.fetchrow(
                _UPDATE_DOCTOR, actor.user_id, *(fields.get(name) for name in _OF_DOCTOR_OWN)
            )
            if row is None:
                return None
            await audit(connection, actor, "doctor_profile_updated", "doctor", row["id"], {"fields": sorted(fields)})
            return dict(await connection.fetchrow(_DOCTOR, actor.user_id) or {})

    async def pending_doctors(self, *, limit: int, offset: int) -> tuple[list[Row], int]:
        """Doctors nobody has verified or rejected yet with their accounts' names, oldest first, and how many wait."""
        rows = await self.database.fetch(_DOCTORS_PENDING, limit, offset)
        total = await self.database.fetchval("SELECT count(*) FROM doctors WHERE verification_status = 'pending'")
        return [dict(row) for row in rows], int(total)

    async def decide_on_doctor(self, actor: Person, doctor_id: UUID, *, approve: bool, reason: str | None) -> Row:
        """Verify or reject; a decision can be changed later. Raises NotFound."""
        status, action = ("verified", "doctor_approved") if approve else ("rejected", "doctor_rejected")
        async with self.database.transaction() as connection:
            user_id = await connection.fetchval(
                "UPDATE doctors SET verification_status = $2::verification_status, verified_by = $3,"
                " verified_at = CASE WHEN $2 = 'verified' THEN clock_timestamp() END, rejection_reason = $4,"
                " updated_at = clock_timestamp() WHERE id = $1 RETURNING user_id",
                doctor_id,
                status,
                actor.user_id,
                reason,
            )
            if user_id is None:
                raise NotFound("There is no such doctor.")
            await connection.execute(
                _NOTIFY, user_id, "verification_status", "Your account", f"Your account is now {status}.",
                {"status": status},
            )  # fmt: skip
            told = await keep_reason(connection, self.database.keyring, user_id, reason)
            await audit(connection, actor, action, "doctor", doctor_id, told)
            return dict(await connection.fetchrow(_DOCTOR, user_id) or {})

    async def connections_of_patient(self, patient_id: PatientId, status: str) -> list[Row]:
        """A patient's connections of a status, or "all", with both people's names, newest first."""
        return [dict(row) for row in await self.database.fetch_whose(_OF_PATIENT, patient_id, status)]

    async def connections_of_doctor(self, doctor_id: DoctorId, status: str) -> list[Row]:
        """A doctor's connections of a status, or "all", with both people's names, newest first."""
        return [dict(row) for row in await self.database.fetch_whose(_OF_DOCTOR, doctor_id, status)]

    async def connection_with_people(self, connection_id: UUID) -> Row:
        """One connection with both people's names. Raises NotFound."""
        row = await self.database.fetchrow(_OF_ONE, connection_id)
        if row is None:
            raise NotFound("There is no such connection.")
        return dict(row)


def _wait_s(row: Row, spend: Spend) -> int:
    return max(1, ceil(row["left_s"])) if row["used"] > spend.calls else 0


def link_of(row: Row) -> CareLink:
    """A CareLink of a row with its columns."""
    return CareLink(
        ConnectionId(row["id"]),
        PatientId(row["patient_id"]),
        DoctorId(row["doctor_id"]),
        ConnectionStatus(row["status"]),
        UserId(row["patient_user_id"]),
        UserId(row["doctor_user_id"]),
        doctor_is_verified=bool(row["is_verified"]),
        doctor_is_there=bool(row.get("is_there", True)),  # only who lets patients write needs to know
    )


async def keep_reason(
    connection: Connection, keyring: Keyring, user_id: UUID, reason: str | None
) -> Mapping[str, object]:
    """Keep why something was done to an account where it goes with the account; what the audit line tells of it."""
    if not reason:
        return {"reason": None}
    reason_id = uuid4()
    sealed = keyring.at(ACCOUNT_REASONS, reason_id, user_id).seal("reason", reason)
    await connection.execute(_ACCOUNT_REASON, reason_id, user_id, sealed)
    return {"reasonId": str(reason_id)}


async def audit(
    connection: Connection, actor: Person, action: str, kind: str, subject: UUID, metadata: Mapping[str, object]
) -> None:
    """Write one audit line in the caller's transaction; it is the present call's, and tells more."""
    trail = present()
    line = (trail or Trail(action, actor.user_id, actor.primary_role.value)).line(
        action=action, kind=kind, subject=str(subject), metadata=msgspec.to_builtins(dict(metadata))
    )
    await write(connection, line, trail)


def listed_cases(keyring: Keyring, rows: Iterable[Any]) -> list[Row]:
    """Sessions of a list, urgency among their columns, with their words opened.

    One that cannot be read hides no other: it is as urgent as it was found, which stands beside its words, and its name
    says what is the matter. Raises KeyMissing and NotAsSealed when none can be read.
    """
    cases: list[Row] = []
    for row, unreadable in keyring.listed(SESSIONS, rows):
        if unreadable is not None:
            _log.error("case.unreadable", session_id=str(row["id"]), error_type=type(unreadable).__name__)
            record = record_to_json(record_of_urgency(Acuity(row["acuity"]), UNREADABLE.lower()))
            row |= {"record": record, "medical_data": {}, "name": UNREADABLE}
        cases.append({**row, "is_readable": unreadable is None})
    return cases
