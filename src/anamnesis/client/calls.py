"""Every procedure as a method. Written by `python scripts/calls.py`; a test fails when it is stale.

What may be left out is None. A write with a client message id gets one, and is done once however often it is sent.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from anamnesis.administration import api as administration_api
from anamnesis.care import views as care_views
from anamnesis.client.line import NULL, Event, Line
from anamnesis.files import api as files_api
from anamnesis.handover import additions as handover_additions
from anamnesis.handover import api as handover_api
from anamnesis.handover import decisions as handover_decisions
from anamnesis.handover import emergencies as handover_emergencies
from anamnesis.handover import printing as handover_printing
from anamnesis.intake import api as intake_api
from anamnesis.intake import sessions as intake_sessions
from anamnesis.intake import views as intake_views
from anamnesis.messaging import api as messaging_api
from anamnesis.notifications import api as notifications_api
from anamnesis.rights import api as rights_api


@dataclass(frozen=True, slots=True)
class UserCalls:
    """The procedures of user."""

    line: Line

    async def me(self) -> care_views.Me:
        """The caller's account with its profiles."""
        return await self.line.query("user.me", care_views.Me)

    async def get_me(self) -> care_views.User:
        """The caller's account."""
        return await self.line.query("user.getMe", care_views.User)

    async def update_profile(
        self, *, first_name: str | None = None, last_name: str | None = None, image_url: str | None = None
    ) -> care_views.User:
        """Change the caller's names or picture."""
        return await self.line.mutate(
            "user.updateProfile", care_views.User, firstName=first_name, lastName=last_name, imageUrl=image_url
        )

    async def get_consents(self) -> care_views.Consents:
        """The caller's consents that stand, and the version of the words that are in force."""
        return await self.line.query("user.getConsents", care_views.Consents)

    async def give_consent(self, *, purpose: Literal["outside_model"], version: str) -> care_views.Consents:
        """Agree to a purpose in the words in force; the same again changes nothing."""
        return await self.line.mutate("user.giveConsent", care_views.Consents, purpose=purpose, version=version)

    async def withdraw_consent(
        self, *, purpose: Literal["outside_model"], version: str | None = None
    ) -> care_views.Consents:
        """Take a consent back; it holds from the next message on."""
        return await self.line.mutate("user.withdrawConsent", care_views.Consents, purpose=purpose, version=version)

    async def get_notifications(
        self, *, limit: int | None = None, cursor: str | None = None, unread_only: bool | None = None
    ) -> notifications_api.NotificationPage:
        """As notification.getMyNotifications; a page may be twice as long."""
        return await self.line.query(
            "user.getNotifications",
            notifications_api.NotificationPage,
            limit=limit,
            cursor=cursor,
            unreadOnly=unread_only,
        )

    async def get_unread_count(self) -> notifications_api.Count:
        """As notification.getUnreadCount."""
        return await self.line.query("user.getUnreadCount", notifications_api.Count)

    async def mark_notification_as_read(self, *, notification_id: UUID) -> notifications_api.Notification:
        """As notification.markAsRead: only the caller's own."""
        return await self.line.mutate(
            "user.markNotificationAsRead", notifications_api.Notification, notificationId=notification_id
        )

    async def mark_all_notifications_as_read(self) -> notifications_api.Success:
        """As notification.markAllAsRead."""
        return await self.line.mutate("user.markAllNotificationsAsRead", notifications_api.Success)


