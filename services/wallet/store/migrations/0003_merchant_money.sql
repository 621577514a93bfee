-- Every reason for which money may move: those of before, and the merchant's own.
ALTER TABLE transfers
    DROP CONSTRAINT IF EXISTS transfers_kind_check,
    ADD CONSTRAINT transfers_kind_check CHECK (kind IN (
        'collected', 'held', 'released', 'captured', 'captured_fee', 'captured_supply',
        'penalty', 'refund_requested', 'refunded',
        'bonus_granted', 'bonus_lapsed', 'bonus_held', 'bonus_released', 'bonus_captured',
        'bonus_captured_fee', 'bonus_captured_supply',
        'spent', 'spent_bonus', 'spent_fee', 'returned', 'returned_bonus', 'returned_fee',
        'settled', 'settled_back', 'rail_fee', 'fee_borne', 'payout', 'payout_failed',
        'guarantee_kept', 'guarantee_freed', 'guarantee_used', 'advance_drawn',
        'advance_repaid', 'advance_interest', 'advance_settled', 'supplier_paid',
        'penalty_kept', 'renewal_bonus', 'supply_rebate', 'promotion_borne')),
    DROP CONSTRAINT IF EXISTS transfers_cause_kind_check,
    ADD CONSTRAINT transfers_cause_kind_check CHECK (cause_kind IN (
        'instalment', 'settlement', 'refund', 'redemption', 'return', 'day', 'payout',
        'guarantee', 'advance', 'statement', 'grant')),
    ALTER COLUMN customer_id DROP NOT NULL,
    ALTER COLUMN agreement_id DROP NOT NULL;

-- Transfers stand in the order of time, so this costs a row next to nothing.
CREATE INDEX transfers_by_moment ON transfers USING brin (occurred_at)
    WITH (pages_per_range = 16, autosummarize = on);

-- The deposit and what is owed to others are never below zero.
ALTER TABLE accounts
    ADD CONSTRAINT deposits_and_debts_not_below_zero
        CHECK (balance_fen >= 0 OR NOT (code IN ('merchant:guarantee', 'merchant:advance')
                                        OR code LIKE 'partner:%' OR code LIKE 'supplier:%'));

CREATE INDEX accounts_supervised ON accounts (merchant_id) WHERE code = 'supervised';

-- What was agreed with a merchant, from a day on; the newest day that has come counts.
CREATE TABLE merchant_terms (
    merchant_id uuid NOT NULL,
    from_day date NOT NULL,
    terms jsonb NOT NULL,
    actor text NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, from_day)
);

-- One row per merchant: where its money goes, and how its deposit stood when last looked at.
-- Whoever decides about the merchant's money locks it.
CREATE TABLE merchant_money (
    merchant_id uuid PRIMARY KEY,
    account_ref text,
    account_bank text,
    account_tail text CHECK (account_tail ~ '^[0-9]{4}$'),
    guarantee_required_fen bigint NOT NULL DEFAULT 0 CHECK (guarantee_required_fen >= 0),
    guarantee_short boolean NOT NULL DEFAULT false,
    assessed_at timestamptz,
    CHECK ((account_ref IS NULL) = (account_bank IS NULL)),
    CHECK ((account_ref IS NULL) = (account_tail IS NULL))
);

-- Prepaid balance at the ends of quarters, by which larger issuers' deposits are measured.
CREATE TABLE quarter_balances (
    merchant_id uuid NOT NULL,
    quarter_end date NOT NULL,
    prepaid_fen bigint NOT NULL,
    PRIMARY KEY (merchant_id, quarter_end)
);

-- What became of everything here that has a life, and every refusal, with who and why.
CREATE TABLE money_history (
    merchant_id uuid NOT NULL,
    entry_id uuid NOT NULL,
    subject text NOT NULL CHECK (subject IN (
        'terms', 'account', 'payout', 'guarantee', 'advance', 'statement')),
    subject_id text NOT NULL,
    move text NOT NULL,
    actor text NOT NULL,
    detail jsonb NOT NULL,
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, entry_id)
);
CREATE INDEX money_history_newest ON money_history (merchant_id, noted_at DESC, entry_id DESC);

