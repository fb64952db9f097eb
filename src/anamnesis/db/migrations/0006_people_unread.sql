-- Marking a conversation as read clears its notifications: found by whom they are for, however many were read before.

CREATE INDEX notifications_unread ON notifications (user_id, type) WHERE NOT is_read;
