"""Everything on record about one agreement, as rows for its evidence bundle."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from shared.db import Connection

SECTIONS: Final[Mapping[str, str]] = {
    "agreement": """
        SELECT agreement_id, agreement_no, merchant_id, customer_id, pet_id, plan_name,
               legal_type, rail, charge_day, periods, total_fen, hold_fen, auto_ship, state,
               signed_at, failed_periods, flagged_at, holds, fully_paid_at
          FROM agreements WHERE agreement_id = $1
        """,
    "mandates": """
        SELECT mandate_id, rail, product, rail_agreement_no, payee_no, ceiling_fen,
               valid_until, state, granted_at, ended_at
          FROM mandates WHERE agreement_id = $1
         ORDER BY granted_at, mandate_id
        """,
    "schedule": """
        SELECT instalment_id, seq, periods, amount_fen, due_on, charge_on, charge_at, state,
               tries, overdue_since, extended_until, charge_id, paid_at
          FROM instalments WHERE agreement_id = $1
         ORDER BY seq
        """,
    "schedule_lines": """
        SELECT i.seq, l.instalment_id, l.line_no, l.kind, l.amount_fen, l.note
          FROM instalments AS i
          JOIN instalment_lines AS l USING (instalment_id)
         WHERE i.agreement_id = $1
         ORDER BY i.seq, l.line_no
        """,
    "notices": """
        SELECT i.seq, n.notice_id, n.instalment_id, n.kind, n.charge_on, n.amount_fen,
               n.requested_at, n.send_by, n.state, p.channel, p.message_id, p.accepted_at,
               p.delivered_at, n.answer
          FROM instalments AS i
          JOIN notices AS n USING (instalment_id)
          LEFT JOIN notice_proofs AS p USING (notice_id)
         WHERE i.agreement_id = $1
         ORDER BY n.requested_at, n.notice_id, p.channel
        """,
    "gate_refusals": """
        SELECT instalment_id, refused_at, reasons, action
          FROM gate_refusals
         WHERE instalment_id IN (SELECT instalment_id FROM instalments WHERE agreement_id = $1)
         ORDER BY refusal_id
        """,
    "attempts": """
        SELECT attempt_id, instalment_id, attempt_no, trade_no, kind, rail, product,
               amount_fen, rail_agreement_no, payee_no, description, state, on_day,
               created_at, queries, surplus, failure_class, failure_code, rail_trade_no,
               settled_at, paid_at
          FROM attempts WHERE agreement_id = $1
         ORDER BY created_at, attempt_id
        """,
    "queries": """
        SELECT thing, thing_id, instalment_id, from_state, to_state, reason, moved_at
          FROM history
         WHERE actor = 'query'
           AND instalment_id IN (SELECT instalment_id FROM instalments WHERE agreement_id = $1)
         ORDER BY history_id
        """,
    "refunds": """
        SELECT refund_id, refund_no, attempt_id, instalment_id, settlement_id, rail,
               amount_fen, reason, state, created_at, tries, settled_at, failure_code
          FROM refunds WHERE agreement_id = $1
         ORDER BY created_at, refund_id
        """,
    "dunning_cases": """
        SELECT case_id, instalment_id, overdue_since, preset, preset_version,
               merchant_version, ladder, opened_at, demanded_on, promised_on, closed_at,
               close_reason
          FROM dunning_cases WHERE agreement_id = $1
         ORDER BY opened_at, case_id
        """,
    "contacts": """
        SELECT contact_id, instalment_id, task_id, kind, direction, channels, about,
               outcome, made_by, made_at
          FROM contacts WHERE agreement_id = $1
         ORDER BY made_at, contact_id
        """,
    "message_proofs": """
        SELECT cause, cause_id, channel, message_id, accepted_at, delivered_at
          FROM message_proofs
         WHERE cause_id IN (SELECT instalment_id FROM instalments WHERE agreement_id = $1)
            OR cause_id IN (SELECT attempt_id FROM attempts WHERE agreement_id = $1)
         ORDER BY cause, cause_id, channel
        """,
    "tasks": """
        SELECT task_id, kind, instalment_id, claim_id, detail, opened_at, due_at, assignee,
               calls, outcome, promised_on, recorded_by, escalated_at, closed_at
          FROM tasks WHERE agreement_id = $1
         ORDER BY opened_at, task_id
        """,
    "claims": """
        SELECT claim_id, kind, instalment_id, reason, state, opened_at, opened_by,
               answer_due_at, answer, offer_to_day, offer_periods, offer_until, evidence,
               answered_at, answered_by, closed_at, result
          FROM claims WHERE agreement_id = $1
         ORDER BY opened_at, claim_id
        """,
    "shipments_seen": """
        SELECT instalment_id, seq, deliver_by, delivered_at, cancelled
          FROM shipments_seen WHERE agreement_id = $1
         ORDER BY seq, instalment_id
        """,
    "history": """
        SELECT thing, thing_id, instalment_id, from_state, to_state, actor, reason, moved_at
          FROM history
         WHERE thing_id = $1
            OR instalment_id IN (SELECT instalment_id FROM instalments WHERE agreement_id = $1)
            OR thing_id IN (SELECT claim_id FROM claims WHERE agreement_id = $1)
         ORDER BY history_id
        """,
}
"""By file name: what is told, always in the same order; nothing in it names a person."""


async def read(conn: Connection, agreement_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return every section as of one moment; *conn* has begun its transaction just now."""
    await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    return {
        name: [dict(row) for row in await conn.fetch(statement, agreement_id)]
        for name, statement in SECTIONS.items()
    }
