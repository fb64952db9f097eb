"""Who may do what, written by hand from the decisions about access; it imports nothing of the code it judges.

A request is judged in the order of the contract: is it somebody we know, may their account call this at all, is the
record theirs, does its state allow it. Strangers get NOT_FOUND, as for what does not exist; a wrong role, an ended
connection and a doctor nobody has verified get FORBIDDEN; no identity gets UNAUTHORIZED.
"""

from dataclasses import dataclass

OK, NOBODY, REFUSED, ABSENT = "OK", "UNAUTHORIZED", "FORBIDDEN", "NOT_FOUND"
BAD, TWICE, UNBUILT = "BAD_REQUEST", "CONFLICT", "NOT_IMPLEMENTED"


@dataclass(frozen=True)
class Actor:
    """What decides about somebody, as the clinic knows them. doctor is the state of a doctor's profile."""

    is_known: bool = True
    is_active: bool = True
    role: str = "patient"
    doctor: str | None = None
    has_patient: bool = False
    is_superuser: bool = False


NO_ONE = Actor(is_known=False)
PATIENT = Actor(has_patient=True)

ACTORS = {
    "anonymous": NO_ONE,
    "forged": NO_ONE,  # a token nobody of ours has signed
    "expired": NO_ONE,
    "patient": PATIENT,
    "other patient": PATIENT,  # of the same doctor
    "distant patient": PATIENT,  # of another one
    "patient who left": PATIENT,
    "blocked patient": PATIENT,
    "patient of an unverified doctor": PATIENT,
    "patient of a rejected doctor": PATIENT,
    "patient of a deactivated doctor": PATIENT,
    "deactivated patient": Actor(has_patient=True, is_active=False),
    "doctor": Actor(role="doctor", doctor="verified"),
    "other doctor": Actor(role="doctor", doctor="verified"),
    "doctor who was left": Actor(role="doctor", doctor="verified"),
    "unverified doctor": Actor(role="doctor", doctor="pending"),
    "rejected doctor": Actor(role="doctor", doctor="rejected"),
    "deactivated doctor": Actor(role="doctor", doctor="verified", is_active=False),
    "doctor and patient": Actor(role="doctor", doctor="verified", has_patient=True),
    "patient of a doctor and patient": PATIENT,
    "super admin": Actor(role="super_admin"),
    "deactivated super admin": Actor(role="super_admin", is_active=False),
    "superuser": Actor(is_superuser=True),  # by configuration alone: opens what is for a role, and nobody's record
    "clinic admin": Actor(role="clinic_admin"),
    "receptionist": Actor(role="receptionist"),
    "newcomer": Actor(),
}


@dataclass(frozen=True)
class Target:
    """A connection that a request is about."""

    patient: str
    doctor: str
    status: str = "active"


TARGETS = {
    "active": Target("patient", "doctor"),
    "of another patient": Target("other patient", "doctor"),
    "of another doctor": Target("distant patient", "other doctor"),
    "left": Target("patient who left", "doctor who was left", "disconnected"),
    "blocked": Target("blocked patient", "doctor who was left", "blocked"),
    "with an unverified doctor": Target("patient of an unverified doctor", "unverified doctor"),
    "with a rejected doctor": Target("patient of a rejected doctor", "rejected doctor"),
    "with a deactivated doctor": Target("patient of a deactivated doctor", "deactivated doctor"),
    "of a deactivated patient": Target("deactivated patient", "doctor"),
    "of a doctor as a patient": Target("doctor and patient", "doctor"),
    "with a doctor who is a patient": Target("patient of a doctor and patient", "doctor and patient"),
}
STATES = ("not_started", "in_progress", "ready", "reviewed", "archived")
_FINISHED = ("ready", "reviewed")


@dataclass(frozen=True)
class Row:
    """One procedure: which accounts may call it, which rule holds for its record, and what it is about.

    about is the record a request names: a session, a connection, a doctor, a user, a notification, or none.
    """

    accounts: str
    rule: str = "free"
    about: str = ""


