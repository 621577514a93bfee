"""A merchant submits itself, is decided upon, and opens stores."""

from datetime import datetime
from uuid import UUID

from services.signing.contract import MerchantApproved, MerchantSuspended
from services.signing.domain.errors import MerchantDecided
from services.signing.domain.merchant import Merchant, MerchantState, Store, decide
from services.signing.store import history, merchants
from shared import outbox
from shared.db import Connection
from shared.ids import new_id


async def submit_merchant(conn: Connection, merchant: Merchant, *, actor: str) -> Merchant:
    """
    Add *merchant* for review; the same id again returns what stands.

    Raises:
        MerchantDecided: Another merchant has this business licence.
    """
    if await merchants.add(conn, merchant):
        await history.add(
            conn,
            "merchant",
            merchant.merchant_id,
            from_state="",
            to_state=merchant.state,
            actor=actor,
            now=merchant.created_at,
        )
        return merchant
    found = await merchants.find(conn, merchant.merchant_id)
    if found is None:
        raise MerchantDecided("A merchant with this licence exists.", licence=merchant.licence_no)
    return found


async def decide_merchant(
    conn: Connection,
    merchant_id: UUID,
    to: MerchantState,
    *,
    actor: str,
    reason: str,
    now: datetime,
) -> Merchant:
    """Decide upon a merchant and tell the others; deciding the same again changes nothing."""
    merchant = await merchants.lock(conn, merchant_id)
    decide(merchant.state, to)
    if merchant.state is not to:
        await merchants.save_state(conn, merchant, to, actor=actor, reason=reason, now=now)
        await _tell(conn, merchant, to, reason=reason, now=now)
    return await merchants.read(conn, merchant_id)


async def open_store(conn: Connection, store: Store) -> Store:
    """Add a store; the same id again returns what stands."""
    await merchants.read(conn, store.merchant_id)
    await merchants.add_store(conn, store)
    return await merchants.read_store(conn, store.store_id, merchant_id=store.merchant_id)


async def _tell(
    conn: Connection, merchant: Merchant, to: MerchantState, *, reason: str, now: datetime
) -> None:
    if to is MerchantState.APPROVED:
        await outbox.add(
            conn,
            MerchantApproved(
                event_id=new_id(),
                occurred_at=now,
                merchant_id=merchant.merchant_id,
                display_name=merchant.display_name,
                legal_kind=merchant.legal_kind,
                service_phone=merchant.service_phone,
                payees=tuple(merchant.payees),
            ),
        )
    elif to is MerchantState.SUSPENDED:
        await outbox.add(
            conn,
            MerchantSuspended(
                event_id=new_id(),
                occurred_at=now,
                merchant_id=merchant.merchant_id,
                reason=reason,
            ),
        )
