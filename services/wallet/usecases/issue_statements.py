"""Days and months of each merchant are stated and closed for good."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.wallet.contract import StatementIssued
from services.wallet.contract.merchant_states import MoneySubject, StatementPeriod
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.advance import interest_of_day
from services.wallet.domain.statement import (
    ONE_INSTANT,
    Figures,
    Statement,
    Sums,
    add_up,
    bonus_consumed,
    end_of,
    figures_of,
    month_from,
    month_of,
    statement_id,
)
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, advances, merchant_money, merchant_terms, statements
from services.wallet.usecases.write_transfers import write_transfers
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import derived_id
from shared.money import share_of

log = structlog.get_logger()

LOOK_BACK: Final = timedelta(days=62)
"""How late a transfer may become known; the daily proof finds an older one without a statement."""


async def issue_statements(deps: Deps) -> int:
    """
    State every day that has ended, then every month; return how many statements were issued.

    Each statement is one transaction.  What became known after its day was stated is in the
    next statement.  Safe to repeat, and after days of rest.
    """
    now = deps.clock.now()
    yesterday = day_in_china(now) - timedelta(days=1)
    issued = await _accrue(deps, yesterday)
    async with deps.db.connection() as conn:
        since = end_of(yesterday) - LOOK_BACK
        todo = await statements.days_open(conn, since=since, until=end_of(yesterday))
    for day, merchant_id in sorted({*todo, *((yesterday, who) for _, who in todo)}):
        async with deps.db.transaction() as conn:
            issued += await issue_day(conn, merchant_id, day, now=now)
    async with deps.db.connection() as conn:
        months = await statements.months_open(conn, day_in_china(now))
    for month, merchant_id in months:
        async with deps.db.transaction() as conn:
            issued += await issue_month(conn, merchant_id, month, now=now)
    return issued


async def _accrue(deps: Deps, through: date) -> int:
    """Add each day's interest, dated at that day's end, so that its statement has it."""
    async with deps.db.connection() as conn:
        owing = await advances.merchants_owing(conn)
    for merchant_id in owing:
        async with deps.db.transaction() as conn:
            await merchant_money.lock(conn, merchant_id)
            await _accrue_merchant(conn, merchant_id, through, partner=deps.partner_name)
    return 0


async def _accrue_merchant(
    conn: Connection, merchant_id: UUID, through: date, *, partner: str
) -> None:
    moves, changed = [], []
    for drawn in await advances.lock_open(conn, merchant_id):
        advance = drawn
        assert advance.accrued_through is not None, "it was drawn on a day"
        while advance.accrued_through is not None and advance.accrued_through < through:
            day = advance.accrued_through + timedelta(days=1)
            fen = interest_of_day(advance.outstanding_fen, interest_ppm=advance.interest_ppm)
            moves.append(
                Transfer(
                    merchant_id=merchant_id,
                    cause_id=derived_id("interest", advance.advance_id, day),
                    kind=TransferKind.ADVANCE_INTEREST,
                    debit_account=chart.ADVANCE,
                    credit_account=chart.partner(partner),
                    amount_fen=fen,
                    occurred_at=end_of(day) - ONE_INSTANT,
                )
            )
            advance = replace(advance, interest_fen=advance.interest_fen + fen, accrued_through=day)
        if advance is not drawn:
            changed.append(advance)
    await advances.save(conn, changed)
    await accounts.move(conn, await write_transfers(conn, moves))


async def issue_day(conn: Connection, merchant_id: UUID, day: date, *, now: datetime) -> int:
    """
    State one merchant's *day* with all that no statement has yet; return how many (0 or 1).

    The last day of a month also brings what terms give for the month.
    """
    await merchant_money.lock(conn, merchant_id)
    last = await statements.last(conn, merchant_id, StatementPeriod.DAY)
    if last is not None and last.from_day >= day:
        return 0
    since, until = end_of(day) - LOOK_BACK, end_of(day)
    open_sums = await statements.open_sums(conn, merchant_id, since=since, until=until)
    if not open_sums:
        return 0
    await _give_and_take(conn, merchant_id, day, open_sums)
    this = statement_id(merchant_id, StatementPeriod.DAY, day)
    await statements.take_lines(conn, merchant_id, this, since=since, until=until)
    sums, transfers, digest = await statements.sums_of(conn, merchant_id, this)
    opening_fen = last.payable_fen if last else 0
    statement = Statement(
        merchant_id=merchant_id,
        period=StatementPeriod.DAY,
        from_day=day,
        to_day=day,
        figures=figures_of(sums),
        opening_fen=opening_fen,
        payable_fen=opening_fen + sum(one.payable for one in sums.values()),
        transfers=transfers,
        lines_digest=digest,
        previous=last.digest if last else "",
        issued_at=now,
    )
    await _issue(conn, statement)
    return 1


async def issue_month(conn: Connection, merchant_id: UUID, month: date, *, now: datetime) -> int:
    """State the month that begins with *month*, whose days are stated; return how many."""
    await merchant_money.lock(conn, merchant_id)
    first, until = month_of(month)
    days = await statements.days_between(conn, merchant_id, first, until)
    last = await statements.last(conn, merchant_id, StatementPeriod.MONTH)
    if not days or (last is not None and last.from_day >= first):
        return 0
    await _issue(conn, month_from(days, previous=last.digest if last else "", now=now))
    return 1


async def _issue(conn: Connection, statement: Statement) -> None:
    await statements.add(conn, statement)
    await merchant_money.note(
        conn,
        statement.merchant_id,
        MoneySubject.STATEMENT,
        statement.statement_id,
        "issued",
        actor="clock",
        now=statement.issued_at,
        digest=statement.digest,
        payable_fen=statement.payable_fen,
    )
    figures = asdict(statement.figures)
    await outbox.add(
        conn,
        StatementIssued(
            event_id=derived_id("statement.issued", statement.statement_id),
            occurred_at=statement.issued_at,
            statement_id=statement.statement_id,
            merchant_id=statement.merchant_id,
            period=statement.period,
            from_day=statement.from_day,
            to_day=statement.to_day,
            opening_fen=statement.opening_fen,
            payable_fen=statement.payable_fen,
            digest=statement.digest,
            **{
                name: figures[name]
                for name in (
                    "collected_fen",
                    "delivered_fen",
                    "platform_fee_fen",
                    "supply_cost_fen",
                    "rail_fee_fen",
                    "advance_repaid_fen",
                    "refunded_fen",
                    "paid_out_fen",
                )
            },
        ),
    )
    log.info(
        "statement.issued",
        merchant_id=str(statement.merchant_id),
        period=statement.period,
        day=statement.from_day.isoformat(),
        transfers=statement.transfers,
    )


async def _give_and_take(
    conn: Connection, merchant_id: UUID, day: date, open_sums: Mapping[TransferKind, Sums]
) -> None:
    """Book what a statement itself moves: the merchant's own bonus, and terms' rewards."""
    consumed_fen = bonus_consumed(open_sums)
    moves = [
        _stated(
            merchant_id,
            day,
            TransferKind.PROMOTION_BORNE,
            *_turned(chart.MERCHANT_PAYABLE, chart.PROMOTION, consumed_fen),
        )
    ]
    first, last = month_of(day)
    if day == last:
        stated = await statements.days_between(conn, merchant_id, first, last)
        moves += await _rewards(conn, merchant_id, day, _plus(add_up(stated), open_sums))
    await accounts.move(conn, await write_transfers(conn, moves))


def _plus(figures: Figures, open_sums: Mapping[TransferKind, Sums]) -> Figures:
    more = figures_of(open_sums)
    return replace(
        figures,
        delivered_fen=figures.delivered_fen + more.delivered_fen,
        supply_cost_fen=figures.supply_cost_fen + more.supply_cost_fen,
    )


async def _rewards(
    conn: Connection, merchant_id: UUID, day: date, month: Figures
) -> list[Transfer]:
    """
    Return the month's renewal bonus (from the platform's fee) and rebate (from the supplier).

    Neither exceeds what the account that pays it has.
    """
    terms = (await merchant_terms.on_day(conn, [merchant_id], day)).get(merchant_id)
    if terms is None:
        return []
    bonus_fen = share_of(max(0, month.delivered_fen), per_mille=terms.renewal_bonus_per_mille)
    rebate_fen = share_of(max(0, month.supply_cost_fen), per_mille=terms.supply_rebate_per_mille)
    suppliers = await accounts.of_suppliers(conn, merchant_id)
    has = await accounts.balances(conn, merchant_id, [chart.PLATFORM_FEE])
    moves = [
        _stated(
            merchant_id,
            day,
            TransferKind.RENEWAL_BONUS,
            chart.PLATFORM_FEE,
            chart.MERCHANT_PAYABLE,
            min(bonus_fen, max(0, has.get(chart.PLATFORM_FEE, 0))),
        )
    ]
    for code, balance_fen in suppliers[:1]:
        given_fen = min(rebate_fen, balance_fen)
        kind = TransferKind.SUPPLY_REBATE
        moves.append(_stated(merchant_id, day, kind, code, chart.MERCHANT_PAYABLE, given_fen))
    return moves


def _turned(debit: str, credit: str, amount_fen: int) -> tuple[str, str, int]:
    return (debit, credit, amount_fen) if amount_fen >= 0 else (credit, debit, -amount_fen)


def _stated(
    merchant_id: UUID, day: date, kind: TransferKind, debit: str, credit: str, amount_fen: int
) -> Transfer:
    return Transfer(
        merchant_id=merchant_id,
        cause_id=statement_id(merchant_id, StatementPeriod.DAY, day),
        kind=kind,
        debit_account=debit,
        credit_account=credit,
        amount_fen=amount_fen,
        occurred_at=end_of(day) - ONE_INSTANT,
    )