def _session(accounts: str, rule: str) -> Row:
    return Row(accounts, rule, "session")


def _connection(accounts: str, rule: str) -> Row:
    return Row(accounts, rule, "connection")


ROWS = {
    # the interview
    "intake.create": _connection("any", "patient writes"),
    "intake.createNewSession": _connection("any", "patient writes"),
    "intake.getSession": _session("any", "both read"),
    "intake.getMyIntakeSessions": Row("any", "as a patient"),
    "intake.getAllSessionsWithAppointments": Row("any", "as a patient"),
    "intake.getSessionsForAppointmentLinking": _connection("any", "patient reads"),
    "intake.getDoctorIntakeSessions": Row("doctor", "as a verified doctor"),
    "intake.getMessages": _connection("any", "both read"),
    "intake.getSBAR": _connection("any", "doctor reads"),
    "intake.getClinicalReasoning": _connection("any", "doctor reads"),
    "intake.getUCGRecommendations": _connection("doctor", "doctor reads"),
    "intake.getSessionFiles": _session("any", "both read"),
    "intake.storeFileMetadata": _session("any", "patient writes"),
    "file.upload": _session("any", "both write a form"),  # a form of REST; what is no form may be refused as such
    "intake.sendMessage": _session("any", "both write"),
    "intake.regenerateResponse": _session("any", "both write what may be refused"),
    "intake.stopReply": _session("any", "patient writes"),
    "intake.updateSessionName": _session("any", "patient writes"),
    "intake.deleteSession": _session("any", "patient writes an open one"),
    "intake.resetSession": _session("any", "patient writes an open one"),
    "intake.markAsReviewed": _session("doctor", "doctor writes a finished one"),
    "intake.markReviewed": _connection("doctor", "verified doctor reviews the latest"),
    "intake.addMessage": _connection("doctor", "verified doctor writes"),
    "intake.addImageMessage": _connection("doctor", "verified doctor writes what may be refused"),
    "intake.onSession": _session("any", "both read"),
    "intake.onInbox": Row("doctor", "as a verified doctor"),
    "handover.getInbox": Row("doctor"),
    "handover.getCase": _session("doctor", "doctor reads"),
    "handover.lowerUrgency": _session("doctor", "doctor writes what may be refused"),
    "handover.breakGlass": Row("doctor", "breaks the glass", "session"),
    "handover.getDocument": _session("doctor", "doctor reads the note"),
    # messages between the two people: nobody else's, operators included
    "message.send": _connection("any", "both write"),
    "message.getConversation": _connection("any", "the two read"),
    "message.markAsRead": _connection("any", "the two read"),
    "message.onConversation": _connection("any", "the two read"),
    "message.getUnreadCount": Row("any"),
    "message.getConversations": Row("any"),
    # connections
    "connection.create": Row("any", "connects", "doctor"),
    "connection.getMyConnections": Row("any"),
    "connection.getById": _connection("any", "the two read"),
    "connection.disconnect": _connection("any", "both leave"),
    # one's own account
    "user.me": Row("any"),
    "user.getMe": Row("any"),
    "user.updateProfile": Row("any"),
    "user.getConsents": Row("any"),
    "user.giveConsent": Row("any"),
    "user.withdrawConsent": Row("any"),
    "user.getNotifications": Row("any"),
    "user.getUnreadCount": Row("any"),
    "user.markNotificationAsRead": Row("any", "owner", "notification"),
    "user.markAllNotificationsAsRead": Row("any"),
    "notification.getMyNotifications": Row("any"),
    "notification.getUnreadCount": Row("any"),
    "notification.markAsRead": Row("any", "owner", "notification"),
    "notification.markAllAsRead": Row("any"),
    "notification.delete": Row("any", "owner", "notification"),
    "notification.deleteAllRead": Row("any"),
    "notification.onNew": Row("any"),
    "patient.getMyProfile": Row("any", "has a patient profile"),
    "patient.updateProfile": Row("any", "as a patient"),
    "patient.createProfile": Row("any", "has no patient profile"),
    "patient.hasProfile": Row("any"),
    "patient.requestErasure": Row("any", "as a patient"),
    "doctor.createProfile": Row("any", "has no doctor profile"),
    "doctor.hasProfile": Row("any"),
    "doctor.getMyProfile": Row("doctor", "has a doctor profile"),
    "doctor.updateProfile": Row("doctor", "has a doctor profile"),
    "doctor.getShareUrl": Row("doctor", "has a doctor profile"),
    "doctor.getQRCode": Row("doctor", "has a doctor profile"),
    "doctor.regenerateQRCode": Row("doctor", "has a doctor profile"),
    "doctor.getQRCodeDownload": Row("doctor", "has a doctor profile"),
    # what anybody may see
    "doctor.getBySlug": Row("public", "known to all", "slug"),
    # operators
    "admin.getPendingDoctors": Row("admin"),
    "admin.verifyDoctor": Row("admin", "exists", "doctor"),
    "admin.getUsers": Row("admin"),
    "admin.updateUserStatus": Row("admin", "exists", "user"),
    "admin.updateUserRole": Row("admin", "exists", "user"),
    "admin.getAuditLogs": Row("admin"),
}

