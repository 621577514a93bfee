-- How customers can be reached; details are encrypted, the phone is found by its blind index.
CREATE TABLE contacts (
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    details text NOT NULL,
    phone_index text,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);
CREATE INDEX contacts_by_phone ON contacts (phone_index);

CREATE TABLE merchants (
    merchant_id uuid PRIMARY KEY,
    display_name text NOT NULL,
    service_phone text NOT NULL,
    told_at timestamptz NOT NULL
);

-- The end of an agreement may be told before its beginning: hence the empty columns.
CREATE TABLE agreements (
    merchant_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    rail text,
    plan_name text,
    ended_at timestamptz,
    PRIMARY KEY (merchant_id, agreement_id)
);

-- What is said, version by version; a version never changes once it stands here.
CREATE TABLE templates (
    key text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'mini_program')),
    version integer NOT NULL CHECK (version > 0),
    state text NOT NULL DEFAULT 'approved' CHECK (state IN ('approved', 'withdrawn')),
    wording jsonb NOT NULL,
    added_at timestamptz NOT NULL,
    PRIMARY KEY (key, channel, version)
);

-- One row per cause, channel and customer, whatever is redelivered.
CREATE TABLE messages (
    merchant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    cause text NOT NULL,
    cause_id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'mini_program')),
    customer_id uuid NOT NULL,
    agreement_id uuid,
    instalment_id uuid,
    rail text,
    template_key text NOT NULL,
    kind text NOT NULL CHECK (kind IN (
        'notice', 'contract', 'payment_failed', 'service', 'dunning', 'marketing')),
    facts jsonb NOT NULL,
    queued_at timestamptz NOT NULL,
    send_by timestamptz NOT NULL,
    due_at timestamptz,
    state text NOT NULL CHECK (state IN (
        'queued', 'submitted', 'accepted', 'delivered', 'failed', 'unknown', 'suppressed')),
    tries integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    unclear boolean NOT NULL DEFAULT false,
    provider text,
    provider_message_id text,
    template_version integer,
    text text,
    recipient_index text,
    recipient_masked text,
    failure text,
    submitted_at timestamptz,
    accepted_at timestamptz,
    delivered_at timestamptz,
    PRIMARY KEY (merchant_id, message_id),
    UNIQUE (merchant_id, cause_id, cause, channel, customer_id),
    CONSTRAINT open_ones_are_due CHECK (state NOT IN ('queued', 'submitted') OR due_at IS NOT NULL),
    CONSTRAINT delivered_ones_say_when CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    CONSTRAINT accepted_ones_say_when
        CHECK (state NOT IN ('accepted', 'delivered') OR accepted_at IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX messages_due ON messages (due_at) WHERE state IN ('queued', 'submitted');
CREATE INDEX messages_without_receipt ON messages (due_at)
    WHERE state = 'accepted' AND due_at IS NOT NULL;
CREATE INDEX messages_of_customer
    ON messages (merchant_id, customer_id, queued_at DESC, message_id DESC);
CREATE INDEX messages_newest ON messages (merchant_id, queued_at DESC, message_id DESC);
CREATE INDEX messages_by_provider_number ON messages (provider, provider_message_id)
    WHERE provider_message_id IS NOT NULL;
CREATE INDEX messages_unsettled ON messages (provider, recipient_index)
    WHERE state = 'submitted';
CREATE INDEX messages_of_payments ON messages (merchant_id, instalment_id)
    WHERE cause = 'charge.collected';

CREATE TABLE message_history (
    merchant_id uuid NOT NULL,
    message_id uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    state text NOT NULL,
    provider text,
    reason text,
    PRIMARY KEY (merchant_id, message_id, seq)
);

-- What providers say became of messages; it may come before the answer that it belongs to.
CREATE TABLE receipts (
    provider text NOT NULL,
    provider_message_id text NOT NULL,
    recipient_index text NOT NULL,
    template_code text NOT NULL,
    delivered boolean NOT NULL,
    code text NOT NULL,
    at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    merchant_id uuid,
    message_id uuid,
    PRIMARY KEY (provider, provider_message_id, recipient_index)
);

-- What customers refuse, by channel; it ends when they want it again.
CREATE TABLE opt_outs (
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'mini_program')),
    scope text NOT NULL CHECK (scope IN ('marketing', 'service')),
    source text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    PRIMARY KEY (merchant_id, customer_id, channel, scope)
);

-- What customers wrote back; the content is encrypted.
CREATE TABLE replies (
    provider text NOT NULL,
    sequence_id text NOT NULL,
    phone_index text NOT NULL,
    content text NOT NULL,
    refuses boolean NOT NULL,
    replied_at timestamptz NOT NULL,
    PRIMARY KEY (provider, sequence_id)
);
