-- A rail's breaker, shared by all replicas: who opened it, since when, and when one order may
-- find out whether the rail is back.
DELETE FROM rail_rests;
ALTER TABLE rail_rests
    ALTER COLUMN until_at DROP NOT NULL,
    ADD COLUMN state text NOT NULL DEFAULT 'closed'
        CHECK (state IN ('closed', 'open', 'half_open')),
    ADD COLUMN failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    ADD COLUMN opens integer NOT NULL DEFAULT 0 CHECK (opens >= 0),
    ADD COLUMN opened_at timestamptz,
    ADD COLUMN reason text NOT NULL DEFAULT '',
    ADD CHECK ((state = 'closed') = (until_at IS NULL));
