CREATE TABLE merchants (
    merchant_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('submitted', 'approved', 'rejected', 'suspended')),
    legal_name text NOT NULL,
    display_name text NOT NULL,
    legal_kind text NOT NULL CHECK (legal_kind IN ('company', 'individual_business')),
    licence_no text NOT NULL UNIQUE,
    service_phone text NOT NULL,
    payees jsonb NOT NULL,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL
);

CREATE TABLE stores (
    store_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    name text NOT NULL,
    city text NOT NULL,
    address text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX stores_of_merchant ON stores (merchant_id, created_at, store_id);

CREATE TABLE plans (
    plan_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    created_at timestamptz NOT NULL
);
CREATE INDEX plans_of_merchant ON plans (merchant_id, created_at, plan_id);

CREATE TABLE plan_versions (
    plan_id uuid NOT NULL REFERENCES plans,
    version integer NOT NULL CHECK (version > 0),
    merchant_id uuid NOT NULL REFERENCES merchants,
    state text NOT NULL CHECK (state IN ('draft', 'published')),
    name text NOT NULL,
    species text NOT NULL,
    kind text NOT NULL,
    legal_type text NOT NULL CHECK (legal_type IN ('prepaid', 'instalment_sale')),
    periods integer NOT NULL CHECK (periods BETWEEN 1 AND 24),
    total_fen bigint NOT NULL CHECK (total_fen >= periods),
    cash_price_fen bigint NOT NULL CHECK (cash_price_fen > 0),
    auto_ship boolean NOT NULL,
    bundle_fen bigint NOT NULL CHECK (bundle_fen >= 0),
    bundles jsonb NOT NULL,
    price_card jsonb NOT NULL,
    credit_floor integer NOT NULL CHECK (credit_floor BETWEEN 350 AND 950),
    use_of_money text NOT NULL,
    gifts text NOT NULL,
    published_at timestamptz,
    PRIMARY KEY (plan_id, version),
    CHECK ((state = 'published') = (published_at IS NOT NULL))
);

-- What customers have signed must stand as it was.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% never changes', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER plan_versions_stand BEFORE UPDATE OR DELETE ON plan_versions
    FOR EACH ROW WHEN (OLD.state = 'published') EXECUTE FUNCTION refuse_change();

CREATE TABLE quotes (
    quote_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    plan_id uuid NOT NULL,
    plan_version integer NOT NULL,
    rail text NOT NULL,
    charge_day integer NOT NULL,
    quoted_at timestamptz NOT NULL,
    FOREIGN KEY (plan_id, plan_version) REFERENCES plan_versions
);

-- A person whose identity was proven, once per merchant; `person` is encrypted JSON.
CREATE TABLE customers (
    customer_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    person text NOT NULL,
    id_index text NOT NULL,
    phone_index text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    UNIQUE (merchant_id, id_index)
);
CREATE INDEX customers_by_phone ON customers (merchant_id, phone_index);

CREATE TABLE pets (
    pet_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    customer_id uuid NOT NULL REFERENCES customers,
    pet jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX pets_of_customer ON pets (merchant_id, customer_id);

-- `applicant` is encrypted JSON; the rest tells nothing about who it is.
CREATE TABLE applications (
    application_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    store_id uuid NOT NULL REFERENCES stores,
    plan_id uuid NOT NULL,
    plan_version integer NOT NULL,
    rail text NOT NULL CHECK (rail IN ('alipay', 'wechatpay')),
    charge_day integer NOT NULL CHECK (charge_day BETWEEN 1 AND 31),
    state text NOT NULL CHECK (state IN ('started', 'identified', 'assessed', 'in_review',
        'previewed', 'signed', 'completed', 'rejected', 'expired', 'withdrawn')),
    consented boolean NOT NULL DEFAULT false,
    applicant text NOT NULL,
    payer_no text NOT NULL,
    pet jsonb NOT NULL,
    customer_id uuid REFERENCES customers,
    pet_id uuid REFERENCES pets,
    agreement_id uuid NOT NULL UNIQUE,
    agreement_no text NOT NULL UNIQUE CHECK (agreement_no ~ '^[0-9A-Z]{8,28}$'),
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    step_since timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    FOREIGN KEY (plan_id, plan_version) REFERENCES plan_versions
);
CREATE INDEX applications_of_merchant ON applications (merchant_id, started_at, application_id);
CREATE INDEX applications_expiring ON applications (expires_at)
    WHERE state NOT IN ('completed', 'rejected', 'expired', 'withdrawn');

-- How long each step took and how often it was tried.
CREATE TABLE application_steps (
    application_id uuid NOT NULL REFERENCES applications,
    step text NOT NULL,
    tries integer NOT NULL DEFAULT 1,
    began_at timestamptz NOT NULL,
    done_at timestamptz,
    PRIMARY KEY (application_id, step)
);

CREATE TABLE consents (
    application_id uuid NOT NULL REFERENCES applications,
    kind text NOT NULL,
    text_version text NOT NULL,
    agreed boolean NOT NULL,
    shown_ms integer NOT NULL,
    given_at timestamptz NOT NULL,
    PRIMARY KEY (application_id, kind)
);

-- Written before the provider is asked; no answer yet while `due_at` stands.
CREATE TABLE identity_checks (
    check_id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    state text NOT NULL CHECK (state IN ('asked', 'open', 'passed', 'failed', 'expired')),
    biz_token text NOT NULL DEFAULT '',
    url text NOT NULL DEFAULT '',
    outcome text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL,
    due_at timestamptz,
    tries integer NOT NULL DEFAULT 0
);
CREATE INDEX identity_checks_of ON identity_checks (application_id, started_at);
CREATE UNIQUE INDEX identity_checks_one_open ON identity_checks (application_id)
    WHERE state IN ('asked', 'open');
CREATE INDEX identity_checks_due ON identity_checks (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE credit_assessments (
    assessment_id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    threshold integer NOT NULL,
    answer text NOT NULL DEFAULT '' CHECK (answer IN ('', 'passed', 'below', 'no_score')),
    provider_no text NOT NULL DEFAULT '',
    asked_at timestamptz NOT NULL,
    answered_at timestamptz,
    valid_until date
);
CREATE INDEX credit_assessments_of ON credit_assessments (application_id, asked_at);

-- The text as it was shown; `pdf` is encrypted, `sha256` is over the plain bytes.
CREATE TABLE agreement_documents (
    document_id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    template_version text NOT NULL,
    sha256 text NOT NULL,
    pdf text NOT NULL,
    instalments jsonb NOT NULL,
    key_clauses text[] NOT NULL,
    rate_percent text NOT NULL,
    sign_before timestamptz NOT NULL,
    written_at timestamptz NOT NULL,
    signed_sha256 text,
    signed_pdf text
);
CREATE INDEX agreement_documents_of ON agreement_documents (application_id, written_at);

CREATE TABLE sign_flows (
    flow_id uuid PRIMARY KEY,
    application_id uuid NOT NULL REFERENCES applications,
    document_id uuid NOT NULL REFERENCES agreement_documents,
    state text NOT NULL CHECK (state IN
        ('prepared', 'uploaded', 'open', 'signed', 'refused', 'expired', 'revoked')),
    file_id text NOT NULL DEFAULT '',
    provider_flow_id text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    due_at timestamptz,
    tries integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX sign_flows_of_document ON sign_flows (document_id)
    WHERE state IN ('prepared', 'uploaded', 'open', 'signed');
CREATE UNIQUE INDEX sign_flows_by_provider ON sign_flows (provider_flow_id)
    WHERE provider_flow_id <> '';
CREATE INDEX sign_flows_due ON sign_flows (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE mandates (
    mandate_id uuid PRIMARY KEY,
    merchant_id uuid NOT NULL REFERENCES merchants,
    application_id uuid NOT NULL REFERENCES applications,
    agreement_id uuid NOT NULL,
    rail text NOT NULL,
    product text NOT NULL,
    external_no text NOT NULL UNIQUE CHECK (external_no ~ '^[0-9A-Z]{8,32}$'),
    payer_no text NOT NULL,
    payee_no text NOT NULL,
    ceiling_fen bigint NOT NULL CHECK (ceiling_fen > 0),
    first_due_on date NOT NULL,
    total_fen bigint NOT NULL,
    periods integer NOT NULL,
    state text NOT NULL CHECK (state IN
        ('pending', 'active', 'revoked', 'expired', 'closing', 'closed')),
    serial bigint GENERATED ALWAYS AS IDENTITY (START WITH 100001),
    rail_agreement_no text NOT NULL DEFAULT '',
    valid_until date,
    granted_at timestamptz,
    ended_at timestamptz,
    due_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    CHECK (state <> 'closing' OR due_at IS NOT NULL)
);
CREATE UNIQUE INDEX mandates_one_live ON mandates (agreement_id)
    WHERE state IN ('pending', 'active');
CREATE UNIQUE INDEX mandates_by_rail_no ON mandates (rail, rail_agreement_no)
    WHERE rail_agreement_no <> '';
CREATE INDEX mandates_due ON mandates (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX mandates_live ON mandates (mandate_id) WHERE state = 'active';

CREATE TABLE agreements (
    agreement_id uuid PRIMARY KEY,
    agreement_no text NOT NULL UNIQUE,
    merchant_id uuid NOT NULL REFERENCES merchants,
    store_id uuid NOT NULL REFERENCES stores,
    application_id uuid NOT NULL UNIQUE REFERENCES applications,
    customer_id uuid NOT NULL REFERENCES customers,
    pet_id uuid NOT NULL REFERENCES pets,
    plan_id uuid NOT NULL,
    plan_version integer NOT NULL,
    plan_name text NOT NULL,
    rail text NOT NULL,
    charge_day integer NOT NULL,
    periods integer NOT NULL,
    total_fen bigint NOT NULL,
    hold_fen bigint NOT NULL,
    auto_ship boolean NOT NULL,
    document_sha256 text NOT NULL,
    state text NOT NULL CHECK (state IN
        ('signed', 'cooling_off', 'active', 'completed', 'terminated', 'cancelled')),
    signed_at timestamptz NOT NULL,
    cooling_off_ends_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text NOT NULL DEFAULT '',
    penalty_fen bigint NOT NULL DEFAULT 0 CHECK (penalty_fen >= 0),
    CHECK (cooling_off_ends_at >= signed_at + interval '48 hours'),
    FOREIGN KEY (plan_id, plan_version) REFERENCES plan_versions
);
CREATE INDEX agreements_of_merchant ON agreements (merchant_id, signed_at, agreement_id);
CREATE INDEX agreements_of_customer ON agreements (merchant_id, customer_id);
CREATE INDEX agreements_cooling_off ON agreements (cooling_off_ends_at)
    WHERE state = 'cooling_off';

CREATE TABLE agreement_instalments (
    agreement_id uuid NOT NULL REFERENCES agreements,
    seq integer NOT NULL CHECK (seq > 0),
    due_on date NOT NULL,
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    PRIMARY KEY (agreement_id, seq),
    UNIQUE (agreement_id, due_on)
);

-- What others told us of an agreement; it may come before the agreement itself is asked about.
CREATE TABLE shipped_periods (
    agreement_id uuid NOT NULL,
    seq integer NOT NULL,
    shipped_at timestamptz NOT NULL,
    PRIMARY KEY (agreement_id, seq)
);
CREATE TABLE fully_paid (
    agreement_id uuid PRIMARY KEY,
    paid_at timestamptz NOT NULL
);

CREATE TABLE evidence (
    application_id uuid NOT NULL REFERENCES applications,
    seq integer NOT NULL CHECK (seq > 0),
    kind text NOT NULL,
    occurred_at timestamptz NOT NULL,
    actor text NOT NULL,
    payload text NOT NULL,
    payload_sha256 text NOT NULL,
    prev_hash text NOT NULL,
    entry_hash text NOT NULL UNIQUE,
    PRIMARY KEY (application_id, seq)
);
CREATE TRIGGER evidence_stands BEFORE UPDATE OR DELETE ON evidence
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Every move of anything: who, when, why.
CREATE TABLE history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    thing text NOT NULL,
    thing_id uuid NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    moved_at timestamptz NOT NULL
);
CREATE INDEX history_of ON history (thing_id, history_id);
