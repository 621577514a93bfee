"""The numbers of a whole platform, for reports: read at one moment, from the books themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.audit import messages, rails
from deploy.audit.finding import Scene
from deploy.audit.notices import ANNOUNCING, CHARGES_WITH_PROOFS
from shared.db import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    Money in fen, everything else counted.

    ``captured_fen`` and ``refunded_fen`` are the rails', ``credited_fen`` and
    ``wallet_refunded_fen`` the ledger's; the difference of either pair is the same money.
    ``notices_required`` counts what each automatic charge owed: an advance notice, a
    reminder, and the rail's own where its product wants one.
    """

    agreements: Mapping[str, int]
    charges_collected: int
    failed_attempts: int
    unknown_resolved: int
    captured_fen: int
    refunded_fen: int
    double_captures: int
    credited_fen: int
    wallet_refunded_fen: int
    shipments: Mapping[str, int]
    notices_required: int
    notices_proven: int
    charges_without_proof: int
    messages_sent: int
    messages_duplicates: int


async def count(scene: Scene) -> Figures:
    """Return the figures of *scene*."""
    conn = scene.conn
    totals = await _one(conn, _TOTALS)
    proofs = await _one(conn, _PROOFS, ANNOUNCING)
    return Figures(
        agreements=await _by_state(
            conn, "SELECT state, count(*) FROM signing.agreements GROUP BY 1"
        ),
        shipments=await _by_state(
            conn, "SELECT state, count(*) FROM fulfillment.shipments GROUP BY 1"
        ),
        captured_fen=sum(row["amount_fen"] for row in scene.books.captures),
        refunded_fen=sum(row["amount_fen"] for row in scene.books.refunds),
        double_captures=await rails.double_captures(scene),
        messages_duplicates=await messages.duplicates(scene),
        **totals,
        **proofs,
    )


_TOTALS = """
    SELECT (SELECT count(*) FROM billing.attempts WHERE state = 'succeeded' AND NOT surplus)
               AS charges_collected,
           (SELECT count(*) FROM billing.attempts WHERE state = 'failed') AS failed_attempts,
           (SELECT count(DISTINCT h.thing_id) FROM billing.history h
              JOIN billing.attempts a ON a.attempt_id = h.thing_id
             WHERE h.thing = 'attempt' AND h.to_state = 'unknown'
               AND a.state IN ('succeeded', 'failed')) AS unknown_resolved,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM wallet.transfers
             WHERE kind = 'collected') AS credited_fen,
           (SELECT coalesce(sum(amount_fen), 0)::bigint FROM wallet.transfers
             WHERE kind = 'refunded') AS wallet_refunded_fen,
           (SELECT count(*) FROM notify.messages WHERE accepted_at IS NOT NULL) AS messages_sent
    """

_PROOFS = f"""
    SELECT coalesce(sum(2 + rail_owed::integer), 0)::bigint AS notices_required,
           coalesce(sum(advance::integer + reminder::integer + rail::integer), 0)::bigint
               AS notices_proven,
           count(*) FILTER (WHERE NOT (advance AND reminder AND (rail OR NOT rail_owed)))
               AS charges_without_proof
      FROM ({CHARGES_WITH_PROOFS}) AS charges
    """  # noqa: S608 - a constant


async def _one(conn: Connection, statement: str, *args: object) -> dict[str, int]:
    row = await conn.fetchrow(statement, *args)
    assert row is not None
    return dict(row)


async def _by_state(conn: Connection, statement: str) -> dict[str, int]:
    return {row["state"]: row["count"] for row in await conn.fetch(statement)}
