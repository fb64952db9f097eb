-- What a model said for the doctor alone beside a reply that was sent. It goes with the reply it came with, and counts
-- while that reply is the current one.

CREATE TABLE model_reasonings (
    reply_id    uuid PRIMARY KEY REFERENCES chat_messages (id) ON DELETE CASCADE,
    session_id  uuid NOT NULL REFERENCES intake_sessions (id),
    content     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX model_reasonings_of_session ON model_reasonings (session_id);
GRANT SELECT, INSERT ON model_reasonings TO anamnesis_app;

-- Read by whoever reads what doctors add to a case. A patient's turn leaves it there, and can neither read it back nor
-- change it.
ALTER TABLE model_reasonings ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON model_reasonings FOR SELECT USING (
    (SELECT viewer_works()) OR (SELECT viewer_oversees())
    OR (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
               WHERE s.id = model_reasonings.session_id
               AND ((c.doctor_id = (SELECT viewer_doctor()) AND c.status = 'active')
                    OR c.id = ANY ((SELECT viewer_opened())::uuid[]))));
CREATE POLICY made ON model_reasonings FOR INSERT WITH CHECK (
    (SELECT viewer_works())
    OR (SELECT true FROM intake_sessions s JOIN connections c ON c.id = s.connection_id
               WHERE s.id = model_reasonings.session_id AND c.patient_id = (SELECT viewer_patient())));
CREATE POLICY changed ON model_reasonings FOR UPDATE USING ((SELECT viewer_works()));
CREATE POLICY gone ON model_reasonings FOR DELETE USING ((SELECT viewer_works()));
