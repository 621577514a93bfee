-- What this service says: written with the change it tells of, published afterwards.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    subject text NOT NULL,
    aggregate_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    traceparent text,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at timestamptz
);
CREATE INDEX outbox_unpublished ON outbox (seq) WHERE published_at IS NULL;

-- What this service has heard: one row makes an event applied.
CREATE TABLE inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, event_id)
);

-- What this service could not apply, kept for a person to look at and replay.
CREATE TABLE dead_letters (
    dead_letter_id uuid PRIMARY KEY,
    consumer text NOT NULL,
    subject text NOT NULL,
    event_id text NOT NULL,
    body bytea NOT NULL,
    error text NOT NULL,
    tries integer NOT NULL,
    died_at timestamptz NOT NULL,
    replayed_at timestamptz,
    UNIQUE (consumer, event_id)
);
CREATE INDEX dead_letters_waiting ON dead_letters (died_at) WHERE replayed_at IS NULL;

-- Jobs that run once a day: when next, and who is running it until when.
CREATE TABLE job_runs (
    job text PRIMARY KEY,
    next_at timestamptz NOT NULL,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0
);
