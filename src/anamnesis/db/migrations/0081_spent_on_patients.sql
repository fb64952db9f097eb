-- What models cost a patient today is summed over all the patient's interviews, whatever became of them: the index there
-- was finds only those that are not archived.

CREATE INDEX intake_sessions_by_connection ON intake_sessions (connection_id);
