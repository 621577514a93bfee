"""Money that was collected goes into the pet wallet, and what the parcel costs is held."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import structlog

from services.billing.contract import ChargeCollected
from services.wallet.contract import HoldPlaced, InstalmentFunded
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.errors import BookedOtherwise
from services.wallet.domain.hold import Hold, amount_to_hold, hold_of
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, holds, ledgers, transfers
from services.wallet.store.ledgers import Credit, LedgerKey
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
    booked = await transfers.add_new(conn, [_collected(event) for event in paid])
    fresh = _fresh(paid, booked)
    await _check_repeats(conn, paid, fresh)
    if not fresh:
        return
    ended = await ledgers.credit(conn, _credits(fresh))
    placed = [
        _hold(event, now)
        for event in fresh
        if event.auto_ship and (event.merchant_id, event.agreement_id) not in ended
    ]
    await holds.add(conn, placed)
    held = await transfers.add_new(conn, [_held(hold) for hold in placed if hold.amount_fen])
    await outbox.add(conn, *_news(fresh, {hold.instalment_id: hold for hold in placed}, now))
    settled = await settle_agreements(conn, sorted(ended), now=now)
    await accounts.move(conn, [*booked, *held, *settled])
    log.info("wallets.credited", instalments=len(fresh), holds=len(placed), ended=len(ended))


def _fresh(paid: Sequence[ChargeCollected], booked: Sequence[Transfer]) -> list[ChargeCollected]:
    first: dict[tuple[UUID, UUID], ChargeCollected] = {}
    for event in paid:
        first.setdefault((event.merchant_id, event.instalment_id), event)
    return [first[transfer.merchant_id, transfer.cause_id] for transfer in booked]


async def _check_repeats(
    conn: Connection, paid: Sequence[ChargeCollected], fresh: Sequence[ChargeCollected]
) -> None:
    new = {event.event_id for event in fresh}
    for event in paid:
        if event.event_id in new:
            continue
        stood = await transfers.of_causes(conn, event.merchant_id, [event.instalment_id])
        terms = {(t.amount_fen, t.trade_no) for t in stood if t.kind is TransferKind.COLLECTED}
        if terms != {(event.amount_fen, event.trade_no)}:
            raise BookedOtherwise(
                "The instalment was credited from another trade.",
                instalment_id=str(event.instalment_id),
                trade_no=event.trade_no,
            )


def _credits(fresh: Sequence[ChargeCollected]) -> list[Credit]:
    by_agreement: dict[LedgerKey, list[ChargeCollected]] = {}
    for event in fresh:
        by_agreement.setdefault((event.merchant_id, event.agreement_id), []).append(event)
    return [_credit(events) for events in by_agreement.values()]


def _credit(events: Sequence[ChargeCollected]) -> Credit:
    first = events[0]
    shipped = [event for event in events if event.auto_ship]
    return Credit(
        merchant_id=first.merchant_id,
        agreement_id=first.agreement_id,
        customer_id=first.customer_id,
        rail=first.rail,
        periods=first.periods,
        periods_paid=len(events),
        amount_fen=sum(event.amount_fen for event in events),
        hold_fen=sum(_hold_fen(event) for event in shipped),
        holds=len(shipped),
    )


def _hold_fen(event: ChargeCollected) -> int:
    return amount_to_hold(event.hold_fen, amount_fen=event.amount_fen)


def _hold(event: ChargeCollected, now: datetime) -> Hold:
    return Hold(
        merchant_id=event.merchant_id,
        hold_id=hold_of(event.instalment_id),
        instalment_id=event.instalment_id,
        agreement_id=event.agreement_id,
        customer_id=event.customer_id,
        amount_fen=_hold_fen(event),
        placed_at=now,
    )


def _collected(event: ChargeCollected) -> Transfer:
    return Transfer(
        merchant_id=event.merchant_id,
        cause_id=event.instalment_id,
        kind=TransferKind.COLLECTED,
        debit_account=chart.rail(event.rail),
        credit_account=chart.wallet(event.customer_id, chart.Purse.PRINCIPAL),
        amount_fen=event.amount_fen,
        customer_id=event.customer_id,
        agreement_id=event.agreement_id,
        occurred_at=event.collected_at,
        trade_no=event.trade_no,
    )


def _held(hold: Hold) -> Transfer:
    return Transfer(
        merchant_id=hold.merchant_id,
        cause_id=hold.instalment_id,
        kind=TransferKind.HELD,
        debit_account=chart.wallet(hold.customer_id, chart.Purse.PRINCIPAL),
        credit_account=chart.wallet(hold.customer_id, chart.Purse.HELD),
        amount_fen=hold.amount_fen,
        customer_id=hold.customer_id,
        agreement_id=hold.agreement_id,
        occurred_at=hold.placed_at,
    )


def _news(
    fresh: Sequence[ChargeCollected], placed: dict[UUID, Hold], now: datetime
) -> Iterable[Event]:
    for event in fresh:
        hold = placed.get(event.instalment_id)
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
            hold_id=hold.hold_id if hold else None,
            hold_fen=hold.amount_fen if hold else 0,
        )
        if hold:
            yield HoldPlaced(
                event_id=new_id(),
                occurred_at=now,
                hold_id=hold.hold_id,
                instalment_id=hold.instalment_id,
                agreement_id=hold.agreement_id,
                merchant_id=hold.merchant_id,
                customer_id=hold.customer_id,
                amount_fen=hold.amount_fen,
            )
