-- What billing keeps of an agreement.  Its row is the mutex for everything below it:
-- whoever moves an instalment or an attempt has locked the agreement first.
CREATE TABLE agreements (
    agreement_id uuid PRIMARY KEY,
    agreement_no text NOT NULL,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    pet_id uuid NOT NULL,
    plan_name text NOT NULL,
    rail text NOT NULL,
    charge_day smallint NOT NULL CHECK (charge_day BETWEEN 1 AND 31),
    periods smallint NOT NULL CHECK (periods > 0),
    total_fen bigint NOT NULL CHECK (total_fen > 0),
    hold_fen bigint NOT NULL CHECK (hold_fen >= 0),
    auto_ship boolean NOT NULL,
    state text NOT NULL
        CHECK (state IN ('cooling_off', 'active', 'cancelled', 'terminated', 'completed')),
    signed_at timestamptz NOT NULL,
    failed_periods smallint NOT NULL DEFAULT 0,
    last_failed_seq smallint NOT NULL DEFAULT 0,
    flagged_at timestamptz,
    holds text[] NOT NULL DEFAULT '{}',
    -- The date up to which the rail lets the next period be charged; null: ask the rail.
    plan_on date,
    fully_paid_at timestamptz
);
CREATE INDEX agreements_by_merchant ON agreements (merchant_id, agreement_id);

-- A mandate may be heard of before its agreement.
CREATE TABLE mandates (
    mandate_id uuid PRIMARY KEY,
    agreement_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    rail text NOT NULL,
    product text NOT NULL,
    rail_agreement_no text NOT NULL,
    payer_no text NOT NULL,
    payee_no text NOT NULL,
    ceiling_fen bigint NOT NULL,
    valid_until date NOT NULL,
    state text NOT NULL CHECK (state IN ('active', 'revoked', 'closed')),
    granted_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX mandates_by_agreement ON mandates (agreement_id, granted_at);

CREATE TABLE merchants (
    merchant_id uuid PRIMARY KEY,
    eligible boolean NOT NULL,
    guarantee_sufficient boolean NOT NULL DEFAULT true,
    payees jsonb NOT NULL,
    told_at timestamptz NOT NULL
);

CREATE TABLE instalments (
    instalment_id uuid PRIMARY KEY,
    agreement_id uuid NOT NULL REFERENCES agreements,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    seq smallint NOT NULL CHECK (seq > 0),
    periods smallint NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    due_on date NOT NULL,
    charge_on date NOT NULL,
    charge_at timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN (
        'scheduled', 'noticed', 'due', 'collecting', 'overdue', 'paid', 'partly_refunded',
        'refunded', 'waived', 'cancelled')),
    pay_token text NOT NULL UNIQUE,
    tries smallint NOT NULL DEFAULT 0,
    auto_tries smallint NOT NULL DEFAULT 0,
    first_tried_at timestamptz,
    next_try_at timestamptz,
    next_notice_at timestamptz,
    next_dunning_at timestamptz,
    rung smallint NOT NULL DEFAULT 0,
    overdue_since date,
    extended_until date,
    charge_id uuid,
    paid_at timestamptz,
    UNIQUE (agreement_id, seq)
);
CREATE INDEX instalments_to_try ON instalments (next_try_at, instalment_id)
    WHERE next_try_at IS NOT NULL;
CREATE INDEX instalments_to_notice ON instalments (next_notice_at, instalment_id)
    WHERE next_notice_at IS NOT NULL;
CREATE INDEX instalments_to_dun ON instalments (next_dunning_at, instalment_id)
    WHERE next_dunning_at IS NOT NULL;

-- A notice is about one charge date and one amount; another date needs another notice.
CREATE TABLE notices (
    notice_id uuid PRIMARY KEY,
    instalment_id uuid NOT NULL REFERENCES instalments,
    merchant_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('advance', 'reminder', 'rail')),
    channels text[] NOT NULL,
    charge_on date NOT NULL,
    amount_fen bigint NOT NULL,
    requested_at timestamptz NOT NULL,
    send_by timestamptz NOT NULL,
    -- Only for what the rail itself tells the customer:
    state text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'accepted', 'refused')),
    next_send_at timestamptz,
    tries smallint NOT NULL DEFAULT 0,
    answer text,
    UNIQUE (instalment_id, kind, charge_on, amount_fen)
);
CREATE INDEX notices_to_send ON notices (next_send_at, notice_id) WHERE next_send_at IS NOT NULL;

-- What notify (or, for kind rail, the rail) told us; it may be heard before the notice.
CREATE TABLE notice_proofs (
    notice_id uuid NOT NULL,
    channel text NOT NULL,
    message_id uuid,
    accepted_at timestamptz,
    delivered_at timestamptz,
    PRIMARY KEY (notice_id, channel)
);

