"""A person forbids automatic charges of one agreement, or allows them again."""

from dataclasses import replace
from uuid import UUID

from services.billing.domain.agreement import Agreement
from services.billing.domain.errors import AgreementUnknown
from services.billing.domain.history import Actor, Move
from services.billing.store import agreements, history
from shared.clock import Clock
from shared.db import Connection


async def hold_agreement(
    conn: Connection, merchant_id: UUID, agreement_id: UUID, reason: str, *, clock: Clock
) -> Agreement:
    """Add a hold; repeats safely.  Raises AgreementUnknown, also for a foreign one."""
    before = await _lock(conn, merchant_id, agreement_id)
    holds = tuple(sorted({*before.holds, reason}))
    return await _save(conn, before, holds, f"hold {reason}", clock)


async def release_agreement(
    conn: Connection, merchant_id: UUID, agreement_id: UUID, reason: str, *, clock: Clock
) -> Agreement:
    """Take a hold away; repeats safely.  Raises AgreementUnknown, also for a foreign one."""
    before = await _lock(conn, merchant_id, agreement_id)
    holds = tuple(one for one in before.holds if one != reason)
    return await _save(conn, before, holds, f"release {reason}", clock)


async def _lock(conn: Connection, merchant_id: UUID, agreement_id: UUID) -> Agreement:
    agreement = await agreements.lock(conn, agreement_id)
    if agreement.merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return agreement


async def _save(
    conn: Connection, before: Agreement, holds: tuple[str, ...], reason: str, clock: Clock
) -> Agreement:
    after = replace(before, holds=holds)
    if after.holds != before.holds:
        await agreements.save(conn, [after])
        state = after.state
        move = Move(
            "agreement",
            after.agreement_id,
            None,
            state,
            state,
            Actor.STAFF,
            reason,
            clock.now(),
        )
        await history.add(conn, [move])
    return after
