-- A reply on its way: as far as it may be shown it stands at the message it answers, so that every process and every
-- device finds it, and a reply that its reader stopped is marked as what it is: a part.

ALTER TABLE chat_messages ADD COLUMN reply_so_far text, ADD COLUMN is_stopped boolean NOT NULL DEFAULT false;