#: The replaced system had these and we have not: nobody can do anything with them.
UNPORTED = {
    "doctor": (
        "getAvailability getAvailabilityByDoctorId getBlockedDates getBlockedDatesByDoctorId getProfessionalProfile "
        "getPublicProfile getProfileCompleteness setAvailability blockDate unblockDate updateProfessionalProfile "
        "uploadProfilePhoto deleteProfilePhoto publishProfile unpublishProfile"
    ),
    "appointment": (
        "getAvailableSlots getById getMyAppointments getScribeData create createByDoctor cancel reschedule "
        "activateScribe deactivateScribe confirm markArrived markNoShow complete"
    ),
    "meeting": "validateAccess canEndMeeting isMeetingAvailable endMeetingForAll notifyMeetingJoined",
    "file": "getPatientFiles getFile getFilesGroupedByPatient updateThumbnail",
    "team": (
        "getTeamMembers getPendingInvitations getInvitationByToken getMyDoctorAssignment inviteTeamMember "
        "cancelInvitation acceptInvitation changeRole removeTeamMember"
    ),
    "support": (
        "getMyTickets getTicketById getAllTickets getStats create respond assignTicket updateStatus"
    ),
    "admin": (
        "getStats getUserById getActivityFeed getConfig getAllDoctors getAuditStats exportAuditLogs updateConfig "
        "updateConfigs"
    ),
    "analytics": (
        "getUserGrowth getAppointmentStats getIntakeStats getOverview exportUserGrowth exportAppointmentStats "
        "getDoctorAnalytics generatePDFReport"
    ),
    "dashboard": "getDoctorDashboard getPatientDashboard getAdminDashboard",
}  # fmt: skip
ROWS |= {f"{router}.{name}": Row("public", "not built") for router, names in UNPORTED.items() for name in names.split()}