@dataclass(frozen=True, slots=True)
class PatientCalls:
    """The procedures of patient."""

    line: Line

    async def get_my_profile(self) -> care_views.PatientProfile:
        """The caller's patient profile."""
        return await self.line.query("patient.getMyProfile", care_views.PatientProfile)

    async def update_profile(
        self,
        *,
        date_of_birth: datetime | None = None,
        gender: Literal["male", "female", "other", "prefer_not_to_say"] | None = None,
        phone: str | None = None,
        emergency_contact: str | None = None,
        emergency_phone: str | None = None,
    ) -> care_views.Patient:
        """Change what is given of the caller's patient profile."""
        return await self.line.mutate(
            "patient.updateProfile",
            care_views.Patient,
            dateOfBirth=date_of_birth,
            gender=gender,
            phone=phone,
            emergencyContact=emergency_contact,
            emergencyPhone=emergency_phone,
        )

    async def create_profile(
        self,
        *,
        date_of_birth: datetime | None = None,
        gender: Literal["male", "female", "other", "prefer_not_to_say"] | None = None,
        phone: str | None = None,
        emergency_contact: str | None = None,
        emergency_phone: str | None = None,
    ) -> care_views.Patient:
        """Make the caller's patient profile; takes no role away."""
        return await self.line.mutate(
            "patient.createProfile",
            care_views.Patient,
            dateOfBirth=date_of_birth,
            gender=gender,
            phone=phone,
            emergencyContact=emergency_contact,
            emergencyPhone=emergency_phone,
        )

    async def has_profile(self) -> care_views.HasProfile:
        """Whether the caller has a patient profile."""
        return await self.line.query("patient.hasProfile", care_views.HasProfile)

    async def request_erasure(self) -> rights_api.ErasureRequest:
        """Ask for everything about the caller as a patient to be erased; an operator carries it out."""
        return await self.line.mutate("patient.requestErasure", rights_api.ErasureRequest)


@dataclass(frozen=True, slots=True)
class DoctorCalls:
    """The procedures of doctor."""

    line: Line

    async def get_by_slug(self, *, slug: str) -> care_views.PublicDoctor:
        """What anybody may see of a doctor."""
        return await self.line.query("doctor.getBySlug", care_views.PublicDoctor, slug=slug)

    async def create_profile(
        self,
        *,
        specialty: str | None = None,
        clinic_name: str | None = None,
        bio: str | None = None,
        phone: str | None = None,
        address: str | None = None,
    ) -> care_views.DoctorProfile:
        """Make the caller a doctor who sees nobody until an operator has verified them."""
        return await self.line.mutate(
            "doctor.createProfile",
            care_views.DoctorProfile,
            specialty=specialty,
            clinicName=clinic_name,
            bio=bio,
            phone=phone,
            address=address,
        )

    async def get_my_profile(self) -> care_views.DoctorProfile:
        """The caller's doctor profile."""
        return await self.line.query("doctor.getMyProfile", care_views.DoctorProfile)

    async def update_profile(
        self,
        *,
        specialty: str | None = None,
        clinic_name: str | None = None,
        bio: str | None = None,
        phone: str | None = None,
        address: str | None = None,
        appointment_duration: int | None = None,
        buffer_time: int | None = None,
        max_daily_appointments: int | None = None,
        consultation_fee: int | None = None,
    ) -> care_views.SharedDoctor:
        """Change what is given of the caller's doctor profile."""
        return await self.line.mutate(
            "doctor.updateProfile",
            care_views.SharedDoctor,
            specialty=specialty,
            clinicName=clinic_name,
            bio=bio,
            phone=phone,
            address=address,
            appointmentDuration=appointment_duration,
            bufferTime=buffer_time,
            maxDailyAppointments=max_daily_appointments,
            consultationFee=consultation_fee,
        )

    async def has_profile(self) -> care_views.HasProfile:
        """Whether the caller has a doctor profile."""
        return await self.line.query("doctor.hasProfile", care_views.HasProfile)

    async def get_share_url(self) -> care_views.ShareUrl:
        """The public address where patients connect to the caller."""
        return await self.line.query("doctor.getShareUrl", care_views.ShareUrl)

    async def get_qr_code(self) -> care_views.ShareCode:
        """The public address as a QR code."""
        return await self.line.query("doctor.getQRCode", care_views.ShareCode)

    async def regenerate_qr_code(self) -> care_views.ShareCode:
        """The QR code again: it is made of the public address each time, so it is never an old one."""
        return await self.line.mutate("doctor.regenerateQRCode", care_views.ShareCode)

    async def get_qr_code_download(self) -> care_views.ShareCodeFile:
        """The QR code as a file to print."""
        return await self.line.query("doctor.getQRCodeDownload", care_views.ShareCodeFile)


