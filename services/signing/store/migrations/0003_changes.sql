-- An agreement may be paused, go on, and get another day or amount.
ALTER TABLE agreements
    DROP CONSTRAINT agreements_state_check,
    ADD CONSTRAINT agreements_state_check CHECK (state IN
        ('signed', 'cooling_off', 'active', 'paused', 'completed', 'terminated', 'cancelled')),
    ADD COLUMN changes integer NOT NULL DEFAULT 0,
    ADD COLUMN paused_periods integer NOT NULL DEFAULT 0 CHECK (paused_periods BETWEEN 0 AND 2),
    ADD COLUMN resumes_at timestamptz,
    ADD CONSTRAINT agreements_pause CHECK
        ((paused_periods > 0) = (resumes_at IS NOT NULL));
CREATE INDEX agreements_resuming ON agreements (resumes_at) WHERE state = 'paused';

-- Every change in its order; subscribers apply them in this order, too.
CREATE TABLE agreement_changes (
    agreement_id uuid NOT NULL REFERENCES agreements,
    change_no integer NOT NULL CHECK (change_no > 0),
    kind text NOT NULL CHECK (kind IN ('paused', 'resumed', 'amended')),
    detail jsonb NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    evidence_ref text NOT NULL DEFAULT '',
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (agreement_id, change_no)
);

-- What billing told since the signing: dates and amounts as they stand, and what is paid.
CREATE TABLE current_schedules (
    agreement_id uuid PRIMARY KEY,
    terms_no integer NOT NULL,
    lines jsonb NOT NULL
);
CREATE TABLE paid_periods (
    agreement_id uuid NOT NULL,
    seq integer NOT NULL,
    paid_at timestamptz NOT NULL,
    PRIMARY KEY (agreement_id, seq)
);
