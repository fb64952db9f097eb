"""Procedures of the replaced system that are not ported yet: they answer NOT_IMPLEMENTED, not NOT_FOUND.

A client can so tell a feature we lack from a name that never existed.
"""

from typing import Any, Final

from anamnesis.kernel.errors import NotBuilt
from anamnesis.kernel.procedures import Allow, Context, Kind, Procedure, Registry

#: Every procedure the replaced system had, by router and kind.
_ORIGINAL: Final[dict[str, dict[Kind, str]]] = {
    "intake": {
        Kind.QUERY: (
            "getSession getMyIntakeSessions getAllSessionsWithAppointments "
            "getSessionsForAppointmentLinking getDoctorIntakeSessions getMessages getSBAR "
            "getClinicalReasoning getSessionFiles getUCGRecommendations"
        ),
        Kind.MUTATION: (
            "create createNewSession deleteSession resetSession markAsReviewed sendMessage "
            "storeFileMetadata regenerateResponse updateSessionName addMessage addImageMessage "
            "markReviewed"
        ),
    },
    "message": {
        Kind.QUERY: ("getConversation getUnreadCount getConversations"),
        Kind.MUTATION: ("send markAsRead"),
    },
    "connection": {
        Kind.QUERY: ("getMyConnections getById"),
        Kind.MUTATION: ("create disconnect"),
    },
    "patient": {
        Kind.QUERY: ("getMyProfile hasProfile"),
        Kind.MUTATION: ("updateProfile createProfile"),
    },
    "user": {
        Kind.QUERY: ("me getMe getNotifications getUnreadCount"),
        Kind.MUTATION: ("updateProfile markNotificationAsRead markAllNotificationsAsRead"),
    },
    "notification": {
        Kind.QUERY: ("getMyNotifications getUnreadCount"),
        Kind.MUTATION: ("markAsRead markAllAsRead delete deleteAllRead"),
    },
    "doctor": {
        Kind.QUERY: (
            "getBySlug getMyProfile hasProfile getShareUrl getQRCodeDownload getQRCode getAvailability "
            "getAvailabilityByDoctorId getBlockedDates getBlockedDatesByDoctorId getProfessionalProfile "
            "getPublicProfile getProfileCompleteness"
        ),
        Kind.MUTATION: (
            "updateProfile createProfile regenerateQRCode setAvailability blockDate unblockDate "
            "updateProfessionalProfile uploadProfilePhoto deleteProfilePhoto publishProfile "
            "unpublishProfile"
        ),
    },
    "appointment": {
        Kind.QUERY: ("getAvailableSlots getById getMyAppointments getScribeData"),
        Kind.MUTATION: (
            "create createByDoctor cancel reschedule activateScribe deactivateScribe confirm "
            "markArrived markNoShow complete"
        ),
    },
    "meeting": {
        Kind.QUERY: ("validateAccess canEndMeeting isMeetingAvailable"),
        Kind.MUTATION: ("endMeetingForAll notifyMeetingJoined"),
    },
    "file": {
        Kind.QUERY: ("getPatientFiles getFile getFilesGroupedByPatient"),
        Kind.MUTATION: ("updateThumbnail"),
    },
    "team": {
        Kind.QUERY: ("getTeamMembers getPendingInvitations getInvitationByToken getMyDoctorAssignment"),
        Kind.MUTATION: ("inviteTeamMember cancelInvitation acceptInvitation changeRole removeTeamMember"),
    },
    "support": {
        Kind.QUERY: ("getMyTickets getTicketById getAllTickets getStats"),
        Kind.MUTATION: ("create respond assignTicket updateStatus"),
    },
    "admin": {
        Kind.QUERY: (
            "getStats getUsers getUserById getPendingDoctors getActivityFeed getConfig getAllDoctors "
            "getAuditLogs getAuditStats exportAuditLogs"
        ),
        Kind.MUTATION: ("updateUserStatus updateUserRole verifyDoctor updateConfig updateConfigs"),
    },
    "analytics": {
        Kind.QUERY: (
            "getUserGrowth getAppointmentStats getIntakeStats getOverview exportUserGrowth "
            "exportAppointmentStats getDoctorAnalytics generatePDFReport"
        ),
    },
    "dashboard": {
        Kind.QUERY: ("getDoctorDashboard getPatientDashboard getAdminDashboard"),
    },
}


async def _not_built(_: Context[Any]) -> None:
    raise NotBuilt


def add_unported(registry: Registry) -> None:
    """Declare every original procedure that nothing has declared so far."""
    names = (
        (f"{router}.{name}", kind)
        for router, kinds in _ORIGINAL.items()
        for kind, listed in kinds.items()
        for name in listed.split()
    )
    missing = [(name, kind) for name, kind in names if registry.find(name) is None]
    procedures = (
        Procedure(name=name, kind=kind, handler=_not_built, allow=Allow.PUBLIC, summary="Not available yet.")
        for name, kind in missing
    )
    registry.add(procedures, services=None)
