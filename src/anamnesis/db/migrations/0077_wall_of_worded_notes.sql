-- What a model made of a note is read by whoever reads what doctors add to a case, never by a patient; a job writes it.

ALTER TABLE worded_notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON worded_notes FOR SELECT USING (
    (SELECT viewer_works()) OR (SELECT viewer_oversees())
    OR (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
               WHERE s.id = worded_notes.session_id
               AND ((c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active')
                    OR c.id = ANY ((SELECT viewer_opened())::uuid[]))));
CREATE POLICY made ON worded_notes FOR INSERT WITH CHECK ((SELECT viewer_works()));
CREATE POLICY changed ON worded_notes FOR UPDATE USING ((SELECT viewer_works()));
CREATE POLICY gone ON worded_notes FOR DELETE USING ((SELECT viewer_works()));
