"""Rails have paid out a day, and parcels have arrived: the supervised account's mirror."""

from collections.abc import Sequence

import structlog

from services.billing.contract import DayReconciled
from services.fulfillment.contract import ShipmentDelivered
from services.wallet.contract.merchant_states import BorneBy
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.errors import BookedOtherwise
from services.wallet.domain.merchant_terms import MerchantTerms
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, days, merchant_terms
from services.wallet.usecases.write_transfers import write_transfers
from shared.calendar import day_in_china
from shared.db import Connection

log = structlog.get_logger()


async def book_reconciled_day(conn: Connection, told: DayReconciled, deps: Deps) -> None:
    """
    Book what a rail paid into the supervised account for a day, and what it kept; once.

    On a day with more refunds than charges the rail takes the difference back.

    Raises:
        BookedOtherwise: This day was booked before with other amounts.
    """
    if not await days.add_reconciled(conn, told, now=deps.clock.now()):
        if await days.reconciled(conn, told) != (
            told.captured_fen,
            told.refunded_fen,
            told.fee_fen,
        ):
            raise BookedOtherwise(
                "This day was booked with other amounts.",
                reconciliation_id=str(told.reconciliation_id),
            )
        return
    today = day_in_china(deps.clock.now())
    terms = (await merchant_terms.on_day(conn, [told.merchant_id], today)).get(told.merchant_id)
    written = await write_transfers(conn, settled(told, terms))
    await accounts.move(conn, written)
    log.info("day.settled", rail=told.rail, day=told.day.isoformat(), transfers=len(written))


async def note_deliveries(
    conn: Connection,
    delivered: Sequence[ShipmentDelivered],
    deps: Deps,  # noqa: ARG001
) -> None:
    """Keep that parcels arrived, also before their dispatch was heard; safe to repeat."""
    await days.add_deliveries(conn, delivered)


def settled(told: DayReconciled, terms: MerchantTerms | None) -> tuple[Transfer, ...]:
    """Return the transfers of a reconciled day; those of nothing are left to the writer."""
    rail, kept = chart.rail(told.rail), chart.rail_fee(told.rail)
    net_fen = told.captured_fen - told.refunded_fen - told.fee_fen
    forth = net_fen >= 0
    moves = [
        _move(
            told,
            TransferKind.SETTLED if forth else TransferKind.SETTLED_BACK,
            chart.SUPERVISED if forth else rail,
            rail if forth else chart.SUPERVISED,
            abs(net_fen),
        ),
        _signed(told, TransferKind.RAIL_FEE, kept, rail),
    ]
    if terms is not None and terms.rail_fee_borne_by is BorneBy.MERCHANT:
        moves.append(_signed(told, TransferKind.FEE_BORNE, chart.MERCHANT_PAYABLE, kept))
    return tuple(moves)


def _signed(told: DayReconciled, kind: TransferKind, debit: str, credit: str) -> Transfer:
    """Return a move of the day's fee; a rail that gives fees back turns it round."""
    if told.fee_fen < 0:
        debit, credit = credit, debit
    return _move(told, kind, debit, credit, abs(told.fee_fen))


def _move(
    told: DayReconciled, kind: TransferKind, debit: str, credit: str, amount_fen: int
) -> Transfer:
    return Transfer(
        merchant_id=told.merchant_id,
        cause_id=told.reconciliation_id,
        kind=kind,
        debit_account=debit,
        credit_account=credit,
        amount_fen=amount_fen,
        occurred_at=told.occurred_at,
    )
