"""From wire values to what a page shows: names, dates and words, never a decision."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

Wire = Mapping[str, Any]

STAGES: Final[dict[str, str]] = {
    "VitalsTriageAgent": "About you",
    "Triage": "What is wrong",
    "ClinicalInvestigator": "Your symptoms",
    "RecordsClerk": "Records",
    "HistorySpecialist": "Your health history",
    "HandoverSpecialist": "Last check",
}
STATES: Final[dict[str, str]] = {
    "not_started": "not started",
    "in_progress": "unfinished",
    "ready": "ready",
    "reviewed": "reviewed",
}


#: What a doctor can lower a case to.
LOWER: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "emergency": (("urgent", "Urgent: the same day"), ("routine", "Routine")),
    "urgent": (("routine", "Routine"),),
    "routine": (),
}


def clock(moment: datetime) -> str:
    """The time of day in UTC, and saying so; where scripts run, the page puts the reader's own time in its place."""
    return moment.astimezone(UTC).strftime("%H:%M UTC")


def day(moment: datetime) -> str:
    """Today, Yesterday, or the date."""
    today = datetime.now(UTC).date()
    that = moment.astimezone(UTC).date()
    if that == today:
        return "Today"
    return "Yesterday" if that == today - timedelta(days=1) else f"{that.day} {that:%B %Y}"


