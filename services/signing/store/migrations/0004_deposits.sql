-- Merchants whose guarantee deposit was once too low, and how it stands by the newest news.
CREATE TABLE deposits (
    merchant_id uuid PRIMARY KEY,
    short boolean NOT NULL,
    told_at timestamptz NOT NULL
);
