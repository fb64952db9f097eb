"""A row of the replaced system as a row of ours, with the reasons for what could not be mapped. Pure.

Values are plain JSON ones, as the database writes them, so that what was written can be compared with what is there.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from anamnesis.clinical.record import Stage
from anamnesis.clinical.sbar import HEADINGS
from anamnesis.clinical.terms import Acuity, Colour
from anamnesis.legacy.reading import LONG_AGO, SourceRow

Values = dict[str, Any]

_ROLES: Final = ("super_admin", "doctor", "clinic_admin", "receptionist", "patient")
_VERIFICATIONS: Final = ("pending", "verified", "rejected")
_CONNECTIONS: Final = ("active", "disconnected", "blocked")
_STATUSES: Final = ("not_started", "in_progress", "ready", "reviewed")
_OPEN: Final = ("not_started", "in_progress")
_LAYERS: Final = ("patient-intake", "doctor-enhancement")
_KINDS: Final = ("text", "test-result", "exam-finding", "image", "qr_scan", "direct_url", "referral")
_WORDS_OF_AUDIT: Final = frozenset((*_ROLES, *_VERIFICATIONS, *_CONNECTIONS, *_STATUSES, *_LAYERS, *_KINDS))
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FOOTER: Final = "Taken over from the replaced system as it was written there; it names no evidence. Not signed."
_NOT_RECORDED: Final = "Not recorded by the replaced system."
#: How urgent the replaced system had found a case. Urgency only rises, so what was found is not lost by moving house.
_URGENCY: Final = {
    "emergency": (Acuity.EMERGENCY, Colour.RED),
    "agent-assisted": (Acuity.URGENT, Colour.YELLOW),
}


#: What in a notice's data quotes somebody's words, and what a notice says instead.
_QUOTING: Final = ("preview", "chiefComplaint")
_NOTICES: Final = {"message": "You have a new message.", "intake_complete": "An intake is complete."}


@dataclass(frozen=True, slots=True)
class Parties:
    """The two people of a session, as users of ours."""

    patient_user_id: str
    doctor_user_id: str


@dataclass(frozen=True, slots=True)
class World:
    """What of ours a page of rows refers to: by source table, the source's key and ours.

    open_connections had a newer open session before this one.
    """

    known: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parties: Mapping[str, Parties] = field(default_factory=dict)
    open_connections: frozenset[str] = frozenset()

    def find(self, table: str, key: str | None) -> str | None:
        """Our key of a row of the source, or None when it is not here."""
        return None if key is None else self.known.get(table, {}).get(key)


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a row becomes: a row of our table, or nothing; why not all of it; and what of it has no home here."""

    key: str | None
    table: str | None
    values: Values
    reasons: tuple[str, ...]
    leftovers: Values

    @property
    def is_kept(self) -> bool:
        """Whether the row has a place with us."""
        return self.table is not None


class _LeftOut(Exception):
    """The row cannot be one of ours."""


def map_row(table: str, values: Mapping[str, Any], world: World) -> Mapped:
    """One row of one of the tables we model."""
    row = SourceRow(values)
    key = row.key("id")
    if key is None:
        return Mapped(None, None, {}, ("left out: id is missing or not an identifier",), dict(values))
    try:
        ours, mapped = _MAPPINGS[table](row, key, world)
    except _LeftOut as left_out:
        return Mapped(key, None, {}, (*row.reasons, f"left out: {left_out}"), dict(values))
    return Mapped(key, ours, mapped, tuple(row.reasons), row.leftovers)