def waiting(since: datetime | None, now: datetime) -> str:
    """How long somebody has waited, in the largest fitting unit."""
    if since is None:
        return "–"
    minutes = max(0, int((now - since).total_seconds() // 60))
    if minutes < 60:  # noqa: PLR2004 - minutes in an hour
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"  # noqa: PLR2004 - hours in a day


def full_name(user: Wire | None, fallback: str) -> str:
    """First and last name, or the fallback when neither is known."""
    words = ((user or {}).get("firstName"), (user or {}).get("lastName"))
    return " ".join(word for word in words if word) or fallback


def doctor_name(doctor: Wire) -> str:
    """How a patient sees the doctor named."""
    name = full_name(doctor.get("user"), "")
    return f"Dr. {name}" if name else "Your doctor"


def doctor_about(doctor: Wire) -> str:
    """Specialty and clinic on one line."""
    return " · ".join(word for word in (doctor.get("specialty"), doctor.get("clinicName")) if word)


def account(user: Wire) -> dict[str, object]:
    """An account as the operator's page lists it."""
    return {
        "id": user["id"],
        "name": full_name(user, "No name"),
        "email": user["email"],
        "role": str(user["primaryRole"]).replace("_", " "),
        "is_open": user["isActive"],
    }


def transcript(messages: Iterable[Wire], *, doctor: str, patient: str = "You") -> list[dict[str, object]]:
    """The interview's messages as bubbles, in order; a doctor's own additions stand elsewhere on the page."""
    return [_bubble(message, doctor=doctor, patient=patient) for message in messages if message["role"] != "doctor"]


def _bubble(message: Wire, *, doctor: str, patient: str) -> dict[str, object]:
    role = message["role"]
    is_emergency = role == "model" and bool(message.get("isEmergency"))
    senders = {"user": patient, "doctor": doctor, "model": "Assistant"}
    return {
        "id": message["id"],
        "kind": "emergency" if is_emergency else role,
        "sender": senders.get(role, role),
        "text": message["text"],
        "at": message["timestamp"],
        "images": [_picture(url) for url in message.get("images") or () if "/files/" in url],
        "state": "stopped" if message.get("isStopped") is True else "",
    }


def file(each: Wire) -> dict[str, object]:
    """A file of a case, as a link of our own origin; small is the address of its small picture, if it has one."""
    picture = _picture(each["url"])
    size = f"{max(1, each['fileSize'] >> 10)} kB"
    return {
        **picture,
        "small": picture["small"] if each["thumbnailUrl"] else "",
        "name": each["fileName"],
        "size": size,
    }


def _picture(url: str) -> dict[str, str]:
    """Where a page finds a picture: without the origin, which is the page's own whatever a visitor calls it."""
    parts = urlsplit(url)
    return {"url": f"{parts.path}?{parts.query}", "small": f"{parts.path}/small?{parts.query}"}


def direct_messages(messages: Iterable[Wire], *, viewer_id: object, viewer: str, other: str) -> list[dict[str, object]]:
    """Messages between the two people as bubbles; the patient's stand on one side, the doctor's on the other."""
    return [
        {
            "id": message["id"],
            "kind": "user" if message["sender"]["primaryRole"] == "patient" else "doctor",
            "sender": viewer if message["senderId"] == viewer_id else other,
            "text": message["content"],
            "at": message["createdAt"],
            "images": [],
            "state": _state(message) if message["senderId"] == viewer_id else "",
        }
        for message in messages
    ]


def _state(message: Wire) -> str:
    """How far the reader's own message has come."""
    return "read" if message["isRead"] else "delivered" if message["deliveredAt"] else "sent"


def merged(*conversations: list[dict[str, object]]) -> list[dict[str, object]]:
    """Several conversations as one, by time; the sort is stable, so each keeps its own order."""
    return sorted((bubble for each in conversations for bubble in each), key=_moment)


def _moment(bubble: dict[str, object]) -> datetime:
    moment = bubble["at"]
    assert isinstance(moment, datetime)
    return moment


def inbox_row(case: Wire, now: datetime) -> dict[str, object]:
    """One row of the inbox: who first, and why."""
    return {
        "id": case["sessionId"],
        "colour": case["colour"],
        "patient": full_name(case["patient"], "A patient"),
        "about": case["about"],
        "waiting": waiting(case["waitingSince"], now),
        "unread": case["unreadCount"],
        "state": STATES[case["status"]],
        "words": case["chiefComplaint"],
        "reason": case["reason"],
        "completeness": f"{case['completeness']} % asked",
        "gaps": case["gaps"],
        "is_readable": case["isReadable"],
    }


def _dangers(flags: Sequence[Wire]) -> list[dict[str, object]]:
    """The red flags, each danger once: what it was heard by, and its quotes, none inside another of its message."""
    groups: dict[object, list[Wire]] = {}
    for flag in flags:
        groups.setdefault(flag["rule"] if flag["line"] is None else flag["line"], []).append(flag)
    return [_danger(group) for group in groups.values()]


def _danger(flags: Sequence[Wire]) -> dict[str, object]:
    said = {(item["messageId"], item["quote"]): item for flag in flags for item in flag["evidence"]}
    whole = [
        item
        for (message, quote), item in said.items()
        if not any(message == other and quote != longer and quote in longer for other, longer in said)
    ]
    first, *others = flags
    return {**first, "evidence": whole, "also": [each["words"] for each in others]}


_ADDED_AS: Final = {"test-result": "Test result", "exam-finding": "Examination", "image": "Picture"}


def _added(note: Wire) -> dict[str, object]:
    """What the doctor has added; pictures of another store, which were taken over, are not loaded."""
    pictures = [_picture(url) for url in note["images"] if "/files/" in url]
    return {**note, "label": _ADDED_AS.get(note["kind"], ""), "images": pictures}


def case_page(found: Wire, case: Wire, patient: str) -> dict[str, object]:
    """What the case page shows around the conversation."""
    return {
        "id": found["session"]["id"],
        "patient": patient,
        "about": case["about"],
        "colour": case["colour"],
        "state": STATES[found["session"]["status"]],
        "strip": [(item["label"], item["words"]) for item in case["strip"]],
        "flags": _dangers(case["flags"]),
        "sections": [(section["heading"], section["statements"]) for section in case["sections"]],
        "is_worded_by_model": case["isWordedByModel"],
        "differential": case["differential"],
        "noted_by_model": case["notedByModel"],
        "footer": case["footer"],
        "can_review": found["session"]["status"] == "ready",
        "notes": [_added(each) for each in case["notes"]],
        "for_patient": case["forPatient"],
        "lowered": case["lowered"],
        "lower_to": LOWER[case["acuity"]],
        "basis": case["basis"],
    }
