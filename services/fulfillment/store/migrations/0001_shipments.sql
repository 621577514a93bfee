-- What the warehouse can send, per merchant, and what each piece costs us.
CREATE TABLE skus (
    merchant_id uuid NOT NULL,
    sku text NOT NULL CHECK (length(sku) BETWEEN 1 AND 40),
    name text NOT NULL,
    supply_cost_fen bigint NOT NULL CHECK (supply_cost_fen >= 0),
    supplier text NOT NULL,
    ingredients text[] NOT NULL,
    allergens text[] NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, sku)
);

-- Which SKU may replace which: part of what customers sign from then on.
CREATE TABLE substitutes (
    merchant_id uuid NOT NULL,
    sku text NOT NULL,
    substitute_sku text NOT NULL,
    published_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, sku, substitute_sku),
    FOREIGN KEY (merchant_id, sku) REFERENCES skus,
    FOREIGN KEY (merchant_id, substitute_sku) REFERENCES skus,
    CHECK (sku <> substitute_sku)
);

-- Bundles of immutable plan versions: {stage: [{sku, quantity, substitutes}]}.
CREATE TABLE plan_bundles (
    merchant_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    version integer NOT NULL,
    bundles jsonb NOT NULL,
    PRIMARY KEY (merchant_id, plan_id, version)
);

CREATE TABLE pets (
    merchant_id uuid NOT NULL,
    pet_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    species text NOT NULL,
    size text NOT NULL,
    born_on date NOT NULL,
    allergies text[] NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, pet_id)
);

-- Where parcels go; contact is encrypted for this place.
CREATE TABLE recipients (
    merchant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    contact text NOT NULL,
    told_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, customer_id)
);

-- stage_due_at: when the pet's next stage is to be looked at; null: never again.
CREATE TABLE agreements (
    merchant_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    pet_id uuid NOT NULL,
    plan_id uuid NOT NULL,
    plan_version integer NOT NULL,
    signed_at timestamptz NOT NULL,
    substitutes_agreed boolean NOT NULL,
    ended_at timestamptz,
    end_reason text,
    stage_due_at timestamptz,
    PRIMARY KEY (merchant_id, agreement_id),
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CHECK (ended_at IS NULL OR stage_due_at IS NULL)
);
CREATE INDEX agreements_stage_due ON agreements (stage_due_at) WHERE stage_due_at IS NOT NULL;
CREATE INDEX agreements_by_pet ON agreements (merchant_id, pet_id) WHERE ended_at IS NULL;

-- Which stage an agreement's parcels are of, from which day on; announced before.
CREATE TABLE stage_changes (
    merchant_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    from_day date NOT NULL,
    from_stage text,
    to_stage text NOT NULL,
    announced_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, agreement_id, from_day),
    FOREIGN KEY (merchant_id, agreement_id) REFERENCES agreements
);

CREATE TABLE shipments (
    merchant_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    instalment_id uuid NOT NULL,
    agreement_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    pet_id uuid NOT NULL,
    hold_id uuid NOT NULL,
    seq integer NOT NULL CHECK (seq >= 1),
    hold_fen bigint NOT NULL CHECK (hold_fen >= 0),
    state text NOT NULL CHECK (state IN (
        'planned', 'reminded', 'pushed', 'accepted', 'out_of_stock', 'cancelling',
        'dispatched', 'delivered', 'returned', 'lost', 'cancelled', 'closed')),
    ship_on date NOT NULL,
    deliver_by date NOT NULL CHECK (deliver_by >= ship_on),
    planned_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    due_at timestamptz,
    stage text,
    revision integer NOT NULL DEFAULT 0 CHECK (revision >= 0),
    fence bigint NOT NULL DEFAULT 0,
    tries integer NOT NULL DEFAULT 0,
    order_no text,
    wait_until date,
    reason text,
    PRIMARY KEY (merchant_id, shipment_id),
    UNIQUE (merchant_id, instalment_id),
    FOREIGN KEY (merchant_id, agreement_id) REFERENCES agreements,
    -- Nothing can be stuck: who is on the way to somewhere has a moment.
    CHECK (due_at IS NOT NULL OR state IN
           ('dispatched', 'returned', 'lost', 'cancelled', 'closed')),
    CHECK (state <> 'accepted' OR order_no IS NOT NULL),
    CHECK (state IN ('planned', 'cancelled') OR (stage IS NOT NULL AND revision > 0))
);
CREATE INDEX shipments_due ON shipments (state, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX shipments_by_id ON shipments (shipment_id);
CREATE INDEX shipments_listed ON shipments (merchant_id, planned_at, shipment_id);
CREATE INDEX shipments_by_agreement ON shipments (merchant_id, agreement_id, seq);
CREATE INDEX shipments_by_customer ON shipments (merchant_id, customer_id, planned_at);
CREATE INDEX shipments_open ON shipments (state, since)
    WHERE state NOT IN ('returned', 'cancelled', 'closed');

-- Every move, by whom, and why.
CREATE TABLE shipment_history (
    merchant_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    n bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    from_state text,
    to_state text NOT NULL,
    reason text,
    PRIMARY KEY (merchant_id, shipment_id, n),
    FOREIGN KEY (merchant_id, shipment_id) REFERENCES shipments
);

-- What was to be in it, each revision; the last one counts.
CREATE TABLE shipment_items (
    merchant_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    revision integer NOT NULL,
    position integer NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    supply_cost_fen bigint NOT NULL CHECK (supply_cost_fen >= 0),
    why text NOT NULL,
    instead_of text,
    PRIMARY KEY (merchant_id, shipment_id, revision, position),
    FOREIGN KEY (merchant_id, shipment_id) REFERENCES shipments
);

-- What the customer wishes instead; applied when the contents are fixed.
CREATE TABLE shipment_swaps (
    merchant_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    sku text NOT NULL,
    by_sku text NOT NULL,
    asked_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, shipment_id, sku),
    FOREIGN KEY (merchant_id, shipment_id) REFERENCES shipments
);

CREATE TABLE parcels (
    merchant_id uuid NOT NULL,
    parcel_id uuid NOT NULL,
    shipment_id uuid NOT NULL,
    carrier text NOT NULL,
    tracking_no text NOT NULL,
    token text NOT NULL,
    state text NOT NULL,
    sent_at timestamptz NOT NULL,
    news_at timestamptz NOT NULL,
    due_at timestamptz,
    head_at timestamptz,
    subscribed_at timestamptz,
    tries integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    stuck_at timestamptz,
    delivered_seen_at timestamptz,
    PRIMARY KEY (merchant_id, parcel_id),
    UNIQUE (merchant_id, shipment_id, tracking_no),
    FOREIGN KEY (merchant_id, shipment_id) REFERENCES shipments
);
CREATE INDEX parcels_by_token ON parcels (token);
CREATE INDEX parcels_due ON parcels (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX parcels_stuck ON parcels (stuck_at) WHERE stuck_at IS NOT NULL;

CREATE TABLE tracks (
    merchant_id uuid NOT NULL,
    parcel_id uuid NOT NULL,
    node_key text NOT NULL,
    at timestamptz NOT NULL,
    state text,
    code text NOT NULL,
    told text NOT NULL,
    heard_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, parcel_id, node_key),
    FOREIGN KEY (merchant_id, parcel_id) REFERENCES parcels
);
