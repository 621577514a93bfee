-- Number 0 is a down payment; an amount of 0 is a free month, which is granted.
ALTER TABLE instalments
    DROP CONSTRAINT instalments_seq_check,
    DROP CONSTRAINT instalments_amount_fen_check,
    ADD CONSTRAINT instalments_seq_check CHECK (seq >= 0),
    ADD CONSTRAINT instalments_amount_fen_check
        CHECK (amount_fen >= 0 AND (amount_fen > 0 OR seq > 0)),
    ADD COLUMN bonus_fen bigint NOT NULL DEFAULT 0 CHECK (bonus_fen >= 0);

-- What each amount is made of, as it was signed.
CREATE TABLE instalment_lines (
    instalment_id uuid NOT NULL REFERENCES instalments,
    line_no smallint NOT NULL CHECK (line_no > 0),
    merchant_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('base', 'discount', 'free_month', 'first_month_half',
        'interest_free', 'interest', 'penalty')),
    amount_fen bigint NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (instalment_id, line_no)
);

-- What being late costs by the contract; a rate of 0 is nothing.
ALTER TABLE agreements
    ADD COLUMN penalty_ppm_per_day integer NOT NULL DEFAULT 0 CHECK (penalty_ppm_per_day >= 0),
    ADD COLUMN penalty_grace_days integer NOT NULL DEFAULT 0 CHECK (penalty_grace_days >= 0),
    ADD COLUMN penalty_cap_per_mille integer NOT NULL DEFAULT 0
        CHECK (penalty_cap_per_mille BETWEEN 0 AND 1000);

-- Frozen when the payment is opened; the rail by itself never takes any.
ALTER TABLE attempts
    ADD COLUMN penalty_fen bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT attempts_penalty CHECK (penalty_fen >= 0 AND penalty_fen < amount_fen),
    ADD CONSTRAINT attempts_penalty_by_hand CHECK (penalty_fen = 0 OR kind = 'pay_now');
