"""Each morning what merchants have earned is divided: advance, deposit, payout."""

from datetime import datetime
from uuid import UUID

import structlog

from services.wallet.contract.merchant_states import (
    Beneficiary,
    MoneySubject,
    PayoutState,
    StatementPeriod,
)
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.advance import repay
from services.wallet.domain.payout import Payout, booked
from services.wallet.domain.settling import Distribution, Position, distribute
from services.wallet.domain.transfer import Transfer
from services.wallet.store import (
    accounts,
    advances,
    days,
    merchant_money,
    merchant_terms,
    payouts,
    statements,
)
from services.wallet.store.merchant_money import MerchantMoney
from services.wallet.usecases.assess_guarantees import tell
from services.wallet.usecases.write_transfers import write_transfers
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import derived_id

log = structlog.get_logger()


async def settle_merchants(deps: Deps) -> int:
    """
    Divide what merchants have at the supervised account; return how many had something to do.

    Once a day and merchant: what it books is named after the day.  Nobody is asked to pay
    here; the payouts written are sent after the commit.
    """
    now = deps.clock.now()
    async with deps.db.connection() as conn:
        merchants = await accounts.merchants_with_money(conn)
    done = 0
    for merchant_id in merchants:
        async with deps.db.transaction(quiet=True) as conn:
            done += await settle_merchant(conn, merchant_id, deps, now=now)
    if done:
        deps.db.committed.ring()
    return done


async def settle_merchant(
    conn: Connection, merchant_id: UUID, deps: Deps, *, now: datetime
) -> bool:
    """Divide one merchant's money; False if there was nothing to do."""
    money = await merchant_money.lock(conn, merchant_id)
    day = day_in_china(now)
    terms = (await merchant_terms.on_day(conn, [merchant_id], day)).get(merchant_id)
    position = await position_of(conn, money, deps)
    plan = distribute(position, terms)
    moves = await write_transfers(conn, await _inside(conn, money, plan, now=now))
    orders = [
        payout for payout in _orders(money, plan, deps, now=now) if await payouts.add(conn, payout)
    ]
    moves += await write_transfers(conn, (booked(payout) for payout in orders))
    await accounts.move(conn, moves)
    for payout in orders:
        await note_payout(conn, payout, "prepared", now=now)
    if plan.keep_fen:
        await tell(conn, money, required=money.guarantee_required_fen, now=now)
    return bool(moves)


async def position_of(conn: Connection, money: MerchantMoney, deps: Deps) -> Position:
    """Return how one merchant's money stands."""
    merchant_id = money.merchant_id
    supplier, partner = chart.supplier(deps.supplier), chart.partner(deps.partner_name)
    has = await accounts.balances(
        conn,
        merchant_id,
        [
            chart.MERCHANT_PAYABLE,
            chart.SUPERVISED,
            chart.GUARANTEE,
            chart.ADVANCE,
            supplier,
            partner,
        ],
    )
    last = await statements.last(conn, merchant_id, StatementPeriod.DAY)
    return Position(
        payable_fen=has.get(chart.MERCHANT_PAYABLE, 0),
        stated_fen=last.payable_fen if last else 0,
        undelivered_fen=await days.undelivered_fen(conn, merchant_id),
        supervised_fen=has.get(chart.SUPERVISED, 0),
        guarantee_fen=has.get(chart.GUARANTEE, 0),
        required_fen=money.guarantee_required_fen,
        advance_fen=has.get(chart.ADVANCE, 0),
        partner_fen=has.get(partner, 0),
        supplier_fen=has.get(supplier, 0),
    )


async def note_payout(conn: Connection, payout: Payout, move: str, *, now: datetime) -> None:
    """Add a payout's move to the history of the merchant's money."""
    await merchant_money.note(
        conn,
        payout.merchant_id,
        MoneySubject.PAYOUT,
        payout.payout_id,
        move,
        actor="clock",
        now=now,
        beneficiary=payout.beneficiary,
        amount_fen=payout.amount_fen,
        failure=payout.failure,
    )


async def _inside(
    conn: Connection, money: MerchantMoney, plan: Distribution, *, now: datetime
) -> list[Transfer]:
    """Return the moves inside the books, and keep what they repay."""
    merchant_id, day = money.merchant_id, day_in_china(now)
    moves = [
        Transfer(
            merchant_id=merchant_id,
            cause_id=derived_id("guarantee", merchant_id, day),
            kind=TransferKind.GUARANTEE_KEPT,
            debit_account=chart.MERCHANT_PAYABLE,
            credit_account=chart.GUARANTEE,
            amount_fen=plan.keep_fen,
            occurred_at=now,
        )
    ]
    if not plan.repay_fen:
        return moves
    parts = repay(await advances.lock_open(conn, merchant_id), plan.repay_fen)
    await advances.save(conn, [advance for advance, _ in parts])
    return moves + [
        Transfer(
            merchant_id=merchant_id,
            cause_id=derived_id("repayment", advance.advance_id, day),
            kind=TransferKind.ADVANCE_REPAID,
            debit_account=chart.MERCHANT_PAYABLE,
            credit_account=chart.ADVANCE,
            amount_fen=part,
            occurred_at=now,
        )
        for advance, part in parts
    ]


def _orders(money: MerchantMoney, plan: Distribution, deps: Deps, *, now: datetime) -> list[Payout]:
    """Return the payouts of *plan* to those whose account is known."""
    wanted = (
        (
            Beneficiary.PARTNER,
            chart.partner(deps.partner_name),
            deps.partner_name,
            plan.to_partner_fen,
        ),
        (
            Beneficiary.SUPPLIER,
            chart.supplier(deps.supplier),
            deps.supplier_account_ref,
            plan.to_supplier_fen,
        ),
        (
            Beneficiary.MERCHANT,
            chart.MERCHANT_PAYABLE,
            money.account_ref or "",
            plan.to_merchant_fen,
        ),
    )
    return [
        _order(money.merchant_id, beneficiary, account, ref, fen, now)
        for beneficiary, account, ref, fen in wanted
        if ref and fen
    ]


def _order(
    merchant_id: UUID, beneficiary: Beneficiary, account: str, ref: str, fen: int, now: datetime
) -> Payout:
    day = day_in_china(now)
    return Payout(
        merchant_id=merchant_id,
        payout_id=derived_id("payout", merchant_id, beneficiary, day),
        beneficiary=beneficiary,
        account=account,
        account_ref=ref,
        amount_fen=fen,
        day=day,
        state=PayoutState.PREPARED,
        created_at=now,
        next_at=now,
    )
