-- A quote that was given may be looked at by a short code, e.g. from a printed QR code.
CREATE TABLE quote_shares (
    code text PRIMARY KEY CHECK (code ~ '^[0-9a-hjkmnp-tv-z]{16}$'),
    quote_id uuid NOT NULL REFERENCES quotes,
    merchant_id uuid NOT NULL REFERENCES merchants,
    shared_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > shared_at)
);
CREATE INDEX quote_shares_of_quote ON quote_shares (quote_id, expires_at);

-- A merchant's own list of what treatments cost, before they begin.
CREATE TABLE procedure_prices (
    merchant_id uuid NOT NULL REFERENCES merchants,
    procedure text NOT NULL CHECK (procedure ~ '^[a-z0-9_-]{1,40}$'),
    species text NOT NULL CHECK (species ~ '^[a-z0-9_-]{1,40}$'),
    name text NOT NULL,
    low_fen bigint NOT NULL CHECK (low_fen > 0),
    likely_fen bigint NOT NULL CHECK (likely_fen >= low_fen),
    high_fen bigint NOT NULL CHECK (high_fen >= likely_fen),
    insurance_per_mille integer CHECK (insurance_per_mille BETWEEN 1 AND 1000),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_id, procedure, species)
);