@dataclass(frozen=True, slots=True)
class ConnectionCalls:
    """The procedures of connection."""

    line: Line

    async def create(
        self, *, doctor_id: UUID, connection_source: Literal["qr_scan", "direct_url", "referral"] | None = None
    ) -> care_views.Connection:
        """Connect the calling patient to a verified doctor."""
        return await self.line.mutate(
            "connection.create", care_views.Connection, doctorId=doctor_id, connectionSource=connection_source
        )

    async def get_my_connections(
        self, *, status: Literal["active", "disconnected", "blocked", "all"] | None = None
    ) -> care_views.MyConnections:
        """The caller's connections; a patient profile wins over a doctor's, and an unverified doctor has none."""
        return await self.line.query("connection.getMyConnections", care_views.MyConnections, status=status)

    async def disconnect(self, *, connection_id: UUID) -> care_views.Connection:
        """End a connection, for either of its two people."""
        return await self.line.mutate("connection.disconnect", care_views.Connection, connectionId=connection_id)

    async def get_by_id(self, *, connection_id: UUID) -> care_views.ConnectionDetail:
        """One connection with both people."""
        return await self.line.query("connection.getById", care_views.ConnectionDetail, connectionId=connection_id)


@dataclass(frozen=True, slots=True)
class AdminCalls:
    """The procedures of admin."""

    line: Line

    async def get_pending_doctors(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> care_views.PendingDoctors:
        """Doctors nobody has verified or rejected yet, oldest first."""
        return await self.line.query("admin.getPendingDoctors", care_views.PendingDoctors, limit=limit, offset=offset)

    async def verify_doctor(
        self, *, doctor_id: UUID, action: Literal["approve", "reject"], reason: str | None = None
    ) -> care_views.Doctor:
        """Verify or reject a doctor; either can be changed later."""
        return await self.line.mutate(
            "admin.verifyDoctor", care_views.Doctor, doctorId=doctor_id, action=action, reason=reason
        )

    async def get_users(
        self,
        *,
        role: Literal["super_admin", "doctor", "clinic_admin", "receptionist", "patient"] | None = None,
        search: str | None = None,
        is_active: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> administration_api.Users:
        """Accounts, newest first."""
        return await self.line.query(
            "admin.getUsers",
            administration_api.Users,
            role=role,
            search=search,
            isActive=is_active,
            limit=limit,
            offset=offset,
        )

    async def update_user_status(self, *, user_id: UUID, is_active: bool, reason: str | None = None) -> care_views.User:
        """Open or close an account; it takes effect with the account's next request."""
        return await self.line.mutate(
            "admin.updateUserStatus", care_views.User, userId=user_id, isActive=is_active, reason=reason
        )

    async def update_user_role(
        self, *, user_id: UUID, role: Literal["super_admin", "doctor", "clinic_admin", "receptionist", "patient"]
    ) -> care_views.User:
        """Give an account another role; it makes no profile, and one operator is always left."""
        return await self.line.mutate("admin.updateUserRole", care_views.User, userId=user_id, role=role)

    async def get_audit_logs(
        self,
        *,
        user_id: UUID | None = None,
        action: str | None = None,
        resource_type: str | None = None,
        resource_id: UUID | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        search: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> administration_api.AuditLines:
        """What was done, newest first."""
        return await self.line.query(
            "admin.getAuditLogs",
            administration_api.AuditLines,
            userId=user_id,
            action=action,
            resourceType=resource_type,
            resourceId=resource_id,
            startDate=start_date,
            endDate=end_date,
            search=search,
            limit=limit,
            offset=offset,
        )


@dataclass(frozen=True, slots=True)
class MessageCalls:
    """The procedures of message."""

    line: Line

    async def send(
        self, *, connection_id: UUID, content: str, client_message_id: UUID | None = None
    ) -> messaging_api.Sent:
        """Send a message to the other person of a connection, exactly once."""
        return await self.line.once(
            "message.send",
            messaging_api.Sent,
            connectionId=connection_id,
            content=content,
            clientMessageId=client_message_id,
        )

    async def get_conversation(
        self, *, connection_id: UUID, limit: int | None = None, cursor: str | None = None
    ) -> messaging_api.Conversation:
        """Messages of a connection, newest page first."""
        return await self.line.query(
            "message.getConversation",
            messaging_api.Conversation,
            connectionId=connection_id,
            limit=limit,
            cursor=cursor,
        )

    async def mark_as_read(self, *, connection_id: UUID) -> messaging_api.Marked:
        """Mark what the other person wrote as read."""
        return await self.line.mutate("message.markAsRead", messaging_api.Marked, connectionId=connection_id)

    async def get_unread_count(self) -> messaging_api.Count:
        """How many messages wait to be read."""
        return await self.line.query("message.getUnreadCount", messaging_api.Count)

    async def get_conversations(self) -> messaging_api.Conversations:
        """The caller's active conversations with their latest message and how many wait to be read."""
        return await self.line.query("message.getConversations", messaging_api.Conversations)

    def on_conversation(
        self, *, connection_id: UUID, last_event_id: str | None = None
    ) -> AsyncIterator[Event[messaging_api.ConversationEvent]]:
        """Each new message of a conversation and each reading of the caller's, for as long as the caller may see it."""
        return self.line.listen(
            "message.onConversation",
            messaging_api.ConversationEvent,
            connectionId=connection_id,
            lastEventId=last_event_id,
        )


@dataclass(frozen=True, slots=True)
class IntakeCalls:
    """The procedures of intake."""

    line: Line

    async def store_file_metadata(self, *, session_id: UUID, files: Sequence[Mapping[str, Any]]) -> files_api.Files:
        """The files of a session that were uploaded before, as they are kept; a url of any other store is refused."""
        return await self.line.mutate("intake.storeFileMetadata", files_api.Files, sessionId=session_id, files=files)

    async def get_session_files(self, *, session_id: UUID) -> files_api.Files:
        """The files of a session that the caller may see, in the order in which they were sent."""
        return await self.line.query("intake.getSessionFiles", files_api.Files, sessionId=session_id)

    async def create(self, *, connection_id: UUID) -> intake_views.SessionRow:
        """Go on with the interview that is open for this connection, or begin one."""
        return await self.line.mutate("intake.create", intake_views.SessionRow, connectionId=connection_id)

    async def create_new_session(self, *, connection_id: UUID) -> intake_views.SessionRow:
        """Begin another interview for this connection."""
        return await self.line.mutate("intake.createNewSession", intake_views.SessionRow, connectionId=connection_id)

    async def get_session(self, *, session_id: UUID) -> intake_views.SessionView:
        """A session with its transcript; a doctor's view has the doctor's additions in it."""
        return await self.line.query("intake.getSession", intake_views.SessionView, sessionId=session_id)

    async def get_my_intake_sessions(
        self,
        *,
        connection_id: UUID | None = None,
        status: Literal["not_started", "in_progress", "ready", "reviewed", "all"] | None = None,
        limit: int | None = None,
    ) -> intake_api.SessionList:
        """The calling patient's sessions."""
        return await self.line.query(
            "intake.getMyIntakeSessions", intake_api.SessionList, connectionId=connection_id, status=status, limit=limit
        )

    async def get_doctor_intake_sessions(
        self,
        *,
        status: Literal["not_started", "in_progress", "ready", "reviewed", "all"] | None = None,
        limit: int | None = None,
    ) -> intake_api.DoctorsSessionList:
        """The sessions of the calling doctor's active connections."""
        return await self.line.query(
            "intake.getDoctorIntakeSessions", intake_api.DoctorsSessionList, status=status, limit=limit
        )

    async def send_message(
        self,
        *,
        session_id: UUID,
        content: str,
        images: Sequence[str] | None = None,
        client_message_id: UUID | None = None,
    ) -> intake_api.Sent:
        """Keep a message exactly once, screen it, and answer it; from a doctor it is a note the patient never sees."""
        return await self.line.once(
            "intake.sendMessage",
            intake_api.Sent,
            sessionId=session_id,
            content=content,
            images=images,
            clientMessageId=client_message_id,
        )

    async def regenerate_response(self, *, session_id: UUID, message_id: UUID | None = None) -> intake_api.Regenerated:
        """Put the last question in other words, when a model may; what is asked, known and urgent stays as it is."""
        return await self.line.mutate(
            "intake.regenerateResponse", intake_api.Regenerated, sessionId=session_id, messageId=message_id
        )

    async def stop_reply(self, *, session_id: UUID, message_id: UUID | None = None) -> intake_api.StoppedReply:
        """End the reply that is on its way and keep what was shown of it, marked as stopped."""
        return await self.line.mutate(
            "intake.stopReply", intake_api.StoppedReply, sessionId=session_id, messageId=message_id
        )

    async def get_messages(self, *, connection_id: UUID) -> intake_api.Lines:
        """The transcript over all sessions of a connection; a doctor's view has the doctor's additions after it."""
        return await self.line.query("intake.getMessages", intake_api.Lines, connectionId=connection_id)

    async def update_session_name(self, *, session_id: UUID, name: str | None) -> intake_views.SessionRow:
        """Name a session, or clear its name."""
        return await self.line.mutate(
            "intake.updateSessionName",
            intake_views.SessionRow,
            sessionId=session_id,
            name=NULL if name is None else name,
        )

    async def mark_as_reviewed(self, *, session_id: UUID) -> intake_views.SessionRow:
        """Mark a ready case as reviewed; again only notes that it was dealt with, and it never goes back."""
        return await self.line.mutate("intake.markAsReviewed", intake_views.SessionRow, sessionId=session_id)

    def on_session(
        self,
        *,
        session_id: UUID,
        last_event_id: str | None = None,
        growing: bool | None = None,
        by_word: bool | None = None,
    ) -> AsyncIterator[Event[intake_views.ChatLine | intake_views.GrowingReply]]:
        """Each new line of a session's transcript, from the given one on, for as long as the caller may see it."""
        return self.line.listen(
            "intake.onSession",
            intake_views.ChatLine,
            intake_views.GrowingReply,
            sessionId=session_id,
            lastEventId=last_event_id,
            growing=growing,
            byWord=by_word,
        )

    def on_inbox(self, *, last_event_id: str | None = None) -> AsyncIterator[Event[intake_api.InboxSign]]:
        """A sign whenever something happens in the calling doctor's inbox; what happened is read from the inbox itself."""
        return self.line.listen("intake.onInbox", intake_api.InboxSign, lastEventId=last_event_id)

    async def delete_session(self, *, session_id: UUID) -> intake_sessions.Done:
        """Take an unfinished session out of every list; what was said is kept until retention or erasure."""
        return await self.line.mutate("intake.deleteSession", intake_sessions.Done, sessionId=session_id)

    async def reset_session(self, *, session_id: UUID) -> intake_sessions.BegunAgain:
        """Begin an unfinished session again under its id; the old conversation is archived, a told danger stays."""
        return await self.line.mutate("intake.resetSession", intake_sessions.BegunAgain, sessionId=session_id)

    async def get_all_sessions_with_appointments(
        self,
        *,
        status: Literal["all", "active", "completed"] | None = None,
        sort_by: Literal["newest", "oldest", "completeness"] | None = None,
    ) -> intake_sessions.GroupedSessions:
        """Every session of the calling patient, by connection, the connections in the order of their first session."""
        return await self.line.query(
            "intake.getAllSessionsWithAppointments", intake_sessions.GroupedSessions, status=status, sortBy=sort_by
        )

    async def get_sessions_for_appointment_linking(self, *, connection_id: UUID) -> intake_sessions.LinkableSessions:
        """The sessions of a connection that are ready, or half done."""
        return await self.line.query(
            "intake.getSessionsForAppointmentLinking", intake_sessions.LinkableSessions, connectionId=connection_id
        )

    async def get_ucg_recommendations(self, *, connection_id: UUID) -> intake_sessions.Recommendations:
        """What the replaced system had stored as guidelines for the latest session of a connection."""
        return await self.line.query(
            "intake.getUCGRecommendations", intake_sessions.Recommendations, connectionId=connection_id
        )

    async def mark_reviewed(self, *, connection_id: UUID) -> intake_sessions.BegunAgain:
        """As intake.markAsReviewed, of the session of a connection that changed last."""
        return await self.line.mutate("intake.markReviewed", intake_sessions.BegunAgain, connectionId=connection_id)

    async def get_sbar(self, *, connection_id: UUID) -> handover_api.SbarAnswer:
        """The newest note of a connection with what its doctor has added to that case, for its doctor."""
        return await self.line.query("intake.getSBAR", handover_api.SbarAnswer, connectionId=connection_id)

    async def get_clinical_reasoning(self, *, connection_id: UUID) -> handover_api.ReasoningAnswer:
        """What is thought of the case that changed last and still missing from it, for its doctor."""
        return await self.line.query(
            "intake.getClinicalReasoning", handover_api.ReasoningAnswer, connectionId=connection_id
        )

    async def add_message(
        self,
        *,
        connection_id: UUID,
        content: str,
        message_type: Literal["text", "test-result", "exam-finding"] | None = None,
        metadata: Mapping[str, Any] | None = None,
        client_message_id: UUID | None = None,
    ) -> handover_additions.Added:
        """Add a note, a result or a finding to a connection's case that changed last; its patient never sees it."""
        return await self.line.once(
            "intake.addMessage",
            handover_additions.Added,
            connectionId=connection_id,
            content=content,
            messageType=message_type,
            metadata=metadata,
            clientMessageId=client_message_id,
        )

    async def add_image_message(
        self,
        *,
        connection_id: UUID,
        image_url: str,
        message_type: Literal["image", "test-result"] | None = None,
        caption: str | None = None,
        client_message_id: UUID | None = None,
    ) -> handover_additions.Added:
        """Add a picture the doctor has uploaded to the case; any other url is refused by its field."""
        return await self.line.once(
            "intake.addImageMessage",
            handover_additions.Added,
            connectionId=connection_id,
            imageUrl=image_url,
            messageType=message_type,
            caption=caption,
            clientMessageId=client_message_id,
        )


@dataclass(frozen=True, slots=True)
class HandoverCalls:
    """The procedures of handover."""

    line: Line

    async def get_inbox(self) -> handover_api.Inbox:
        """The calling doctor's cases, who first and why."""
        return await self.line.query("handover.getInbox", handover_api.Inbox)

    async def get_case(self, *, session_id: UUID) -> handover_api.CaseView:
        """One case for its doctor: the note line by line with its evidence, the red flags, the notes."""
        return await self.line.query("handover.getCase", handover_api.CaseView, sessionId=session_id)

    async def lower_urgency(
        self, *, session_id: UUID, to: Literal["routine", "urgent"], reason: str, basis: str | None = None
    ) -> handover_decisions.Urgency:
        """Lower a case's urgency. Only its doctor can, with a reason; whatever is told later raises it again."""
        return await self.line.mutate(
            "handover.lowerUrgency", handover_decisions.Urgency, sessionId=session_id, to=to, reason=reason, basis=basis
        )

    async def get_document(
        self,
        *,
        session_id: UUID,
        format: Literal["text", "html", "page"] | None = None,
        order: Literal["sbar", "soap"] | None = None,
    ) -> handover_printing.Document:
        """A written note with what its doctor has added, as a document. NOT_FOUND while the interview is not complete."""
        return await self.line.query(
            "handover.getDocument", handover_printing.Document, sessionId=session_id, format=format, order=order
        )

    async def break_glass(self, *, session_id: UUID, reason: str) -> handover_emergencies.Opened:
        """Read the cases of a stranger's connection for 30 minutes; patient, doctor and operators are told of it."""
        return await self.line.mutate(
            "handover.breakGlass", handover_emergencies.Opened, sessionId=session_id, reason=reason
        )


@dataclass(frozen=True, slots=True)
class NotificationCalls:
    """The procedures of notification."""

    line: Line

    async def get_my_notifications(
        self, *, limit: int | None = None, cursor: str | None = None, unread_only: bool | None = None
    ) -> notifications_api.NotificationPage:
        """The caller's notifications, newest first."""
        return await self.line.query(
            "notification.getMyNotifications",
            notifications_api.NotificationPage,
            limit=limit,
            cursor=cursor,
            unreadOnly=unread_only,
        )

    async def get_unread_count(self) -> notifications_api.Count:
        """How many of the caller's notifications have not been read."""
        return await self.line.query("notification.getUnreadCount", notifications_api.Count)

    async def mark_as_read(self, *, notification_id: UUID) -> notifications_api.Notification:
        """Mark one of the caller's notifications as read; one that was read stays as it is."""
        return await self.line.mutate(
            "notification.markAsRead", notifications_api.Notification, notificationId=notification_id
        )

    async def mark_all_as_read(self) -> notifications_api.Marked:
        """Mark all of the caller's notifications as read."""
        return await self.line.mutate("notification.markAllAsRead", notifications_api.Marked)

    async def delete(self, *, notification_id: UUID) -> notifications_api.Success:
        """Delete one of the caller's notifications; what it told of stays."""
        return await self.line.mutate("notification.delete", notifications_api.Success, notificationId=notification_id)

    async def delete_all_read(self) -> notifications_api.Deleted:
        """Delete those of the caller's notifications that were read."""
        return await self.line.mutate("notification.deleteAllRead", notifications_api.Deleted)

    def on_new(self, *, last_event_id: str | None = None) -> AsyncIterator[Event[notifications_api.Notification]]:
        """Each new notification of the caller's, for as long as the account may be used."""
        return self.line.listen("notification.onNew", notifications_api.Notification, lastEventId=last_event_id)


class Clinic(Line):
    """A clinic, for whoever the token signs in."""

    @property
    def user(self) -> UserCalls:
        """The procedures of user."""
        return UserCalls(self)

    @property
    def patient(self) -> PatientCalls:
        """The procedures of patient."""
        return PatientCalls(self)

    @property
    def doctor(self) -> DoctorCalls:
        """The procedures of doctor."""
        return DoctorCalls(self)

    @property
    def connection(self) -> ConnectionCalls:
        """The procedures of connection."""
        return ConnectionCalls(self)

    @property
    def admin(self) -> AdminCalls:
        """The procedures of admin."""
        return AdminCalls(self)

    @property
    def message(self) -> MessageCalls:
        """The procedures of message."""
        return MessageCalls(self)

    @property
    def intake(self) -> IntakeCalls:
        """The procedures of intake."""
        return IntakeCalls(self)

    @property
    def handover(self) -> HandoverCalls:
        """The procedures of handover."""
        return HandoverCalls(self)

    @property
    def notification(self) -> NotificationCalls:
        """The procedures of notification."""
        return NotificationCalls(self)

    async def upload_files(self, session_id: UUID, files: Sequence[tuple[str, bytes, str]]) -> files_api.Files:
        """Keep photos and documents of a session, all or none; each a name, its bytes, their media type."""
        return await self.upload(files_api.Files, session_id, files)