def fingerprint(values: Mapping[str, Any]) -> bytes:
    """What tells rows with other contents apart."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()


def layer_of(role: object, context_layer: object) -> tuple[bool, str | None]:
    """Whether a chat message is the doctors' alone, and what is odd about it.

    A line is shown to a patient only if it is certain that it may be: what is of no known role or layer is not.
    """
    if role == "doctor" or context_layer == "doctor-enhancement":
        return True, None
    if role not in ("user", "model"):
        return True, "role is not one of its values; put in the doctors' layer"
    if context_layer not in (None, *_LAYERS):
        return True, "context_layer is not one of its values; put in the doctors' layer"
    return False, None


def _user(row: SourceRow, _key: str, _world: World) -> tuple[str, Values]:
    clerk_id = row.text("clerk_id")
    if clerk_id is None or not clerk_id.strip():
        raise _LeftOut("clerk_id is missing")
    return "users", {
        "clerk_id": clerk_id,
        "email": row.text("email"),
        "first_name": row.name("first_name"),
        "last_name": row.name("last_name"),
        "image_url": row.text("image_url"),
        "primary_role": row.choice("primary_role", _ROLES, "patient"),
        "is_active": row.flag("is_active", default=True, when_wrong=False),
        **_times(row),
    }


def _patient(row: SourceRow, _key: str, world: World) -> tuple[str, Values]:
    return "patients", {
        "user_id": _required(row, "user_id", "users", world),
        "date_of_birth": row.time("date_of_birth"),
        **{column: row.text(column) for column in ("gender", "phone", "emergency_contact", "emergency_phone")},
        **_times(row),
    }


def _doctor(row: SourceRow, key: str, world: World) -> tuple[str, Values]:
    slug = row.text("slug")
    if slug is None or not slug.strip():
        row.report("slug is missing; one was made")
        slug = f"doctor-{key[:8]}"
    texts = ("specialty", "clinic_name", "bio", "phone", "address", "rejection_reason", "qr_code_url")
    return "doctors", {
        "user_id": _required(row, "user_id", "users", world),
        "slug": slug,
        **{column: row.text(column) for column in texts},
        "verification_status": row.choice("verification_status", _VERIFICATIONS, "pending"),
        "verified_at": row.time("verified_at"),
        "verified_by": _optional(row, "verified_by", "users", world),
        "consultation_fee": row.number("consultation_fee"),
        "accepts_payments": row.flag("accepts_payments", default=False, when_wrong=False),
        "appointment_duration": row.number("appointment_duration", 30),
        "buffer_time": row.number("buffer_time", 10),
        "max_daily_appointments": row.number("max_daily_appointments", 20),
        **_times(row),
    }


def _connection(row: SourceRow, _key: str, world: World) -> tuple[str, Values]:
    created_at = row.time_or("created_at", LONG_AGO)
    is_strange = row.values.get("status") not in (None, *_CONNECTIONS)
    return "connections", {
        "patient_id": _required(row, "patient_id", "patients", world),
        "doctor_id": _required(row, "doctor_id", "doctors", world),
        # A connection in a state nobody knows lets nobody in.
        "status": row.choice("status", _CONNECTIONS, "disconnected" if is_strange else "active"),
        "connection_source": row.text("connection_source"),
        "connected_at": row.time("connected_at") or created_at,
        "disconnected_at": row.time("disconnected_at"),
        "created_at": created_at,
    }


def _session(row: SourceRow, _key: str, world: World) -> tuple[str, Values]:
    connection_id = _required(row, "connection_id", "connections", world)
    status = row.choice("status", _STATUSES, "not_started")
    if status in _OPEN and str(row.values.get("connection_id")) in world.open_connections:
        row.report("another session of the connection is open too")
    medical_data = row.document("medical_data") or {}
    completeness = row.number("completeness", 0, most=100)
    agent = row.text_or("current_agent", Stage.COMPLAINT.value)
    acuity, colour = _urgency(medical_data)
    return "intake_sessions", {
        "connection_id": connection_id,
        "name": row.name("name"),
        "status": status,
        "record": _record(agent, completeness or 0, acuity, colour),
        "medical_data": medical_data,
        "clinical_handover": _handover(row, medical_data, is_due=status not in _OPEN),
        "doctor_thought": row.document("doctor_thought"),
        "acuity": int(acuity),
        "completeness": completeness,
        "current_agent": agent,
        "consecutive_errors": row.number("consecutive_errors", 0),
        "ai_message_count": row.number("ai_message_count", 0),
        "termination_reason": row.text("termination_reason"),
        **{column: row.time(column) for column in ("started_at", "completed_at", "reviewed_at")},
        "reviewed_by": _optional(row, "reviewed_by", "users", world),
        **_times(row),
    }


def _record(agent: str, completeness: int, acuity: Acuity, colour: Colour) -> Values:
    """A record that knows where the interview stood, and no fact: there is no quote a fact could rest on.

    What the replaced system had taken down stays beside it, as medical data.
    """
    record: Values = {"stage": agent, "completeness": completeness}
    if acuity is not Acuity.ROUTINE:
        record |= {
            "acuity": int(acuity),
            "colour": colour.value,
            "reasons": ["the replaced system had found it so"],
        }
    return record


def _urgency(medical_data: Mapping[str, Any]) -> tuple[Acuity, Colour]:
    vitals = medical_data.get("vitalsData")
    decision = vitals.get("triageDecision") if isinstance(vitals, Mapping) else None
    known = _URGENCY.get(decision) if isinstance(decision, str) else None
    return known or (Acuity.ROUTINE, Colour.UNKNOWN)


def _handover(row: SourceRow, medical_data: Mapping[str, Any], *, is_due: bool) -> Values | None:
    """The note in our form, every line without evidence. A session that is ready has one, if need be an empty one."""
    written = row.document("clinical_handover")
    inner = medical_data.get("clinicalHandover")
    note = written if _has_words(written) else inner if isinstance(inner, dict) and _has_words(inner) else None
    if note is None:
        if written:
            row.report("clinical_handover has none of its sections")
            row.housed.discard("clinical_handover")
        if not is_due:
            return None
        row.report("is ready or reviewed without a handover; an empty one was made")
        note = {"situation": medical_data.get("chiefComplaint")}
    else:
        missing = [heading for heading in HEADINGS if not _is_said(note.get(heading))]
        if missing:
            row.report(f"clinical_handover lacks {', '.join(missing)}")
    sections = {heading: [_statement(note.get(heading))] for heading in HEADINGS}
    more = {name: value for name, value in note.items() if name not in HEADINGS}
    return {**({"legacy": more} if more else {}), **sections, "footer": _FOOTER, "for_patient": ""}


def _has_words(note: Mapping[str, Any] | None) -> bool:
    return note is not None and any(_is_said(note.get(heading)) for heading in HEADINGS)


def _is_said(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _statement(value: object) -> Values:
    return {"text": value if _is_said(value) else _NOT_RECORDED, "evidence": []}


def _chat_message(row: SourceRow, _key: str, world: World) -> tuple[str, Values]:
    session_id = _required(row, "session_id", "intake_sessions", world)
    parties = world.parties[session_id]
    is_doctors, odd = layer_of(row.values.get("role"), row.values.get("context_layer"))
    if odd:
        row.report(odd)
    else:
        row.housed |= {"role", "context_layer"}
    if is_doctors:
        return "clinician_notes", _note(row, session_id, parties)
    role = str(row.values["role"])
    is_patients = role == "user"
    return "chat_messages", {
        "session_id": session_id,
        "role": role,
        "sender_id": parties.patient_user_id if is_patients else None,
        "content": row.text_or("content", ""),
        "images": row.texts("images"),
        "active_agent": row.text("active_agent"),
        # Whatever became of it there, nobody waits for a reply here.
        "turn_state": "answered_ai" if is_patients else None,
        "created_at": row.time_or("created_at", LONG_AGO),
    }


def _note(row: SourceRow, session_id: str, parties: Parties) -> Values:
    images = row.texts("images")
    more = row.document("grounding_metadata")
    row.housed |= {"active_agent"} if row.values.get("active_agent") is None else set()
    return {
        "session_id": session_id,
        "author_id": parties.doctor_user_id,
        "content": row.text_or("content", ""),
        "kind": _kind(more or {}, has_images=images is not None),
        "metadata": more,
        "images": images,
        "created_at": row.time_or("created_at", LONG_AGO),
    }


def _kind(more: Mapping[str, Any], *, has_images: bool) -> str:
    if has_images:
        return "image"
    return "test-result" if "testType" in more else "exam-finding" if "examSystem" in more else "text"


def _direct_message(row: SourceRow, _key: str, world: World) -> tuple[str, Values]:
    return "direct_messages", {
        "connection_id": _required(row, "connection_id", "connections", world),
        "sender_id": _required(row, "sender_id", "users", world),
        "content": row.text_or("content", ""),
        "is_read": row.flag("is_read", default=False, when_wrong=False),
        "read_at": row.time("read_at"),
        "created_at": row.time_or("created_at", LONG_AGO),
    }


def _notification(row: SourceRow, _key: str, world: World) -> tuple[str, Values]:
    user_id = _required(row, "user_id", "users", world)
    kind, data = row.text_or("type", "message"), row.document("data")
    message = row.text_or("message", "")
    if kind == "message" or any((data or {}).get(name) for name in _QUOTING):
        # It quotes what is kept where it belongs; a notice of ours has no content. Its own words stay aside.
        data = None if data is None else {name: "" if name in _QUOTING else value for name, value in data.items()}
        message = _NOTICES.get(kind, "")
        row.housed -= {"message", "data", "user_id"}
    return "notifications", {
        "user_id": user_id,
        "type": kind,
        "title": row.text_or("title", ""),
        "message": message,
        "data": data,
        "is_read": row.flag("is_read", default=False, when_wrong=False),
        "read_at": row.time("read_at"),
        "created_at": row.time_or("created_at", LONG_AGO),
    }


def _audit_log(row: SourceRow, _key: str, world: World) -> tuple[str, Values]:
    user_id, resource_id, told = row.key("user_id"), row.text("resource_id"), row.document("metadata")
    metadata = None if told is None else {name: value for name, value in told.items() if _has_no_words(value)}
    if metadata != told:
        # The trail outlives erasure and is not sealed: it holds no names, nor what a patient called an interview.
        row.housed -= {"metadata", "user_id", "resource_id"}
    return "audit_logs", {
        # Who did it stays known even when the account is gone.
        "user_id": world.find("users", user_id) or user_id,
        "action": row.text_or("action", "unknown"),
        "resource_type": row.text_or("resource_type", "unknown"),
        "resource_id": resource_id,
        "metadata": metadata,
        "created_at": row.time_or("created_at", LONG_AGO),
    }


def _has_no_words(value: object) -> bool:
    """Whether a value of an audit line's metadata is an id, yes or no, or one of the words the replaced system had."""
    if isinstance(value, str):
        return value in _WORDS_OF_AUDIT or _ID.fullmatch(value) is not None
    return value is None or isinstance(value, bool)


def _times(row: SourceRow) -> Values:
    created_at = row.time_or("created_at", LONG_AGO)
    return {"created_at": created_at, "updated_at": row.time("updated_at") or created_at}


def _required(row: SourceRow, column: str, table: str, world: World) -> str:
    """Our key of what the row belongs to. Raises _LeftOut for an orphan."""
    key = row.key(column)
    ours = world.find(table, key)
    if ours is None:
        raise _LeftOut(f"{column} is missing" if key is None else f"what {column} names is not here")
    return ours


def _optional(row: SourceRow, column: str, table: str, world: World) -> str | None:
    key = row.key(column)
    ours = world.find(table, key)
    if key is not None and ours is None:
        row.report(f"what {column} names is not here")
        row.housed.discard(column)
    return ours


_MAPPINGS: Final[Mapping[str, Callable[[SourceRow, str, World], tuple[str, Values]]]] = {
    "users": _user,
    "patients": _patient,
    "doctors": _doctor,
    "connections": _connection,
    "intake_sessions": _session,
    "chat_messages": _chat_message,
    "direct_messages": _direct_message,
    "notifications": _notification,
    "audit_logs": _audit_log,
}
