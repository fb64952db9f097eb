-- A transcript only grows. Of a line that stands, the service may say how far its answer is, and until the session is
-- ready that a reply was replaced by one in other words; all else of it stays. The owner of the tables is not held to it.

CREATE FUNCTION transcripts_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW (NEW.id, NEW.epoch, NEW.role, NEW.sender_id, NEW.images, NEW.active_agent, NEW.choices, NEW.is_emergency,
            NEW.client_message_id, NEW.reply_to, NEW.created_at, NEW.is_stopped)
       IS NOT DISTINCT FROM
       ROW (OLD.id, OLD.epoch, OLD.role, OLD.sender_id, OLD.images, OLD.active_agent, OLD.choices, OLD.is_emergency,
            OLD.client_message_id, OLD.reply_to, OLD.created_at, OLD.is_stopped)
       AND (NEW.superseded_at IS NOT DISTINCT FROM OLD.superseded_at
            OR (OLD.superseded_at IS NULL
                AND EXISTS (SELECT FROM intake_sessions s
                            WHERE s.id = OLD.session_id AND s.status NOT IN ('ready', 'reviewed')))) THEN
        RETURN NEW;
    END IF;
    IF pg_has_role(current_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'MEMBER') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a transcript only grows' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER chat_messages_grow BEFORE UPDATE ON chat_messages
    FOR EACH ROW EXECUTE FUNCTION transcripts_only_grow();
