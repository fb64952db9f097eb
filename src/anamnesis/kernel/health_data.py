"""Which calls touch no health data. Every other call leaves a line in the audit trail; nobody has to remember to."""

from typing import Final

#: What these show and change is an account, a doctor's public profile, a count, or a notice without content.
WITHOUT: Final = frozenset(
    {
        "admin.getPendingDoctors",
        "admin.getUsers",
        "admin.updateUserRole",
        "admin.updateUserStatus",
        "admin.verifyDoctor",
        "doctor.createProfile",
        "doctor.getBySlug",
        "doctor.getMyProfile",
        "doctor.getQRCode",
        "doctor.getQRCodeDownload",
        "doctor.getShareUrl",
        "doctor.hasProfile",
        "doctor.regenerateQRCode",
        "doctor.updateProfile",
        "message.getUnreadCount",
        "notification.delete",
        "notification.deleteAllRead",
        "notification.getMyNotifications",
        "notification.getUnreadCount",
        "notification.markAllAsRead",
        "notification.markAsRead",
        "notification.onNew",
        "patient.hasProfile",
        "user.getConsents",
        "user.getMe",
        "user.getNotifications",
        "user.getUnreadCount",
        "user.giveConsent",
        "user.markAllNotificationsAsRead",
        "user.markNotificationAsRead",
        "user.me",
        "user.updateProfile",
        "user.withdrawConsent",
    }
)
