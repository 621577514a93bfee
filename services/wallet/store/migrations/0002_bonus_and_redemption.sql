-- Every reason for which money may move, and what may be its cause.
ALTER TABLE transfers
    DROP CONSTRAINT transfers_kind_check,
    ADD CONSTRAINT transfers_kind_check CHECK (kind IN (
        'collected', 'held', 'released', 'captured', 'captured_fee', 'captured_supply',
        'penalty', 'refund_requested', 'refunded',
        'bonus_granted', 'bonus_lapsed', 'bonus_held', 'bonus_released', 'bonus_captured',
        'bonus_captured_fee', 'bonus_captured_supply',
        'spent', 'spent_bonus', 'spent_fee', 'returned', 'returned_bonus', 'returned_fee',
        'settled', 'settled_back', 'rail_fee', 'fee_borne', 'payout', 'payout_failed',
        'guarantee_kept', 'guarantee_freed', 'guarantee_used', 'advance_drawn',
        'advance_repaid', 'advance_interest', 'supplier_paid', 'penalty_kept')),
    DROP CONSTRAINT transfers_cause_kind_check,
    ADD CONSTRAINT transfers_cause_kind_check CHECK (cause_kind IN (
        'instalment', 'settlement', 'refund', 'redemption', 'return', 'day', 'payout',
        'guarantee', 'advance', 'statement', 'grant'));

-- Principal and bonus are two accounts (never mixed): the old figures are principal's.
-- What is spent in the shop is net of what was returned.
ALTER TABLE ledgers
    ADD COLUMN spent_fen bigint NOT NULL DEFAULT 0 CHECK (spent_fen >= 0),
    ADD COLUMN bonus_credited_fen bigint NOT NULL DEFAULT 0 CHECK (bonus_credited_fen >= 0),
    ADD COLUMN bonus_held_fen bigint NOT NULL DEFAULT 0 CHECK (bonus_held_fen >= 0),
    ADD COLUMN bonus_captured_fen bigint NOT NULL DEFAULT 0 CHECK (bonus_captured_fen >= 0),
    ADD COLUMN bonus_spent_fen bigint NOT NULL DEFAULT 0 CHECK (bonus_spent_fen >= 0),
    ADD COLUMN bonus_lapsed_fen bigint NOT NULL DEFAULT 0 CHECK (bonus_lapsed_fen >= 0),
    ADD CONSTRAINT principal_suffices CHECK (credited_fen
        >= held_fen + captured_fen + penalty_fen + refunded_fen + spent_fen),
    ADD CONSTRAINT bonus_suffices CHECK (bonus_credited_fen
        >= bonus_held_fen + bonus_captured_fen + bonus_spent_fen + bonus_lapsed_fen);

-- How much of what is held is bonus; it is spent first and freed last.
ALTER TABLE holds
    ADD COLUMN bonus_fen bigint NOT NULL DEFAULT 0 CHECK (bonus_fen >= 0),
    ADD CONSTRAINT bonus_within_hold CHECK (bonus_fen <= amount_fen);

-- What a shop offers at a fixed price, so that a clerk may confirm a service, not an amount.
CREATE TABLE shop_services (
    merchant_id uuid NOT NULL,
    service_code text NOT NULL,
    name text NOT NULL,
    category text NOT NULL,
    price_fen bigint NOT NULL CHECK (price_fen > 0),
    active boolean NOT NULL DEFAULT true,
    PRIMARY KEY (merchant_id, service_code)
);

-- Codes handed out: counted, so that nobody asks for too many.  A code proves itself by its
-- signature; losing these rows (an older backup) loses no code.
CREATE TABLE redemption_codes (
    merchant_id uuid NOT NULL,
    code_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    max_amount_fen bigint CHECK (max_amount_fen > 0),
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, code_id)
);
CREATE INDEX redemption_codes_asked ON redemption_codes (merchant_id, customer_id, issued_at);

-- A shop's device that may accept codes while it is offline; we keep its public half only.
CREATE TABLE redemption_devices (
    merchant_id uuid NOT NULL,
    device_id uuid NOT NULL,
    name text NOT NULL,
    public_key bytea NOT NULL CHECK (length(public_key) = 32),
    registered_at timestamptz NOT NULL,
    revoked_at timestamptz,
    PRIMARY KEY (merchant_id, device_id)
);

