-- What a version gives and asks beside its even amounts, and what being late costs.
ALTER TABLE plan_versions
    ADD COLUMN offer jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN overdue_penalty jsonb;

-- Number 0 is a down payment; an amount of 0 is a free month, which is granted.
ALTER TABLE agreement_instalments
    DROP CONSTRAINT agreement_instalments_seq_check,
    DROP CONSTRAINT agreement_instalments_amount_fen_check,
    ADD CONSTRAINT agreement_instalments_seq_check CHECK (seq >= 0),
    ADD CONSTRAINT agreement_instalments_amount_fen_check
        CHECK (amount_fen >= 0 AND (amount_fen > 0 OR seq > 0)),
    ADD COLUMN lines jsonb NOT NULL DEFAULT '[]';
