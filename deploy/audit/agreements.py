"""Agreements are the same everywhere, end at the rail when they end, and can be proven."""

from collections import defaultdict
from uuid import UUID

from deploy.audit.finding import SHOWN, Finding, Scene, compare
from services.signing.domain.evidence import Entry, first_broken


async def billing_knows_them(scene: Scene) -> Finding:
    """Signing and billing have the same agreements, in the same state, for the same money."""
    return await compare(
        scene,
        "agreements in signing = in billing",
        """
        SELECT coalesce(s.agreement_id, b.agreement_id)::text AS id,
               CASE WHEN b.agreement_id IS NULL THEN 'unknown to billing'
                    WHEN s.agreement_id IS NULL THEN 'never signed'
                    WHEN (s.merchant_id, s.customer_id, s.rail, s.periods,
                          coalesce(c.total_fen, s.total_fen), s.hold_fen, s.auto_ship)
                         IS DISTINCT FROM
                         (b.merchant_id, b.customer_id, b.rail, b.periods::integer, b.total_fen,
                          b.hold_fen, b.auto_ship)
                    THEN 'other terms'
                    WHEN replace(s.state, 'signed', 'cooling_off') <> b.state
                    THEN s.state || ' in signing, ' || b.state || ' in billing' END AS what
          FROM signing.agreements s FULL JOIN billing.agreements b USING (agreement_id)
          LEFT JOIN (SELECT agreement_id, sum((line->>'amount_fen')::bigint) AS total_fen
                       FROM signing.current_schedules, jsonb_array_elements(lines) AS line
                      GROUP BY agreement_id) c USING (agreement_id)
        """,
    )


async def schedules_are_signed(scene: Scene) -> Finding:
    """Billing's instalments are the lines as signed or changed since, and make the total."""
    return await compare(
        scene,
        "signed schedule = instalments",
        """
        SELECT agreement_id::text AS id,
               CASE WHEN s.lines IS NULL THEN 'instalments without a signed schedule'
                    WHEN b.lines IS NULL THEN 'signed, no instalments'
                    WHEN s.lines <> b.lines THEN 'other dates or amounts'
                    WHEN b.fen <> a.total_fen THEN b.fen || ' fen of ' || a.total_fen END AS what
          FROM (SELECT agreement_id, string_agg(concat_ws(' ', i.seq,
                                         coalesce((line->>'due_on')::date, i.due_on),
                                         coalesce((line->>'amount_fen')::bigint, i.amount_fen)),
                                     ', ' ORDER BY i.seq) AS lines
                  FROM signing.agreement_instalments i
                  LEFT JOIN (SELECT agreement_id, (line->>'seq')::integer AS seq, line
                               FROM signing.current_schedules, jsonb_array_elements(lines) AS line
                            ) c USING (agreement_id, seq)
                 GROUP BY agreement_id) s
          FULL JOIN (SELECT agreement_id, sum(amount_fen) AS fen,
                            string_agg(concat_ws(' ', seq, due_on, amount_fen), ', '
                                       ORDER BY seq) AS lines
                       FROM billing.instalments GROUP BY agreement_id) b USING (agreement_id)
          LEFT JOIN billing.agreements a USING (agreement_id)
        """,
    )


async def wallet_knows_the_end(scene: Scene) -> Finding:
    """An agreement that was cancelled or terminated has ended for wallet too, and no other."""
    return await compare(
        scene,
        "ended agreements = ended ledgers",
        """
        SELECT agreement_id::text AS id,
               CASE WHEN s.agreement_id IS NULL THEN 'a ledger of an unknown agreement'
                    WHEN l.ended_as IS DISTINCT FROM
                         CASE WHEN s.state IN ('cancelled', 'terminated') THEN s.state END
                    THEN s.state || ' in signing, ' || coalesce(l.ended_as, 'running')
                         || ' in wallet'
                    WHEN l.ended_as IS NOT NULL AND l.open_holds = 0 AND l.credited_fen >
                         l.held_fen + l.captured_fen + l.penalty_fen + l.refunded_fen
                    THEN 'keeps ' || l.credited_fen - l.held_fen - l.captured_fen - l.penalty_fen
                         - l.refunded_fen || ' fen after its end' END AS what
          FROM wallet.ledgers l LEFT JOIN signing.agreements s USING (agreement_id)
        """,
    )


async def mandates_end_with_them(scene: Scene) -> Finding:
    """A day after an agreement's end nothing at the rail lets anybody be charged for it."""
    return await compare(
        scene,
        "mandates of ended agreements are gone",
        """
        SELECT m.mandate_id::text AS id,
               CASE WHEN r.alive THEN 'still stands at the rail as ' || r.number
                    WHEN m.state NOT IN ('revoked', 'expired', 'closed')
                    THEN 'gone at the rail, here still ' || m.state END AS what
          FROM signing.agreements a
          JOIN signing.mandates m USING (agreement_id)
          LEFT JOIN jsonb_to_recordset($1) AS r (rail text, number text, alive boolean)
            ON r.rail = m.rail AND r.number = m.rail_agreement_no
         WHERE a.state IN ('completed', 'terminated', 'cancelled')
           AND a.ended_at < $2::timestamptz - interval '24 hours'
        """,
        scene.books.mandates,
        scene.books.now,
    )


async def live_mandates_stand(scene: Scene) -> Finding:
    """What we take for a live mandate is one; a customer's own end is heard within a day."""
    return await compare(
        scene,
        "live mandates stand at the rail",
        """
        SELECT m.mandate_id::text AS id,
               CASE WHEN r.number IS NULL THEN 'the rail has no such mandate'
                    WHEN NOT r.alive AND r.ended_at < $2::timestamptz - interval '25 hours'
                    THEN 'ended at the rail on ' || (r.ended_at AT TIME ZONE 'Asia/Shanghai')::date
               END AS what
          FROM signing.mandates m
          LEFT JOIN jsonb_to_recordset($1)
                    AS r (rail text, number text, alive boolean, ended_at timestamptz)
            ON r.rail = m.rail AND r.number = m.rail_agreement_no
         WHERE m.state = 'active'
        """,
        scene.books.mandates,
        scene.books.now,
    )


async def evidence_holds(scene: Scene) -> Finding:
    """The chain of evidence of every signed agreement is there and whole."""
    rows = await scene.conn.fetch(
        """
        SELECT a.agreement_id, e.* FROM signing.agreements a
          LEFT JOIN signing.evidence e USING (application_id)
         ORDER BY a.agreement_id, e.seq
        """
    )
    chains: dict[UUID, list[Entry]] = defaultdict(list)
    for row in rows:
        chain = chains[row["agreement_id"]]
        if row["seq"] is not None:
            chain.append(Entry(**{key: row[key] for key in Entry.__dataclass_fields__}))
    wrong = {}
    for agreement_id, chain in chains.items():
        broken = first_broken(chain)
        if not chain:
            wrong[str(agreement_id)] = "no evidence"
        elif broken is not None:
            wrong[str(agreement_id)] = f"broken at entry {broken}"
    if not wrong:
        return Finding("evidence chains", ok=True, detail=f"{len(chains)} whole")
    shown = "; ".join(f"{key} {what}" for key, what in list(wrong.items())[:SHOWN])
    detail = f"{len(wrong)} of {len(chains)} do not hold: {shown}"
    return Finding("evidence chains", ok=False, detail=detail, ids=tuple(wrong)[:SHOWN])


CHECKS = (
    billing_knows_them,
    schedules_are_signed,
    wallet_knows_the_end,
    mandates_end_with_them,
    live_mandates_stand,
    evidence_holds,
)