CREATE TABLE attempts (
    attempt_id uuid PRIMARY KEY,
    instalment_id uuid NOT NULL REFERENCES instalments,
    agreement_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    attempt_no smallint NOT NULL,
    trade_no text NOT NULL UNIQUE CHECK (trade_no ~ '^[0-9A-Za-z]{8,32}$'),
    kind text NOT NULL CHECK (kind IN ('automatic', 'pay_now')),
    rail text NOT NULL,
    product text NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    rail_agreement_no text NOT NULL,
    payer_no text NOT NULL,
    payee_no text NOT NULL,
    description text NOT NULL,
    state text NOT NULL
        CHECK (state IN ('prepared', 'sent', 'unknown', 'succeeded', 'failed')),
    on_day date NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    query_at timestamptz,
    queries smallint NOT NULL DEFAULT 0,
    surplus boolean NOT NULL DEFAULT false,
    failure_class text,
    failure_code text,
    rail_trade_no text,
    settled_at timestamptz,
    paid_at timestamptz,
    client jsonb,
    UNIQUE (instalment_id, attempt_no),
    CHECK ((state IN ('prepared', 'sent', 'unknown')) = (query_at IS NOT NULL))
);
CREATE UNIQUE INDEX attempts_one_open ON attempts (instalment_id)
    WHERE state IN ('prepared', 'sent', 'unknown');
CREATE UNIQUE INDEX attempts_one_success ON attempts (instalment_id)
    WHERE state = 'succeeded' AND NOT surplus;
CREATE UNIQUE INDEX attempts_one_open_a_day ON attempts (agreement_id, on_day)
    WHERE state IN ('prepared', 'sent', 'unknown') AND kind = 'automatic';
CREATE INDEX attempts_to_query ON attempts (query_at, attempt_id) WHERE query_at IS NOT NULL;
CREATE INDEX attempts_by_agreement ON attempts (agreement_id, on_day);

-- What was asked of us: money of an agreement that must go back.
CREATE TABLE settlements (
    settlement_id uuid PRIMARY KEY,
    agreement_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    amount_fen bigint NOT NULL,
    reason text NOT NULL,
    requested_at timestamptz NOT NULL
);

CREATE TABLE refunds (
    refund_id uuid PRIMARY KEY,
    refund_no text NOT NULL UNIQUE CHECK (refund_no ~ '^[0-9A-Za-z]{8,32}$'),
    attempt_id uuid NOT NULL REFERENCES attempts,
    instalment_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    settlement_id uuid REFERENCES settlements,
    rail text NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    reason text NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'sent', 'succeeded', 'failed')),
    created_at timestamptz NOT NULL,
    next_at timestamptz,
    tries smallint NOT NULL DEFAULT 0,
    settled_at timestamptz,
    failure_code text
);
CREATE UNIQUE INDEX refunds_one_in_flight ON refunds (attempt_id) WHERE state = 'sent';
CREATE INDEX refunds_to_send ON refunds (next_at, refund_id) WHERE next_at IS NOT NULL;
CREATE INDEX refunds_by_attempt ON refunds (attempt_id);
CREATE INDEX refunds_by_merchant ON refunds (merchant_id, created_at, refund_id);

-- Why an automatic charge did not start.
CREATE TABLE gate_refusals (
    refusal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instalment_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    refused_at timestamptz NOT NULL,
    reasons text[] NOT NULL,
    action text NOT NULL
);
CREATE INDEX gate_refusals_by_instalment ON gate_refusals (instalment_id, refusal_id);

-- Every move of every instalment, attempt, refund and agreement.
CREATE TABLE history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    thing_id uuid NOT NULL,
    instalment_id uuid,
    from_state text NOT NULL,
    to_state text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    moved_at timestamptz NOT NULL
);
CREATE INDEX history_by_thing ON history (thing_id, history_id);
CREATE INDEX history_by_instalment ON history (instalment_id, history_id)
    WHERE instalment_id IS NOT NULL;

CREATE TABLE tasks (
    task_id uuid PRIMARY KEY,
    kind text NOT NULL,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    instalment_id uuid,
    detail text NOT NULL,
    opened_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE INDEX tasks_by_merchant ON tasks (merchant_id, opened_at, task_id);

-- What fulfillment promised and did for each instalment (no further debit if it is late).
CREATE TABLE shipments_seen (
    instalment_id uuid PRIMARY KEY,
    agreement_id uuid NOT NULL,
    seq smallint NOT NULL,
    deliver_by date,
    delivered_at timestamptz,
    cancelled boolean NOT NULL DEFAULT false
);
CREATE INDEX shipments_seen_by_agreement ON shipments_seen (agreement_id, seq);

-- A rail that does not answer rests for a while.
CREATE TABLE rail_rests (
    rail text PRIMARY KEY,
    until_at timestamptz NOT NULL
);