-- One row per code that was consumed: the unique code is what makes it one.  What was
-- accepted offline and found too little in the wallet is `short`: nothing was taken.
CREATE TABLE redemptions (
    merchant_id uuid NOT NULL,
    redemption_id uuid NOT NULL,
    code_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    bonus_fen bigint NOT NULL CHECK (bonus_fen >= 0 AND bonus_fen <= amount_fen),
    fee_fen bigint NOT NULL CHECK (fee_fen >= 0 AND fee_fen <= amount_fen),
    category text NOT NULL,
    service_code text,
    store_id uuid,
    device_id uuid,
    clerk text NOT NULL,
    state text NOT NULL CHECK (state IN ('booked', 'short', 'returned')),
    missing_fen bigint NOT NULL DEFAULT 0 CHECK (missing_fen >= 0),
    accepted_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    return_id uuid,
    returned_fen bigint NOT NULL DEFAULT 0 CHECK (returned_fen >= 0),
    returned_bonus_fen bigint NOT NULL DEFAULT 0 CHECK (returned_bonus_fen >= 0),
    returned_at timestamptz,
    return_reason text,
    PRIMARY KEY (merchant_id, redemption_id),
    UNIQUE (merchant_id, code_id),
    CHECK ((state = 'short') = (missing_fen > 0)),
    CHECK ((state = 'returned') = (return_id IS NOT NULL)),
    CHECK ((state = 'returned') = (returned_at IS NOT NULL)),
    CHECK ((state = 'returned') = (returned_fen > 0)),
    CHECK (returned_fen <= amount_fen),
    CHECK (returned_bonus_fen <= bonus_fen)
);
CREATE INDEX redemptions_history ON redemptions (merchant_id, customer_id, booked_at DESC);
CREATE INDEX redemptions_by_moment ON redemptions (merchant_id, booked_at DESC);
CREATE INDEX redemptions_short ON redemptions (merchant_id, booked_at DESC)
    WHERE state = 'short';

-- From which agreements a redemption took what, and what each got back: refunds are
-- reproducible.  A part is the cause of its transfers.
CREATE TABLE redemption_parts (
    merchant_id uuid NOT NULL,
    redemption_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    part_id uuid NOT NULL,
    n integer NOT NULL,
    principal_fen bigint NOT NULL CHECK (principal_fen >= 0),
    bonus_fen bigint NOT NULL CHECK (bonus_fen >= 0),
    fee_fen bigint NOT NULL CHECK (fee_fen >= 0),
    returned_principal_fen bigint NOT NULL DEFAULT 0,
    returned_bonus_fen bigint NOT NULL DEFAULT 0,
    returned_fee_fen bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, redemption_id, agreement_id),
    CHECK (principal_fen + bonus_fen > 0),
    CHECK (returned_principal_fen BETWEEN 0 AND principal_fen),
    CHECK (returned_bonus_fen BETWEEN 0 AND bonus_fen),
    CHECK (returned_fee_fen BETWEEN 0 AND fee_fen)
);
CREATE INDEX redemption_parts_by_agreement ON redemption_parts (merchant_id, agreement_id);

-- Every refusal at the counter, with its code; nothing was taken.
CREATE TABLE redemption_refusals (
    merchant_id uuid NOT NULL,
    refusal_id uuid NOT NULL,
    refused_at timestamptz NOT NULL,
    action text NOT NULL CHECK (action IN ('code', 'redeem', 'upload', 'return')),
    code text NOT NULL,
    detail text NOT NULL,
    code_id uuid,
    customer_id uuid,
    redemption_id uuid,
    device_id uuid,
    amount_fen bigint,
    clerk text NOT NULL,
    PRIMARY KEY (merchant_id, refusal_id)
);
CREATE INDEX redemption_refusals_newest
    ON redemption_refusals (merchant_id, refused_at DESC, refusal_id DESC);

-- The chain over transfers, one per merchant: each seal covers the transfers that no seal
-- before it covered, and the digest of the seal before it.
CREATE TABLE seals (
    merchant_id uuid NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    transfers bigint NOT NULL CHECK (transfers > 0),
    total_fen numeric NOT NULL,
    previous bytea NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, seq)
);
CREATE TABLE sealed_transfers (
    merchant_id uuid NOT NULL,
    cause_id uuid NOT NULL,
    kind text NOT NULL,
    seq bigint NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (merchant_id, cause_id, kind)
);
CREATE FUNCTION transfer_digest(t transfers) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(concat_ws('|',
        t.merchant_id, t.cause_id, t.kind, t.cause_kind, t.debit_account, t.credit_account,
        t.amount_fen, t.customer_id, t.agreement_id, coalesce(t.trade_no, ''),
        extract(epoch FROM t.occurred_at)), 'UTF8'))
$$;
CREATE TRIGGER seals_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sealed_transfers_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON sealed_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