#: Every page by method and path: the procedures it is made of, in order; the first refusal is the page's.
PAGES: dict[tuple[str, str], tuple[str, ...]] = {
    ("GET", "/"): ("user.me", "home"),
    ("GET", "/sessions"): ("intake.getMyIntakeSessions",),
    ("GET", "/connect/{slug}"): ("doctor.getBySlug",),
    ("POST", "/connect/{slug}"): ("user.me", "connect and begin"),
    ("POST", "/intake"): ("intake.create",),
    ("GET", "/s/{session_id}"): ("intake.getSession",),
    ("POST", "/s/{session_id}"): ("intake.sendMessage",),
    ("POST", "/s/{session_id}/consent"): ("user.giveConsent",),
    ("POST", "/s/{session_id}/reply"): ("intake.regenerateResponse",),
    ("GET", "/doctor"): ("doctor.getMyProfile",),
    ("GET", "/doctor/case/{session_id}"): ("intake.getSession", "handover.getCase"),
    ("POST", "/doctor/case/{session_id}/reply"): ("intake.getSession", "message.send"),
    ("POST", "/doctor/case/{session_id}/note"): ("intake.sendMessage",),
    ("POST", "/doctor/case/{session_id}/reviewed"): ("intake.markAsReviewed",),
    ("POST", "/doctor/case/{session_id}/urgency"): ("handover.lowerUrgency",),
    ("GET", "/doctor/case/{session_id}/print"): ("handover.getDocument",),
    ("POST", "/doctor/emergency"): ("handover.breakGlass",),
    ("GET", "/ops"): ("admin.getPendingDoctors",),
    ("POST", "/ops/doctors/{doctor_id}"): ("admin.verifyDoctor",),
    ("POST", "/ops/accounts/{user_id}"): ("admin.updateUserStatus",),
    ("GET", "/static/{tag}/{name}"): ("no such file",),
}
#: What is beside procedures and pages, open to everybody and about nobody; the webhook believes signatures alone.
ROADS = {
    "/api/health": OK, "/livez": OK, "/readyz": OK, "/metrics": OK, "/openapi.json": OK, "/docs": OK,
    "/api/auth/webhook": "UNSIGNED", "/files": ABSENT,
}  # fmt: skip


def at_the_door(actor: Actor, accounts: str) -> str | None:
    """The refusal of an account that may not call this at all, or None."""
    if accounts == "public":
        return None
    if not actor.is_known:
        return NOBODY
    if not actor.is_active:
        return REFUSED
    roles = {"doctor": ("doctor", "super_admin"), "admin": ("super_admin",)}.get(accounts)
    return REFUSED if roles and actor.role not in roles and not actor.is_superuser else None


def expected(who: str, name: str, target: str | None = None, state: str = "in_progress") -> frozenset[str]:
    """What a procedure answers: one outcome, or several where the state of things decides and not the access.

    target None is a record that does not exist.
    """
    row, actor = ROWS[name], ACTORS[who]
    refused = at_the_door(actor, row.accounts)
    if refused == REFUSED and row.rule.endswith("a form"):  # no form at all is refused before its sender is looked up
        return frozenset({refused, BAD})
    return frozenset({refused}) if refused else frozenset(_by_rule(row, who, target, state))


def expected_page(who: str, page: tuple[str, str], target: str | None, state: str = "in_progress") -> frozenset[str]:
    """What a page answers."""
    for step in PAGES[page]:
        if step == "no such file":
            return frozenset({ABSENT})
        if step == "home":
            break
        begins = step == "connect and begin"
        answer = _connect_and_begin(who, target) if begins else expected(who, step, target, state)
        if answer != {OK}:
            return answer | {OK} if BAD in answer else answer  # the page says what was wrong
    return frozenset({OK})


def may_read_words(who: str, target: str) -> bool:
    """Whether somebody may ever be shown what the two of a connection told each other or the interview."""
    actor = ACTORS[who]
    if not actor.is_known or not actor.is_active:
        return False
    return actor.role == "super_admin" or _as_patient(who, target) or _doctor_in_office(who, target)


def may_read_notes(who: str, target: str) -> bool:
    """Whether somebody may ever be shown what the doctor wrote for doctors."""
    return may_read_words(who, target) and not _as_patient(who, target)


def may_read_messages(who: str, target: str) -> bool:
    """Whether somebody may ever be shown the two people's direct messages."""
    return may_read_words(who, target) and (_as_patient(who, target) or _doctor_in_office(who, target))


def is_stranger(who: str, target: str) -> bool:
    """Whether somebody is neither of the two, nor an operator."""
    return who not in (TARGETS[target].patient, TARGETS[target].doctor) and ACTORS[who].role != "super_admin"


def _as_patient(who: str, target: str) -> bool:
    return TARGETS[target].patient == who


def _doctor_in_office(who: str, target: str) -> bool:
    link = TARGETS[target]
    return link.doctor == who and link.status == "active" and ACTORS[who].doctor == "verified"


