-- Who may call: only a hash of the secret is kept.
CREATE TABLE api_keys (
    key_id text PRIMARY KEY,
    secret_sha256 bytea NOT NULL CHECK (length(secret_sha256) = 32),
    tenant_id uuid,
    scopes text[] NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    not_after timestamptz,
    revoked_at timestamptz
);

-- What was answered to a request that carried an Idempotency-Key.
-- No status yet: somebody is at it until lease_until; fence tells who.
CREATE TABLE idempotency_keys (
    caller text NOT NULL,
    route text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL CHECK (length(fingerprint) = 32),
    fence bigint NOT NULL DEFAULT 1,
    lease_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    status smallint CHECK (status BETWEEN 200 AND 499),
    content_type text,
    body bytea,
    PRIMARY KEY (caller, route, key),
    CHECK ((status IS NULL) = (body IS NULL) AND (status IS NULL) = (content_type IS NULL))
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What providers sent us, as it came; one row per delivery.
CREATE TABLE webhook_inbox (
    webhook_id uuid PRIMARY KEY,
    provider text NOT NULL,
    delivery_key text NOT NULL,
    received_at timestamptz NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('accepted', 'duplicate', 'unplaced', 'rejected')),
    reason text,
    placed_at timestamptz,
    UNIQUE (provider, delivery_key)
);
CREATE INDEX webhook_inbox_unplaced ON webhook_inbox (received_at, webhook_id)
    WHERE verdict = 'unplaced' AND placed_at IS NULL;
CREATE INDEX webhook_inbox_by_age ON webhook_inbox (received_at);
