-- Why an operator closed, opened, verified or rejected an account: words about a person. They stand here, sealed, and not
-- in the audit trail, which keeps what it holds for good, so that they go with the person's account.

CREATE TABLE account_reasons (
    id        uuid PRIMARY KEY,
    user_id   uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    reason    text NOT NULL,
    given_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX account_reasons_of_user ON account_reasons (user_id);
GRANT SELECT, INSERT ON account_reasons TO anamnesis_app;

ALTER TABLE account_reasons ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON account_reasons FOR SELECT USING ((SELECT viewer_operates()) OR (SELECT viewer_works()));
CREATE POLICY made ON account_reasons FOR INSERT WITH CHECK ((SELECT viewer_operates()) OR (SELECT viewer_works()));
CREATE POLICY changed ON account_reasons FOR UPDATE USING ((SELECT viewer_works()));
CREATE POLICY gone ON account_reasons FOR DELETE USING ((SELECT viewer_works()));
