-- An agreement may be paused, and its schedule may change: by pause, end of pause, amendment.
ALTER TABLE agreements
    DROP CONSTRAINT agreements_state_check,
    ADD CONSTRAINT agreements_state_check CHECK (state IN
        ('cooling_off', 'active', 'paused', 'cancelled', 'terminated', 'completed')),
    ADD COLUMN changes_heard integer NOT NULL DEFAULT 0,
    ADD COLUMN terms_no integer NOT NULL DEFAULT 0,
    ADD COLUMN paused_months smallint NOT NULL DEFAULT 0 CHECK (paused_months >= 0);

ALTER TABLE instalments ADD COLUMN terms_no integer NOT NULL DEFAULT 0;

-- A notice is about one date and amount under one set of terms: after a pause that ended
-- early the old day may come back, and the customer must be told again.
ALTER TABLE notices
    ADD COLUMN terms_no integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT notices_instalment_id_kind_charge_on_amount_fen_key,
    ADD CONSTRAINT notices_once UNIQUE (instalment_id, kind, charge_on, amount_fen, terms_no),
    DROP CONSTRAINT notices_state_check,
    ADD CONSTRAINT notices_state_check
        CHECK (state IN ('requested', 'accepted', 'refused', 'superseded'));

-- New terms of an instalment whose money is being collected; they wait until that is clear.
CREATE TABLE waiting_terms (
    instalment_id uuid PRIMARY KEY REFERENCES instalments,
    agreement_id uuid NOT NULL REFERENCES agreements,
    due_on date NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    change_no integer NOT NULL,
    reason text NOT NULL,
    waits_since timestamptz NOT NULL
);
CREATE INDEX waiting_terms_by_agreement ON waiting_terms (agreement_id);

-- What a customer was told that all of it, or an early end, comes to; valid for a day.
CREATE TABLE settlement_quotes (
    quote_id uuid PRIMARY KEY,
    agreement_id uuid NOT NULL REFERENCES agreements,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    lines jsonb NOT NULL,
    total_fen bigint NOT NULL CHECK (total_fen > 0),
    quoted_at timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    CHECK (valid_until > quoted_at)
);

-- Several instalments paid at once: one payment at the rail for each, seen as one order.
CREATE TABLE payment_orders (
    order_id uuid PRIMARY KEY,
    agreement_id uuid NOT NULL REFERENCES agreements,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    quote_id uuid REFERENCES settlement_quotes,
    total_fen bigint NOT NULL CHECK (total_fen > 0),
    ordered_at timestamptz NOT NULL
);
CREATE INDEX payment_orders_by_agreement ON payment_orders (agreement_id, ordered_at);
CREATE TABLE payment_order_lines (
    order_id uuid NOT NULL REFERENCES payment_orders,
    instalment_id uuid NOT NULL REFERENCES instalments,
    attempt_id uuid NOT NULL REFERENCES attempts,
    seq smallint NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    PRIMARY KEY (order_id, instalment_id)
);

-- What of a period's money went into its parcel (told by wallet); for settlements' previews.
CREATE TABLE consumptions (
    instalment_id uuid PRIMARY KEY,
    agreement_id uuid NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen >= 0),
    consumed_at timestamptz NOT NULL
);
CREATE INDEX consumptions_by_agreement ON consumptions (agreement_id);

-- A new day that a customer agreed to for one instalment.
CREATE TABLE postponements (
    instalment_id uuid NOT NULL REFERENCES instalments,
    from_day date NOT NULL,
    to_day date NOT NULL,
    consent jsonb NOT NULL,
    agreed_at timestamptz NOT NULL,
    PRIMARY KEY (instalment_id, from_day, to_day)
);

-- Who may look at money that could not be moved as asked, and why it was refused.
CREATE TABLE refused_orders (
    refusal_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agreement_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    code text NOT NULL,
    asked_fen bigint,
    due_fen bigint NOT NULL,
    refused_at timestamptz NOT NULL
);
CREATE INDEX refused_orders_by_agreement ON refused_orders (agreement_id, refusal_id);
