-- Calls to language models: a ledger without content, what they cost, and the breaker all processes share.

CREATE TABLE model_calls (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    called_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_id      uuid REFERENCES intake_sessions (id),
    provider        text NOT NULL,
    model           text NOT NULL,
    prompt_version  text NOT NULL,
    attempt         smallint NOT NULL,
    outcome         text NOT NULL,
    detail          text NOT NULL DEFAULT '',
    guard           text NOT NULL DEFAULT '',
    facts_kept      smallint NOT NULL DEFAULT 0,
    facts_dropped   smallint NOT NULL DEFAULT 0,
    input_tokens    integer,
    output_tokens   integer,
    cost_microusd   bigint,  -- null: no price was set for the model, or the provider told no tokens
    latency_ms      integer NOT NULL
);
CREATE INDEX model_calls_of_session ON model_calls (session_id, called_at) WHERE session_id IS NOT NULL;
CREATE INDEX model_calls_by_time ON model_calls (called_at);

-- What was spent in a day, kept beside the ledger so that a cap costs no reading of it.
CREATE TABLE model_spend (
    day            date PRIMARY KEY,
    cost_microusd  bigint NOT NULL
);

CREATE TABLE model_breakers (
    provider    text PRIMARY KEY,
    failures    integer NOT NULL DEFAULT 0,
    shut_until  timestamptz,  -- null: open; in the past: the next caller is let through alone
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT, INSERT ON model_calls TO anamnesis_app;
GRANT SELECT, INSERT, UPDATE ON model_breakers, model_spend TO anamnesis_app;
