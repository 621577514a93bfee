"""Money that was collected goes into the pet wallet, and what the parcel costs is held."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from services.billing.contract import ChargeCollected
from services.wallet.contract import HoldPlaced, InstalmentFunded
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain.errors import BookedOtherwise
from services.wallet.domain.hold import amount_to_hold
from services.wallet.store import accounts, incoming, transfers
from services.wallet.store.incoming import Credit, Credited
from services.wallet.usecases.settle_agreements import settle_agreements
from shared import outbox
from shared.db import Connection
from shared.events import Event
from shared.ids import new_id

log = structlog.get_logger()


async def credit_wallets(conn: Connection, paid: Sequence[ChargeCollected], deps: Deps) -> None:
    """
    Credit each instalment once, hold its parcel's price, and tell that it is funded.

    Nothing is held for an agreement that has ended: such money is refunded at once.

    Raises:
        BookedOtherwise: An instalment was credited before from another trade.
    """
    now = deps.clock.now()
    firsts = {event.instalment_id: event for event in reversed(paid)}
    booked = await incoming.book(conn, [_credit(event) for event in firsts.values()], now=now)
    fresh = [(firsts[credited.instalment_id], credited) for credited in booked]
    if len(fresh) < len(paid):
        await _check_repeats(conn, paid, {event.event_id for event, _ in fresh})
    news = (told for event, credited in fresh for told in _news(event, credited, now=now))
    await outbox.add(conn, *news)
    ended = {(c.merchant_id, c.agreement_id) for c in booked if c.ended}
    await accounts.move(conn, await settle_agreements(conn, sorted(ended), now=now))
    log.info("wallets.credited", instalments=len(fresh), ended=len(ended))


async def _check_repeats(
    conn: Connection, paid: Sequence[ChargeCollected], fresh: set[UUID]
) -> None:
    for event in paid:
        if event.event_id in fresh:
            continue
        stood = await transfers.of_causes(conn, event.merchant_id, [event.instalment_id])
        terms = {(t.amount_fen, t.trade_no) for t in stood if t.kind is TransferKind.COLLECTED}
        if terms != {(event.amount_fen, event.trade_no)}:
            raise BookedOtherwise(
                "The instalment was credited from another trade.",
                instalment_id=str(event.instalment_id),
                trade_no=event.trade_no,
            )


def _credit(event: ChargeCollected) -> Credit:
    return Credit(
        merchant_id=event.merchant_id,
        instalment_id=event.instalment_id,
        agreement_id=event.agreement_id,
        customer_id=event.customer_id,
        hold_id=new_id(),
        rail=event.rail,
        trade_no=event.trade_no,
        periods=event.periods,
        amount_fen=event.amount_fen,
        hold_fen=_hold_fen(event),
        collected_at=event.collected_at,
    )


def _hold_fen(event: ChargeCollected) -> int | None:
    if not event.auto_ship:
        return None
    return amount_to_hold(event.hold_fen, amount_fen=event.amount_fen)


def _news(event: ChargeCollected, credited: Credited, *, now: datetime) -> Iterator[Event]:
    hold_id, hold_fen = credited.hold_id, credited.hold_fen
    yield InstalmentFunded(
        event_id=new_id(),
        occurred_at=now,
        instalment_id=event.instalment_id,
        agreement_id=event.agreement_id,
        merchant_id=event.merchant_id,
        customer_id=event.customer_id,
        pet_id=event.pet_id,
        seq=event.seq,
        periods=event.periods,
        amount_fen=event.amount_fen,
        hold_id=hold_id,
        hold_fen=hold_fen,
    )
    if hold_id:
        yield HoldPlaced(
            event_id=new_id(),
            occurred_at=now,
            hold_id=hold_id,
            instalment_id=event.instalment_id,
            agreement_id=event.agreement_id,
            merchant_id=event.merchant_id,
            customer_id=event.customer_id,
            amount_fen=hold_fen,
        )