def _by_rule(row: Row, who: str, target: str | None, state: str) -> set[str]:
    actor = ACTORS[who]
    if row.rule == "free":
        return {OK}
    if row.rule == "not built":
        return {UNBUILT}
    own = {
        "as a patient": ABSENT if actor.doctor and not actor.has_patient else OK,
        "as a verified doctor": OK if actor.doctor == "verified" else ABSENT,
        "has a patient profile": OK if actor.has_patient else ABSENT,
        "has no patient profile": TWICE if actor.has_patient else OK,
        "has no doctor profile": TWICE if actor.doctor else OK,
        "has a doctor profile": OK if actor.doctor else ABSENT,
    }
    if row.rule in own:
        return {own[row.rule]}
    if row.rule.startswith("verified doctor") and actor.doctor != "verified":
        return {ABSENT}
    if row.rule == "connects":
        return {_connects(actor, who, target)}
    if row.rule == "breaks the glass" and actor.doctor != "verified":
        return {REFUSED}
    if target is None or (row.about == "session" and state == "archived"):
        return {ABSENT, BAD} if row.rule.endswith("a form") else {ABSENT}
    if row.rule == "breaks the glass":
        return {REFUSED if who in (TARGETS[target].patient, TARGETS[target].doctor) else OK}
    if row.rule == "owner":  # each connection told its doctor that it had begun
        return {OK if TARGETS[target].doctor == who else ABSENT}
    if row.rule == "known to all":
        return {OK if ACTORS[TARGETS[target].doctor].is_active else ABSENT}
    if row.rule == "exists":
        return {OK}
    return _on_record(row.rule, who, target, state)


def _on_record(rule: str, who: str, target: str, state: str) -> set[str]:
    link, reads = TARGETS[target], "read" in rule
    is_open = link.status == "active"
    if who == link.patient:
        if rule.startswith(("doctor", "verified doctor")):
            return {REFUSED}
        # Nobody who could be ill is left writing to a doctor who is not there to read it.
        is_there = ACTORS[link.doctor].is_active and ACTORS[link.doctor].doctor == "verified"
        access = OK if reads or (is_open and (is_there or "leave" in rule)) else REFUSED
    elif who == link.doctor:
        if rule.startswith("patient"):
            return {REFUSED}
        access = OK if _doctor_in_office(who, target) else REFUSED
    else:
        oversees = ACTORS[who].role == "super_admin" and rule.startswith(("both read", "doctor reads"))
        if not oversees:
            return {ABSENT, BAD} if rule.endswith("a form") else {ABSENT}
        access = OK
    if access == OK and rule.endswith("an open one") and state in _FINISHED:
        return {BAD}
    if access == OK and rule.endswith("a finished one") and state not in _FINISHED:
        return {BAD}
    if access == OK and rule.endswith("the note") and state not in _FINISHED:
        return {ABSENT}
    if rule.endswith("a form"):
        return {access, BAD}
    may_refuse = rule.endswith(("the latest", "what may be refused"))
    return {OK, BAD} if access == OK and may_refuse else {access}


def _connects(actor: Actor, who: str, target: str | None) -> str:
    if actor.doctor:
        return REFUSED
    if target is None:
        return ABSENT
    link = TARGETS[target]
    doctor = ACTORS[link.doctor]
    if not doctor.is_active:
        return ABSENT
    if doctor.doctor != "verified":
        return REFUSED
    known = [each.status for each in TARGETS.values() if (each.patient, each.doctor) == (who, link.doctor)]
    return TWICE if known and known != ["disconnected"] else OK


def _connect_and_begin(who: str, target: str | None) -> frozenset[str]:
    """As connecting; who is connected already goes on."""
    wanted = TARGETS[target].doctor if target else None
    for name, link in TARGETS.items():
        if (link.patient, link.doctor, link.status) == (who, wanted, "active"):
            return expected(who, "intake.create", name)
    return frozenset({_connects(ACTORS[who], who, target)})
