-- What an authority shall confirm of an agreement: that its document and its chain existed.
-- `statement` is canonical JSON; its hash is all that goes out.  `asked` stands from before a
-- call until its answer is kept: whether the authority stamped is unknown, and asking again
-- only makes another stamp.
CREATE TABLE time_stamps (
    agreement_id uuid PRIMARY KEY REFERENCES agreements,
    statement text NOT NULL,
    state text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'asked', 'granted')),
    tries integer NOT NULL DEFAULT 0,
    problem text NOT NULL DEFAULT '',
    wanted_at timestamptz NOT NULL,
    due_at timestamptz,
    answer bytea,
    roots text,
    stamped_at timestamptz,
    CHECK ((state = 'granted') = (due_at IS NULL)),
    CHECK ((state = 'granted') = (answer IS NOT NULL AND roots IS NOT NULL)),
    CHECK ((state = 'granted') = (stamped_at IS NOT NULL))
);
CREATE INDEX time_stamps_due ON time_stamps (due_at) WHERE due_at IS NOT NULL;
CREATE TRIGGER time_stamps_stand BEFORE UPDATE OR DELETE ON time_stamps
    FOR EACH ROW WHEN (OLD.state = 'granted') EXECUTE FUNCTION refuse_change();

-- What was signed before there were stamps gets one of today.
INSERT INTO time_stamps (agreement_id, statement, wanted_at, due_at)
SELECT a.agreement_id,
       format('{"agreement_id":"%s","agreement_no":"%s","chain_head":"%s","chain_length":%s,'
              '"signed_sha256":"%s"}',
              a.agreement_id, a.agreement_no, e.entry_hash, e.seq, a.document_sha256),
       a.signed_at, a.signed_at
  FROM agreements AS a
  JOIN LATERAL (SELECT seq, entry_hash FROM evidence
                 WHERE application_id = a.application_id
                 ORDER BY seq DESC LIMIT 1) AS e ON true;

-- Who took evidence, and when: it holds personal data.
CREATE TABLE evidence_accesses (
    access_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agreement_id uuid NOT NULL REFERENCES agreements,
    taken text NOT NULL CHECK (taken IN ('chain', 'archive')),
    actor text NOT NULL,
    request_id text NOT NULL,
    accessed_at timestamptz NOT NULL
);
CREATE INDEX evidence_accesses_of ON evidence_accesses (agreement_id, access_id);
CREATE TRIGGER evidence_accesses_stand BEFORE UPDATE OR DELETE ON evidence_accesses
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
