"""Nothing waits for something that will not come."""

from collections.abc import Awaitable, Callable

from deploy.audit.finding import Finding, Scene, compare
from deploy.topology import SERVICES

LATE = "interval '1 hour'"
"""How much later than its own due moment something may be before it counts as stuck."""


async def attempts_end(scene: Scene) -> Finding:
    """No attempt is open past the moment at which its rail was to be asked."""
    return await compare(
        scene,
        "no attempt stuck",
        f"""
        SELECT attempt_id::text AS id,
               CASE WHEN query_at < $1::timestamptz - {LATE}
                    THEN state || ', to be asked about since ' || query_at END AS what
          FROM billing.attempts WHERE state IN ('prepared', 'sent', 'unknown')
        """,  # noqa: S608 - a constant
        scene.books.now,
    )


async def refunds_end(scene: Scene) -> Finding:
    """No refund waits past its moment, failed for good, or was asked for and not begun."""
    return await compare(
        scene,
        "no refund stuck",
        f"""
        SELECT refund_id::text AS id,
               CASE WHEN state = 'failed' THEN 'failed: ' || coalesce(failure_code, '')
                    WHEN next_at IS NULL OR next_at < $1::timestamptz - {LATE}
                    THEN state || ', due since ' || coalesce(next_at, created_at) END AS what
          FROM billing.refunds WHERE state <> 'succeeded'
         UNION ALL
        SELECT s.settlement_id::text,
               s.amount_fen - coalesce(sum(f.amount_fen), 0) || ' fen not even begun'
          FROM billing.settlements s
          LEFT JOIN billing.refunds f USING (settlement_id)
         WHERE s.requested_at < $1::timestamptz - {LATE}
         GROUP BY s.settlement_id HAVING s.amount_fen > coalesce(sum(f.amount_fen), 0)
        """,  # noqa: S608 - a constant
        scene.books.now,
    )


async def shipments_move(scene: Scene) -> Finding:
    """No shipment is past the moment at which it wanted to be looked after, or lost."""
    return await compare(
        scene,
        "no shipment stuck",
        f"""
        SELECT shipment_id::text AS id,
               CASE WHEN state = 'lost' THEN 'lost'
                    WHEN due_at < $1::timestamptz - {LATE} THEN state || ', due since ' || due_at
               END AS what
          FROM fulfillment.shipments WHERE state NOT IN ('returned', 'cancelled', 'closed')
        """,  # noqa: S608 - a constant
        scene.books.now,
    )


async def outboxes_are_empty(scene: Scene) -> Finding:
    """No event waits to be published for more than a minute of real time."""
    rows = " UNION ALL ".join(
        f"""SELECT '{name} ' || event_id AS id,
                   CASE WHEN created_at < clock_timestamp() - interval '1 minute'
                        THEN subject || ' unpublished since ' || created_at END AS what
              FROM {name}.outbox WHERE published_at IS NULL"""  # noqa: S608 - our own names
        for name in SERVICES
    )
    return await compare(scene, "no event unpublished", rows)


async def no_dead_letters(scene: Scene) -> Finding:
    """No event that could not be applied waits for a person."""
    rows = " UNION ALL ".join(
        f"""SELECT '{name} ' || dead_letter_id AS id,
                   subject || ': ' || left(error, 120) AS what
              FROM {name}.dead_letters WHERE replayed_at IS NULL"""  # noqa: S608 - our own names
        for name in SERVICES
    )
    return await compare(scene, "no dead letter waiting", rows)


async def webhooks_are_placed(scene: Scene) -> Finding:
    """Nothing that a provider told us waits for a person to place it."""
    rows = " UNION ALL ".join(
        f"""SELECT '{name} ' || webhook_id AS id,
                   provider || ': ' || coalesce(reason, 'unplaced') AS what
              FROM {name}.webhook_inbox
             WHERE verdict = 'unplaced' AND placed_at IS NULL"""  # noqa: S608 - our own names
        for name in SERVICES
    )
    return await compare(scene, "no webhook unplaced", rows)


CHECKS: tuple[Callable[[Scene], Awaitable[Finding]], ...] = (
    attempts_end,
    refunds_end,
    shipments_move,
    outboxes_are_empty,
    no_dead_letters,
    webhooks_are_placed,
)
