-- What a doctor adds to a case: notes, results, findings and pictures, apart from what the patient said.

ALTER TABLE clinician_notes
    ADD COLUMN kind      text NOT NULL DEFAULT 'text' CHECK (kind IN ('text', 'test-result', 'exam-finding', 'image')),
    ADD COLUMN metadata  jsonb,
    ADD COLUMN images    jsonb;
