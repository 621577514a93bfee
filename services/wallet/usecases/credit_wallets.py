"""Money that was collected goes into the pet wallet, and what the parcel costs is held."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from services.billing.contract import ChargeCollected, InstalmentGranted
from services.wallet.contract import HoldPlaced, InstalmentFunded
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain.entry import Credit, Credited, entered
from services.wallet.domain.errors import BookedOtherwise, GrantOfNothing
from services.wallet.domain.hold import amount_to_hold
from services.wallet.store import accounts, incoming, transfers
from services.wallet.usecases.settle_agreements import settle_agreements
from shared import outbox
from shared.db import Connection
from shared.events import Event
from shared.ids import new_id

log = structlog.get_logger()


Brought = ChargeCollected | InstalmentGranted


async def credit_wallets(conn: Connection, paid: Sequence[ChargeCollected], deps: Deps) -> None:
    """
    Credit each instalment once, hold its parcel's price, and tell that it is funded.

    What the merchant gives beside the money is bonus; what being late cost is the
    merchant's and never reaches the wallet.  Nothing is held for an agreement that has
    ended: such money is refunded at once.

    Raises:
        BookedOtherwise: An instalment was credited before from another trade.
    """
    await _bring(conn, paid, now=deps.clock.now())


async def grant_instalments(
    conn: Connection, granted: Sequence[InstalmentGranted], deps: Deps
) -> None:
    """
    Credit the bonus of free months, each once; hold and tell as if they had been paid.

    Raises:
        GrantOfNothing: There is no bonus in it.
        BookedOtherwise: An instalment was granted before with another bonus.
    """
    for event in granted:
        if event.bonus_fen <= 0:
            raise GrantOfNothing("Nothing is given.", instalment_id=str(event.instalment_id))
    await _bring(conn, granted, now=deps.clock.now())


async def _bring(conn: Connection, brought: Sequence[Brought], *, now: datetime) -> None:
    firsts = {event.instalment_id: event for event in reversed(brought)}
    asked = {event.instalment_id: _credit(event) for event in firsts.values()}
    booked = await incoming.book(conn, list(asked.values()), now=now)
    fresh = [(firsts[credited.instalment_id], credited) for credited in booked]
    if len(fresh) < len(brought):
        await _check_repeats(conn, brought, {event.event_id for event, _ in fresh})
    news = (told for event, credited in fresh for told in _news(event, credited, now=now))
    await outbox.add(conn, *news)
    ended = {(c.merchant_id, c.agreement_id) for c in booked if c.ended}
    settled = await settle_agreements(conn, sorted(ended), now=now)
    late = [
        move
        for credited in booked
        if not credited.moved
        for move in entered(asked[credited.instalment_id], credited, now=now)
    ]
    await accounts.move(conn, [*late, *settled])
    log.info("wallets.credited", instalments=len(fresh), ended=len(ended))


async def _check_repeats(conn: Connection, brought: Sequence[Brought], fresh: set[UUID]) -> None:
    for event in brought:
        if event.event_id in fresh:
            continue
        stood = await transfers.of_causes(conn, event.merchant_id, [event.instalment_id])
        found = {(t.kind, t.amount_fen, t.trade_no) for t in stood if t.kind in _ENTERING}
        credit = _credit(event)
        wanted = {
            (kind, amount_fen, None if kind is TransferKind.BONUS_GRANTED else credit.trade_no)
            for kind, amount_fen in (
                (TransferKind.COLLECTED, credit.principal_fen),
                (TransferKind.BONUS_GRANTED, credit.bonus_fen),
                (TransferKind.PENALTY_KEPT, credit.penalty_fen),
            )
            if amount_fen
        }
        if found != wanted:
            raise BookedOtherwise(
                "The instalment was credited from another trade.",
                instalment_id=str(event.instalment_id),
                trade_no=credit.trade_no,
            )


_ENTERING: Final = (
    TransferKind.COLLECTED,
    TransferKind.BONUS_GRANTED,
    TransferKind.PENALTY_KEPT,
)


def _credit(event: Brought) -> Credit:
    paid = event if isinstance(event, ChargeCollected) else None
    penalty_fen = paid.penalty_fen if paid else 0
    principal_fen = paid.amount_fen - penalty_fen if paid else 0
    return Credit(
        merchant_id=event.merchant_id,
        instalment_id=event.instalment_id,
        agreement_id=event.agreement_id,
        customer_id=event.customer_id,
        hold_id=new_id(),
        rail=paid.rail if paid else None,
        trade_no=paid.trade_no if paid else None,
        seq=event.seq,
        periods=event.periods,
        principal_fen=principal_fen,
        bonus_fen=event.bonus_fen,
        penalty_fen=penalty_fen,
        hold_fen=_hold_fen(event, principal_fen + event.bonus_fen),
        collected_at=event.collected_at if isinstance(event, ChargeCollected) else event.granted_at,
    )


def _hold_fen(event: Brought, amount_fen: int) -> int | None:
    if not event.auto_ship or event.seq < 1:
        return None
    return amount_to_hold(event.hold_fen, amount_fen=amount_fen)


def _news(event: Brought, credited: Credited, *, now: datetime) -> Iterator[Event]:
    hold_id, hold_fen = credited.hold_id, credited.hold_fen
    penalty_fen = event.penalty_fen if isinstance(event, ChargeCollected) else 0
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
        amount_fen=event.amount_fen - penalty_fen + event.bonus_fen,
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
