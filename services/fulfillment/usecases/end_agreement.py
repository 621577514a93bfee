"""An agreement has ended early: what has not left is not sent any more."""

import structlog

from services.fulfillment.deps import Deps
from services.fulfillment.domain.errors import AgreementUnknown
from services.fulfillment.domain.shipment import ShipmentState, give_up
from services.fulfillment.store import agreements, shipments
from services.fulfillment.usecases import tell
from services.signing.contract import AgreementCancelled, AgreementTerminated
from shared import outbox
from shared.db import Connection

log = structlog.get_logger()


async def end_agreement(
    conn: Connection, ended: AgreementCancelled | AgreementTerminated, deps: Deps
) -> None:
    """
    Cancel every shipment that has not left; where the warehouse may know it, ask it first.

    Raises:
        AgreementUnknown: The agreement has not been heard of yet.
    """
    cancelled = isinstance(ended, AgreementCancelled)
    reason = "agreement_cancelled" if cancelled else "agreement_terminated"
    now = deps.clock.now()
    key = (ended.merchant_id, ended.agreement_id)
    if not await agreements.end(conn, key, reason=reason, now=now):
        raise AgreementUnknown("Not heard of this agreement yet.", agreement_id=key[1])
    before = await shipments.lock_of_agreement(conn, *key)
    after = [give_up(one, now=now, reason=reason) for one in before]
    moved = [pair for pair in zip(before, after, strict=True) if pair[0].state is not pair[1].state]
    await shipments.save(
        conn, [one for one, _ in moved], [one for _, one in moved], actor=ended.subject, now=now
    )
    gone = [one for _, one in moved if one.state is ShipmentState.CANCELLED]
    await outbox.add(conn, *(tell.cancelled(one, now=now) for one in gone))
    log.info("agreement.ended", agreement_id=str(key[1]), shipments=len(moved))
