-- What a merchant adds to the agreement and says of the plan; drafts are examined before they stand.
ALTER TABLE plan_versions
    ADD COLUMN clauses jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN sales_copy jsonb NOT NULL DEFAULT '[]';

-- A compliance officer let a finding pass, and answers for it.
CREATE TABLE finding_overrides (
    plan_id uuid NOT NULL,
    version integer NOT NULL,
    finding_id uuid NOT NULL,
    rule_id text NOT NULL,
    pointer text NOT NULL,
    phrase text NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    actor text NOT NULL,
    overridden_at timestamptz NOT NULL,
    PRIMARY KEY (plan_id, version, finding_id),
    FOREIGN KEY (plan_id, version) REFERENCES plan_versions
);
CREATE TRIGGER finding_overrides_stand BEFORE UPDATE OR DELETE ON finding_overrides
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
