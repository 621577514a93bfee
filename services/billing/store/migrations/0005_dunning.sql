-- What the agreement is in law decides whether a missed amount is a debt at all.
ALTER TABLE agreements ADD COLUMN legal_type text NOT NULL DEFAULT 'prepaid'
    CHECK (legal_type IN ('prepaid', 'instalment_sale', 'licensed_loan'));

-- Which ladder a merchant chose, by version; without a row the operator's setting counts.
CREATE TABLE dunning_policies (
    merchant_id uuid NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    preset text NOT NULL CHECK (preset IN ('fast', 'gentle')),
    reason text NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, version)
);

-- One missed period being followed up, with the ladder as it was when it began.
CREATE TABLE dunning_cases (
    case_id uuid PRIMARY KEY,
    instalment_id uuid NOT NULL REFERENCES instalments,
    agreement_id uuid NOT NULL,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    overdue_since date NOT NULL,
    preset text NOT NULL,
    preset_version integer NOT NULL,
    merchant_version integer NOT NULL,
    ladder jsonb NOT NULL,
    opened_at timestamptz NOT NULL,
    demanded_on date,
    promised_on date,
    closed_at timestamptz,
    close_reason text,
    UNIQUE (instalment_id, overdue_since),
    CHECK ((closed_at IS NULL) = (close_reason IS NULL))
);
CREATE INDEX dunning_cases_by_agreement ON dunning_cases (agreement_id, opened_at);

-- Everything that was said to a customer about a missed period, by message or by voice.
CREATE TABLE contacts (
    contact_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    instalment_id uuid,
    task_id uuid,
    kind text NOT NULL CHECK (kind IN ('message', 'call')),
    direction text NOT NULL CHECK (direction IN ('outgoing', 'incoming')),
    channels text[] NOT NULL,
    about text NOT NULL,
    outcome text,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL
);
CREATE INDEX contacts_by_customer ON contacts (merchant_id, customer_id, made_at);
CREATE INDEX contacts_by_agreement ON contacts (agreement_id, made_at, contact_id);

-- What notify told us of messages about failed charges and missed periods.
CREATE TABLE message_proofs (
    cause_id uuid NOT NULL,
    cause text NOT NULL,
    channel text NOT NULL,
    merchant_id uuid NOT NULL,
    message_id uuid,
    accepted_at timestamptz,
    delivered_at timestamptz,
    PRIMARY KEY (cause_id, cause, channel)
);

-- A customer in hardship, or one who says that a debit was wrong.
CREATE TABLE claims (
    claim_id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('hardship', 'dispute')),
    agreement_id uuid NOT NULL REFERENCES agreements,
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    instalment_id uuid,
    reason text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'answered', 'accepted', 'closed')),
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    answer_due_at timestamptz NOT NULL,
    answer text,
    offer_to_day date,
    offer_periods smallint CHECK (offer_periods BETWEEN 1 AND 2),
    offer_until date,
    evidence text[] NOT NULL DEFAULT '{}',
    answered_at timestamptz,
    answered_by text,
    closed_at timestamptz,
    result text,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL)),
    CHECK ((closed_at IS NULL) = (result IS NULL))
);
CREATE INDEX claims_by_merchant ON claims (merchant_id, opened_at, claim_id);
CREATE INDEX claims_by_agreement ON claims (agreement_id, opened_at);
-- A second complaint about the same thing while the first is open is the first.
CREATE UNIQUE INDEX claims_one_open
    ON claims (agreement_id, kind, coalesce(instalment_id, agreement_id)) WHERE state <> 'closed';

ALTER TABLE tasks
    ADD COLUMN assignee text,
    ADD COLUMN outcome text,
    ADD COLUMN promised_on date,
    ADD COLUMN recorded_by text,
    ADD COLUMN claim_id uuid,
    ADD COLUMN calls smallint NOT NULL DEFAULT 0,
    ADD COLUMN escalated_at timestamptz;
CREATE INDEX tasks_open ON tasks (due_at, task_id) WHERE closed_at IS NULL;
CREATE INDEX tasks_by_agreement ON tasks (agreement_id, opened_at, task_id);

-- What is collectible is counted for each step of a ladder.
CREATE INDEX refunds_of_agreement ON refunds (agreement_id);
