-- What went out, or may have (then without a number), though this database forgot it: it was
-- restored from a backup.
CREATE TABLE sent_before (
    merchant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    provider text NOT NULL,
    provider_message_id text,
    at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, message_id)
);
