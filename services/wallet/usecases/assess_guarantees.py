"""Each merchant's guarantee deposit is measured, and who must know is told when it changes."""

from datetime import date, datetime, timedelta
from uuid import UUID

import structlog

from services.wallet.contract import DepositShort, DepositSufficient
from services.wallet.contract.merchant_states import MoneySubject
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.guarantee import Obligations, last_quarter_end, required_fen
from services.wallet.domain.merchant_terms import MerchantTerms
from services.wallet.domain.statement import end_of
from services.wallet.store import accounts, merchant_money, merchant_terms
from services.wallet.store.merchant_money import MerchantMoney
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import new_id

log = structlog.get_logger()

MONTH = timedelta(days=30)


async def assess_guarantees(deps: Deps) -> int:
    """
    Measure the deposit of every merchant that has terms; return how many changed their standing.

    Source: guarantee deposit, rule PW-11: the maximum of all rules, every night.
    """
    now = deps.clock.now()
    async with deps.db.connection() as conn:
        merchants = await merchant_terms.merchants_on(conn, day_in_china(now))
    changed = 0
    for merchant_id in merchants:
        async with deps.db.transaction() as conn:
            money = await merchant_money.lock(conn, merchant_id)
            changed += await assess(conn, money, now=now)
    return changed


async def assess(conn: Connection, money: MerchantMoney, *, now: datetime) -> bool:
    """Measure a locked merchant's deposit, keep and tell the outcome; True if it changed."""
    day = day_in_china(now)
    terms = (await merchant_terms.on_day(conn, [money.merchant_id], day)).get(money.merchant_id)
    needed = await _required(conn, money.merchant_id, terms, day) if terms else 0
    return await tell(conn, money, required=needed, now=now)


async def tell(conn: Connection, money: MerchantMoney, *, required: int, now: datetime) -> bool:
    """Compare a locked merchant's deposit with what is *required*; True if its standing changed."""
    has = await accounts.balances(conn, money.merchant_id, [chart.GUARANTEE])
    kept_fen = has.get(chart.GUARANTEE, 0)
    short = kept_fen < required
    await merchant_money.set_guarantee(
        conn, money.merchant_id, required_fen=required, short=short, now=now
    )
    if short is money.guarantee_short:
        return False
    event = DepositShort if short else DepositSufficient
    await outbox.add(
        conn,
        event(
            event_id=new_id(),
            occurred_at=now,
            merchant_id=money.merchant_id,
            required_fen=required,
            kept_fen=kept_fen,
        ),
    )
    await merchant_money.note(
        conn,
        money.merchant_id,
        MoneySubject.GUARANTEE,
        money.merchant_id,
        "short" if short else "sufficient",
        actor="clock",
        now=now,
        required_fen=required,
        kept_fen=kept_fen,
    )
    log.info(
        "guarantee.assessed",
        merchant_id=str(money.merchant_id),
        short=short,
        required_fen=required,
        kept_fen=kept_fen,
    )
    return True


async def _required(conn: Connection, merchant_id: UUID, terms: MerchantTerms, day: date) -> int:
    until = end_of(day - timedelta(days=1))
    past = await merchant_money.fulfilled_between(conn, merchant_id, until - MONTH, until)
    held = await merchant_money.open_holds(conn, merchant_id)
    quarter_end = last_quarter_end(day)
    balance = 0
    if terms.guarantee_balance_per_mille:
        balance = await merchant_money.quarter_balance(
            conn, merchant_id, quarter_end, until=end_of(quarter_end)
        )
    return required_fen(terms, Obligations(max(past, held), balance))
