-- What is known to have been sent though this database forgot it: it was restored from a backup.
CREATE TABLE sent_before (
    merchant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    provider text NOT NULL,
    provider_message_id text NOT NULL,
    accepted_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, message_id)
);
