-- A person's notifications in an order that a stream and a page can go on from: numbered in the order in which they
-- are committed, and announced to whoever listens.

CREATE SEQUENCE notification_places;
ALTER TABLE notifications ADD COLUMN seq bigint;
UPDATE notifications n SET seq = placed.seq
FROM (SELECT id, nextval('notification_places') AS seq FROM (SELECT id FROM notifications ORDER BY created_at, id) o) placed
WHERE placed.id = n.id;
ALTER TABLE notifications ALTER COLUMN seq SET NOT NULL;
DROP INDEX notifications_of_user;
CREATE UNIQUE INDEX notifications_of_user ON notifications (user_id, seq);

-- The lock is per person and ends with the transaction, so of two at once the later number is also the later commit.
CREATE FUNCTION notification_takes_its_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('notifications'), hashtext(NEW.user_id::text));
    NEW.seq := nextval('notification_places');
    NEW.created_at := clock_timestamp();
    PERFORM pg_notify('anamnesis', 'notifications:' || NEW.user_id);
    RETURN NEW;
END $$;
CREATE TRIGGER notifications_in_order BEFORE INSERT ON notifications
    FOR EACH ROW EXECUTE FUNCTION notification_takes_its_place();

GRANT USAGE ON SEQUENCE notification_places TO anamnesis_app;
GRANT DELETE ON notifications TO anamnesis_app;
