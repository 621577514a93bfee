-- One bill of one account at one rail: expected, fetched, matched, closed.
-- Whoever works on it holds a lease (next_at) and its fence.
CREATE TABLE bill_days (
    day_id uuid PRIMARY KEY,
    rail text NOT NULL,
    account_no text NOT NULL,
    day date NOT NULL,
    state text NOT NULL CHECK (state IN ('expected', 'fetched', 'matched', 'closed')),
    next_at timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    tries smallint NOT NULL DEFAULT 0,
    -- Why there is no usable bill yet; null once there is.
    refused text,
    -- How far matching has come, and whether our own records were compared too.
    lines int NOT NULL DEFAULT 0,
    matched_to int NOT NULL DEFAULT 0,
    compared boolean NOT NULL DEFAULT false,
    -- What the rail's bill says, whether it is ours or not.
    charges int NOT NULL DEFAULT 0,
    refunds int NOT NULL DEFAULT 0,
    captured_fen bigint NOT NULL DEFAULT 0,
    refunded_fen bigint NOT NULL DEFAULT 0,
    fee_fen bigint NOT NULL DEFAULT 0,
    opened_at timestamptz NOT NULL,
    fetched_at timestamptz,
    matched_at timestamptz,
    closed_at timestamptz,
    UNIQUE (rail, account_no, day),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK (matched_to <= lines)
);
CREATE INDEX bill_days_to_do ON bill_days (next_at, rail, day) WHERE next_at IS NOT NULL;
CREATE INDEX bill_days_open ON bill_days (rail, day) WHERE state <> 'closed';

-- A bill as it was read, until it is matched; emptied then.
CREATE TABLE bill_staging (
    day_id uuid NOT NULL,
    line_no int NOT NULL,
    kind text NOT NULL,
    trade_no text NOT NULL,
    refund_no text,
    rail_no text NOT NULL,
    amount_fen bigint NOT NULL,
    fee_fen bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (day_id, line_no)
);

-- Every line of every bill, and what of ours it is.
CREATE TABLE bill_lines (
    day_id uuid NOT NULL REFERENCES bill_days,
    line_no int NOT NULL,
    kind text NOT NULL CHECK (kind IN ('charge', 'refund')),
    trade_no text NOT NULL,
    refund_no text,
    rail_no text NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen >= 0),
    -- The rail's fee on this line; negative where it gives a fee back.
    fee_fen bigint NOT NULL,
    at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('matched', 'missing_here', 'amount_differs')),
    merchant_id uuid,
    attempt_id uuid,
    refund_id uuid,
    PRIMARY KEY (day_id, line_no),
    CHECK ((kind = 'refund') = (refund_no IS NOT NULL)),
    CHECK (outcome <> 'matched' OR (attempt_id IS NOT NULL AND merchant_id IS NOT NULL)),
    CHECK (outcome <> 'matched' OR kind = 'charge' OR refund_id IS NOT NULL)
);
-- A charge, and a refund, is in one bill once.
CREATE UNIQUE INDEX bill_lines_one_charge ON bill_lines (attempt_id)
    WHERE outcome = 'matched' AND kind = 'charge';
CREATE UNIQUE INDEX bill_lines_one_refund ON bill_lines (refund_id)
    WHERE outcome = 'matched' AND kind = 'refund';

-- One difference, for a person or for time to resolve.
CREATE TABLE bill_tickets (
    ticket_id uuid PRIMARY KEY DEFAULT uuidv7(),
    day_id uuid NOT NULL REFERENCES bill_days,
    kind text NOT NULL CHECK (kind IN (
        'missing_here', 'missing_there', 'amount_differs', 'broken_row', 'no_bill')),
    what text NOT NULL CHECK (what IN ('charge', 'refund', 'bill')),
    cause text NOT NULL,
    -- Our number, or for a broken row and a bill their place.
    number text NOT NULL,
    line_no int NOT NULL DEFAULT 0,
    merchant_id uuid,
    agreement_id uuid,
    attempt_id uuid,
    refund_id uuid,
    rail_fen bigint,
    our_fen bigint,
    opened_at timestamptz NOT NULL,
    asked_at timestamptz,
    resolution text CHECK (resolution IN (
        'settled_here', 'surplus_refunded', 'not_moved', 'other_day', 'bill_came',
        'accepted', 'corrected_at_rail', 'refunded_otherwise')),
    reason text,
    resolved_by text,
    resolved_at timestamptz,
    UNIQUE (day_id, kind, what, number, line_no),
    CHECK ((resolution IS NULL) = (resolved_at IS NULL))
);
CREATE INDEX bill_tickets_open ON bill_tickets (day_id, ticket_id) WHERE resolution IS NULL;
CREATE INDEX bill_tickets_by_time ON bill_tickets (opened_at, ticket_id);
CREATE INDEX bill_tickets_by_merchant ON bill_tickets (merchant_id, opened_at, ticket_id);
CREATE INDEX bill_tickets_by_attempt ON bill_tickets (attempt_id) WHERE attempt_id IS NOT NULL;

-- What a closed day came to for each merchant: matched lines only.
CREATE TABLE reconciliations (
    reconciliation_id uuid PRIMARY KEY,
    day_id uuid NOT NULL REFERENCES bill_days,
    merchant_id uuid NOT NULL,
    rail text NOT NULL,
    day date NOT NULL,
    charges int NOT NULL,
    refunds int NOT NULL,
    captured_fen bigint NOT NULL,
    refunded_fen bigint NOT NULL,
    fee_fen bigint NOT NULL,
    -- The part of both that the wallet never heard of: money that arrived twice and went back.
    surplus_captured_fen bigint NOT NULL,
    surplus_refunded_fen bigint NOT NULL,
    closed_at timestamptz NOT NULL,
    UNIQUE (day_id, merchant_id)
);
CREATE INDEX reconciliations_by_merchant
    ON reconciliations (merchant_id, closed_at, reconciliation_id);

-- What a bill should list: looked up by rail and day.
CREATE INDEX attempts_by_payment ON attempts (rail, paid_at) WHERE state = 'succeeded';
CREATE INDEX refunds_by_success ON refunds (rail, settled_at) WHERE state = 'succeeded';
