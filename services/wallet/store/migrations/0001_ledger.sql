-- The chart of accounts of each merchant, with balances kept beside the transfers that prove
-- them.  A balance stands on the account's normal side.
CREATE TABLE accounts (
    merchant_id uuid NOT NULL,
    code text NOT NULL,
    unit text NOT NULL DEFAULT 'fen' CHECK (unit IN ('fen', 'points')),
    normal_side text NOT NULL CHECK (normal_side IN ('debit', 'credit')),
    balance_fen bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_id, code),
    CONSTRAINT never_below_zero
        CHECK (balance_fen >= 0 OR NOT (code LIKE 'wallet:%' OR code LIKE 'refund:%'))
) WITH (fillfactor = 70);

-- Money moves, each from one account to another: it cannot be unbalanced.  The key is the
-- cause, so that nothing is booked twice whatever was forgotten elsewhere.  Accounts are not
-- foreign keys, for speed; the daily proof finds a transfer whose account is missing.
CREATE TABLE transfers (
    merchant_id uuid NOT NULL,
    cause_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN (
        'collected', 'held', 'released', 'captured', 'captured_fee', 'captured_supply',
        'penalty', 'refund_requested', 'refunded')),
    cause_kind text NOT NULL CHECK (cause_kind IN ('instalment', 'settlement', 'refund')),
    debit_account text NOT NULL,
    credit_account text NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    customer_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    trade_no text,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, cause_id, kind),
    CHECK (debit_account <> credit_account)
);
CREATE INDEX transfers_history ON transfers (merchant_id, customer_id, occurred_at DESC);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Transfers are never changed; correct one by another.'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transfers_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What became of the money of one agreement; the wallet's principal is the sum of what is
-- unspent in the ledgers of its customer.
CREATE TABLE ledgers (
    merchant_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    rail text,
    periods integer NOT NULL DEFAULT 0 CHECK (periods >= 0),
    periods_paid integer NOT NULL DEFAULT 0 CHECK (periods_paid >= 0),
    credited_fen bigint NOT NULL DEFAULT 0 CHECK (credited_fen >= 0),
    held_fen bigint NOT NULL DEFAULT 0 CHECK (held_fen >= 0),
    captured_fen bigint NOT NULL DEFAULT 0 CHECK (captured_fen >= 0),
    penalty_fen bigint NOT NULL DEFAULT 0 CHECK (penalty_fen >= 0),
    refunded_fen bigint NOT NULL DEFAULT 0 CHECK (refunded_fen >= 0),
    open_holds integer NOT NULL DEFAULT 0 CHECK (open_holds >= 0),
    settlements integer NOT NULL DEFAULT 0 CHECK (settlements >= 0),
    ended_as text CHECK (ended_as IN ('cancelled', 'terminated')),
    ended_at timestamptz,
    penalty_due_fen bigint NOT NULL DEFAULT 0 CHECK (penalty_due_fen >= 0),
    PRIMARY KEY (merchant_id, agreement_id),
    CHECK ((ended_as IS NULL) = (ended_at IS NULL)),
    CHECK (penalty_fen <= penalty_due_fen),
    CHECK (credited_fen >= held_fen + captured_fen + penalty_fen + refunded_fen)
) WITH (fillfactor = 70);
CREATE INDEX ledgers_by_customer ON ledgers (merchant_id, customer_id);

-- Money set aside for one period's parcel.
CREATE TABLE holds (
    merchant_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    instalment_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen >= 0),
    state text NOT NULL CHECK (state IN ('placed', 'captured', 'released')),
    captured_fen bigint NOT NULL DEFAULT 0 CHECK (captured_fen >= 0),
    shipment_id uuid,
    placed_at timestamptz NOT NULL,
    closed_at timestamptz,
    PRIMARY KEY (merchant_id, hold_id),
    UNIQUE (merchant_id, instalment_id),
    CHECK (captured_fen <= amount_fen),
    CHECK ((state = 'placed') = (closed_at IS NULL)),
    CHECK (state = 'captured' OR captured_fen = 0)
);
CREATE INDEX holds_by_agreement ON holds (merchant_id, agreement_id);

-- Requests to send unspent principal of an ended agreement back to where it came from.
CREATE TABLE settlements (
    merchant_id uuid NOT NULL,
    settlement_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq > 0),
    rail text NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    refunded_fen bigint NOT NULL DEFAULT 0 CHECK (refunded_fen >= 0),
    reason text NOT NULL,
    requested_at timestamptz NOT NULL,
    failure text,
    failed_at timestamptz,
    PRIMARY KEY (merchant_id, settlement_id),
    UNIQUE (merchant_id, agreement_id, seq),
    CHECK (refunded_fen <= amount_fen)
);
CREATE INDEX settlements_failed ON settlements (merchant_id, failed_at)
    WHERE failed_at IS NOT NULL AND refunded_fen < amount_fen;
