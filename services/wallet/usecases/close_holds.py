"""A parcel has left, or will not come: what was held for it is spent, or free again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from services.fulfillment.contract import ShipmentCancelled, ShipmentDispatched
from services.wallet.contract import HoldCaptured, HoldReleased
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.errors import HoldUnknown, LedgerUnknown
from services.wallet.domain.hold import Hold, capture, release
from services.wallet.domain.ledger import without
from services.wallet.domain.merchant_terms import supply_cost
from services.wallet.domain.shares import Shares, bonus_part, split_sale
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, holds, ledgers, merchant_terms
from services.wallet.usecases.settle_agreements import settle_agreements
from services.wallet.usecases.write_transfers import write_transfers
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.events import Event
from shared.ids import new_id

log = structlog.get_logger()

Ended = TypeVar("Ended", ShipmentDispatched, ShipmentCancelled)


@dataclass(frozen=True, slots=True)
class _Closing:
    """What the end of one hold does to the books, and whom it is told to."""

    hold: Hold
    transfers: tuple[Transfer, ...]
    news: tuple[Event, ...]


async def capture_holds(
    conn: Connection, dispatched: Sequence[ShipmentDispatched], deps: Deps
) -> None:
    """
    Spend what was held for parcels that have left: platform, supplier, then merchant.

    Raises:
        HoldUnknown: The instalment is not funded yet.
        HoldClosedOtherwise: The hold was released before; a person must look.
    """
    now = deps.clock.now()
    known = await merchant_terms.on_day(
        conn, {event.merchant_id for event in dispatched}, day_in_china(now)
    )

    def close(hold: Hold, event: ShipmentDispatched) -> _Closing:
        terms = known.get(event.merchant_id)
        captured = capture(hold, event.shipment_id, amount_fen=hold.amount_fen, now=now)
        cost_fen = supply_cost(
            terms,
            amount_fen=captured.captured_fen,
            told_fen=event.supply_cost_fen,
            items=((item.sku, item.quantity) for item in event.items),
        )
        shares = split_sale(
            captured.captured_fen,
            supply_cost_fen=cost_fen,
            fee_per_mille=terms.fee_per_mille if terms else deps.fee_per_mille,
        )
        moves = (*_sold(captured, shares, deps.supplier), *_freed(captured))
        return _Closing(captured, moves, _captured_news(captured, now))

    await _close_all(conn, dispatched, close, now=now)


async def release_holds(
    conn: Connection, cancelled: Sequence[ShipmentCancelled], deps: Deps
) -> None:
    """
    Free what was held for parcels that will not come.

    Raises:
        HoldUnknown: The instalment is not funded yet.
        HoldClosedOtherwise: The parcel had left before; a person must look.
    """
    now = deps.clock.now()

    def close(hold: Hold, event: ShipmentCancelled) -> _Closing:
        released = release(hold, event.shipment_id, now=now)
        return _Closing(released, _freed(released), (_released(released, now),))

    await _close_all(conn, cancelled, close, now=now)


async def _close_all(
    conn: Connection,
    events: Sequence[Ended],
    close: Callable[[Hold, Ended], _Closing],
    *,
    now: datetime,
) -> None:
    books = await ledgers.lock(conn, [(e.merchant_id, e.agreement_id) for e in events])
    open_holds = await holds.lock(conn, [(e.merchant_id, e.instalment_id) for e in events])
    closings: list[_Closing] = []
    for event in events:
        hold = open_holds.get((event.merchant_id, event.instalment_id))
        if hold is None:
            raise HoldUnknown("Nothing is held.", instalment_id=str(event.instalment_id))
        closing = close(hold, event)
        if closing.hold == hold:
            continue
        key = (hold.merchant_id, hold.agreement_id)
        if key not in books:
            raise LedgerUnknown("No such ledger.", agreement_id=str(event.agreement_id))
        books[key] = without(books[key], closing.hold)
        open_holds[hold.merchant_id, hold.instalment_id] = closing.hold
        closings.append(closing)
    if not closings:
        return
    touched = sorted({(c.hold.merchant_id, c.hold.agreement_id) for c in closings})
    await holds.save(conn, [closing.hold for closing in closings])
    await ledgers.save(conn, [books[key] for key in touched])
    written: list[Transfer] = await write_transfers(
        conn, (move for closing in closings for move in closing.transfers)
    )
    await outbox.add(conn, *(event for closing in closings for event in closing.news))
    ended = [key for key in touched if books[key].ended_as]
    settled: list[Transfer] = await settle_agreements(conn, ended, now=now)
    await accounts.move(conn, [*written, *settled])
    log.info("holds.closed", holds=len(closings), agreements=len(touched))


def _spent(hold: Hold, kind: TransferKind, to: str, amount_fen: int) -> Transfer:
    assert hold.closed_at is not None
    return Transfer(
        merchant_id=hold.merchant_id,
        cause_id=hold.instalment_id,
        kind=kind,
        debit_account=chart.wallet(hold.customer_id, chart.Purse.HELD),
        credit_account=to,
        amount_fen=amount_fen,
        customer_id=hold.customer_id,
        agreement_id=hold.agreement_id,
        occurred_at=hold.closed_at,
    )


def _sold(hold: Hold, shares: Shares, supplier: str) -> tuple[Transfer, ...]:
    """Pay each share by bonus and by principal, pro rata: who earns sees no difference."""
    bonus = bonus_part(shares, hold.captured_bonus_fen)
    supply = chart.supplier(supplier)
    rows = (
        (TransferKind.BONUS_CAPTURED, TransferKind.CAPTURED, chart.MERCHANT_PAYABLE),
        (TransferKind.BONUS_CAPTURED_FEE, TransferKind.CAPTURED_FEE, chart.PLATFORM_FEE),
        (TransferKind.BONUS_CAPTURED_SUPPLY, TransferKind.CAPTURED_SUPPLY, supply),
    )
    wholes = (shares.merchant_fen, shares.fee_fen, shares.supply_fen)
    parts = (bonus.merchant_fen, bonus.fee_fen, bonus.supply_fen)
    return tuple(
        _spent(hold, kind, to, amount_fen)
        for (by_bonus, by_principal, to), whole_fen, part_fen in zip(
            rows, wholes, parts, strict=True
        )
        for kind, amount_fen in ((by_bonus, part_fen), (by_principal, whole_fen - part_fen))
    )


def _freed(hold: Hold) -> tuple[Transfer, ...]:
    bonus_fen = hold.freed_bonus_fen
    principal = chart.wallet(hold.customer_id, chart.Purse.PRINCIPAL)
    bonus = chart.wallet(hold.customer_id, chart.Purse.BONUS)
    return (
        _spent(hold, TransferKind.RELEASED, principal, hold.freed_fen - bonus_fen),
        _spent(hold, TransferKind.BONUS_RELEASED, bonus, bonus_fen),
    )


def _captured_news(hold: Hold, now: datetime) -> tuple[Event, ...]:
    captured = HoldCaptured(
        event_id=new_id(),
        occurred_at=now,
        hold_id=hold.hold_id,
        instalment_id=hold.instalment_id,
        agreement_id=hold.agreement_id,
        merchant_id=hold.merchant_id,
        customer_id=hold.customer_id,
        amount_fen=hold.captured_fen,
        bonus_fen=hold.captured_bonus_fen,
    )
    return (captured,) if not hold.freed_fen else (captured, _released(hold, now))


def _released(hold: Hold, now: datetime) -> HoldReleased:
    return HoldReleased(
        event_id=new_id(),
        occurred_at=now,
        hold_id=hold.hold_id,
        instalment_id=hold.instalment_id,
        agreement_id=hold.agreement_id,
        merchant_id=hold.merchant_id,
        customer_id=hold.customer_id,
        amount_fen=hold.freed_fen,
    )