-- Parcels that have arrived: what was earned by the others is not paid out yet.
CREATE TABLE deliveries (
    merchant_id uuid NOT NULL,
    instalment_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    delivered_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, instalment_id)
);

-- Days of a rail that billing has reconciled with its bill.
CREATE TABLE reconciled_days (
    merchant_id uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    rail text NOT NULL,
    day date NOT NULL,
    captured_fen bigint NOT NULL,
    refunded_fen bigint NOT NULL,
    fee_fen bigint NOT NULL,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, reconciliation_id)
);

-- Statements are written once and stay; each names the digest of the one before.
CREATE TABLE statements (
    merchant_id uuid NOT NULL,
    statement_id uuid NOT NULL,
    period text NOT NULL CHECK (period IN ('day', 'month')),
    from_day date NOT NULL,
    to_day date NOT NULL CHECK (to_day >= from_day),
    figures jsonb NOT NULL,
    opening_fen bigint NOT NULL,
    payable_fen bigint NOT NULL,
    transfers bigint NOT NULL CHECK (transfers >= 0),
    lines_digest text NOT NULL,
    previous text NOT NULL,
    digest text NOT NULL,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, statement_id),
    UNIQUE (merchant_id, period, from_day)
);
CREATE INDEX statements_newest ON statements (merchant_id, to_day DESC, statement_id DESC);

-- Each transfer stands in one statement of a day, whenever it became known.
CREATE TABLE statement_lines (
    merchant_id uuid NOT NULL,
    cause_id uuid NOT NULL,
    kind text NOT NULL,
    statement_id uuid NOT NULL,
    PRIMARY KEY (merchant_id, cause_id, kind)
);
CREATE INDEX statement_lines_of ON statement_lines (merchant_id, statement_id, cause_id, kind);

CREATE TRIGGER statements_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON statements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER statement_lines_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON statement_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Money that leaves the supervised account for somebody other than a customer.
CREATE TABLE payouts (
    merchant_id uuid NOT NULL,
    payout_id uuid NOT NULL,
    beneficiary text NOT NULL CHECK (beneficiary IN ('merchant', 'supplier', 'partner')),
    account text NOT NULL,
    account_ref text NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    day date NOT NULL,
    state text NOT NULL CHECK (state IN ('prepared', 'sent', 'unknown', 'succeeded', 'failed')),
    next_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    reference text,
    failure text,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (merchant_id, payout_id),
    UNIQUE (merchant_id, beneficiary, day),
    CHECK ((next_at IS NULL) = (state IN ('succeeded', 'failed'))),
    CHECK ((ended_at IS NULL) = (next_at IS NOT NULL))
);
CREATE INDEX payouts_due ON payouts (next_at) WHERE next_at IS NOT NULL;

-- Advances of a licensed partner on what was delivered and is not yet paid out.
CREATE TABLE advances (
    merchant_id uuid NOT NULL,
    advance_id uuid NOT NULL,
    state text NOT NULL CHECK (state IN (
        'quoted', 'drawing', 'unknown', 'drawn', 'refused', 'repaid')),
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    covered_fen bigint NOT NULL CHECK (covered_fen >= 0),
    interest_ppm integer NOT NULL CHECK (interest_ppm BETWEEN 0 AND 10000),
    quote_ref text NOT NULL,
    valid_until timestamptz NOT NULL,
    next_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    reference text,
    failure text,
    interest_fen bigint NOT NULL DEFAULT 0 CHECK (interest_fen >= 0),
    repaid_fen bigint NOT NULL DEFAULT 0 CHECK (repaid_fen >= 0),
    accrued_through date,
    asked_at timestamptz NOT NULL,
    drawn_at timestamptz,
    PRIMARY KEY (merchant_id, advance_id),
    CHECK (repaid_fen <= amount_fen + interest_fen),
    CHECK ((next_at IS NOT NULL) = (state IN ('drawing', 'unknown'))),
    CHECK ((drawn_at IS NOT NULL) = (state IN ('drawn', 'repaid')))
);
CREATE INDEX advances_due ON advances (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX advances_open ON advances (merchant_id) WHERE state = 'drawn';
