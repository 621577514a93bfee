"""A customer pays several instalments, or all: one payment at the rail for each, in one order."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.attempt import Attempt
from services.billing.domain.errors import (
    AgreementUnknown,
    AmountDiffers,
    InstalmentsForeign,
    NothingToPay,
    QuoteOutdated,
)
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import UNPAID, Instalment
from services.billing.domain.lines import interest_ahead_fen, without_interest
from services.billing.store import agreements, attempts, changes, history, instalments, orders
from services.billing.store import lines as line_rows
from services.billing.store.changes import WaitingTerms
from services.billing.store.orders import Order, Quote
from services.billing.usecases.change_schedule import schedule_changed
from services.billing.usecases.owed_now import owed_now
from services.billing.usecases.pay_now import open_at_rail, prepare_payment
from shared import outbox
from shared.calendar import day_in_china
from shared.db import Connection
from shared.ids import derived_id, new_id

QUOTE_LIFE: Final = timedelta(hours=24)
"""A quote of an early settlement holds for a day (rule CR-16)."""

EARLY: Final = "early_settlement"
LAPSED: Final = "settlement_lapsed"


@dataclass(frozen=True, slots=True)
class DueLine:
    """What one instalment costs when it is paid now, in fen."""

    instalment: Instalment
    base_fen: int
    penalty_fen: int
    interest_waived_fen: int

    @property
    def amount_fen(self) -> int:
        """Return what is to be paid."""
        return self.base_fen + self.penalty_fen - self.interest_waived_fen


async def all_due(
    conn: Connection, merchant_id: UUID, agreement_id: UUID, *, now: datetime
) -> list[DueLine]:
    """
    Return what every unpaid instalment costs now: no fee, no interest of days to come.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.

    Source: private lending interpretation, article 30 (rule CR-16).
    """
    agreement = await _find(conn, merchant_id, agreement_id)
    rows = await instalments.of_agreement(conn, agreement_id)
    unpaid = [one for one in rows if one.state in UNPAID and not one.is_free]
    return [await _due(conn, one, agreement, early=True, now=now) for one in unpaid]


async def quote_settlement(deps: Deps, merchant_id: UUID, agreement_id: UUID) -> Quote:
    """
    Return what paying everything now comes to, valid for a day.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        NothingToPay: Nothing is unpaid.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        agreement = await _find(conn, merchant_id, agreement_id)
        due = await all_due(conn, merchant_id, agreement_id, now=now)
        if not due:
            raise NothingToPay("Nothing is unpaid.", state=agreement.state.value)
        quote = Quote(
            quote_id=new_id(),
            agreement_id=agreement_id,
            merchant_id=merchant_id,
            customer_id=agreement.customer_id,
            lines=[_as_json(line) for line in due],
            total_fen=sum(line.amount_fen for line in due),
            quoted_at=now,
            valid_until=now + QUOTE_LIFE,
        )
        await orders.add_quote(conn, quote)
    return quote


async def pay_several(
    deps: Deps,
    merchant_id: UUID,
    agreement_id: UUID,
    *,
    instalment_ids: Sequence[UUID] = (),
    quote_id: UUID | None = None,
    total_fen: int,
) -> Order:
    """
    Open a payment of each chosen instalment; the same choice gives the same open payments.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        InstalmentsForeign: One is not of this agreement.
        NothingToPay: One is paid, or need not be paid any more.
        AmountDiffers: *total_fen* is not the exact sum; the facts name it.  Kept on record.
        QuoteUnknown, QuoteOutdated: There is no such quote, or it holds no longer.
        ChargeUnderWay, MandateUnknown, PaymentRefused, PaymentUnclear: As for one payment.
    """
    now = deps.clock.now()
    try:
        async with deps.db.transaction() as conn:
            order, prepared = await _prepare(
                conn,
                merchant_id,
                agreement_id,
                list(dict.fromkeys(instalment_ids)),
                quote_id,
                total_fen,
                now=now,
            )
    except (AmountDiffers, QuoteOutdated) as refused:
        due_fen = refused.facts.get("amount_due_fen")
        async with deps.db.transaction() as conn:
            await orders.refuse(
                conn,
                agreement_id=agreement_id,
                merchant_id=merchant_id,
                code=refused.code,
                asked_fen=total_fen,
                due_fen=due_fen if isinstance(due_fen, int) else 0,
                now=now,
            )
        raise
    answers = await asyncio.gather(
        *(open_at_rail(deps, attempt) for attempt in prepared), return_exceptions=True
    )
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return order


async def _prepare(
    conn: Connection,
    merchant_id: UUID,
    agreement_id: UUID,
    chosen: Sequence[UUID],
    quote_id: UUID | None,
    total_fen: int,
    *,
    now: datetime,
) -> tuple[Order, list[Attempt]]:
    agreement = await agreements.lock(conn, agreement_id)
    if agreement.merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    if quote_id is None:
        due = await _chosen(conn, agreement, chosen, now=now)
    else:
        due = await _quoted(conn, agreement, quote_id, now=now)
    owed_fen = sum(line.amount_fen for line in due)
    if owed_fen != total_fen:
        raise AmountDiffers("An order is paid as a whole.", amount_due_fen=owed_fen)
    prepared = []
    for line in due:
        instalment = line.instalment
        if line.interest_waived_fen:
            agreement, instalment = await _waive(conn, agreement, line, now=now)
        prepared.append(
            await prepare_payment(conn, agreement, instalment, line.amount_fen, now=now)
        )
    if any(line.interest_waived_fen for line in due):
        agreement = replace(agreement, terms_no=agreement.terms_no + 1)
        await agreements.save(conn, [agreement])
        await outbox.add(conn, await schedule_changed(conn, agreement, EARLY, now=now))
    order = Order(
        order_id=derived_id("order", *(one.attempt_id for one in prepared)),
        agreement_id=agreement_id,
        merchant_id=merchant_id,
        customer_id=agreement.customer_id,
        quote_id=quote_id,
        total_fen=total_fen,
        ordered_at=now,
    )
    pairs = zip(due, prepared, strict=True)
    await orders.add(
        conn,
        order,
        [
            (one.instalment_id, one.attempt_id, line.instalment.seq, one.amount_fen)
            for line, one in pairs
        ],
    )
    return order, prepared


async def _chosen(
    conn: Connection, agreement: Agreement, chosen: Sequence[UUID], *, now: datetime
) -> list[DueLine]:
    rows = {
        one.instalment_id: one
        for one in await instalments.of_agreement(conn, agreement.agreement_id)
    }
    foreign = [str(one) for one in chosen if one not in rows]
    if foreign:
        raise InstalmentsForeign("Not of this agreement.", foreign=foreign)
    wanted = sorted((rows[one] for one in chosen), key=lambda one: one.seq)
    for one in wanted:
        if one.state not in UNPAID or one.is_free:
            raise NothingToPay("One of them is not to be paid.", state=one.state, seq=one.seq)
    return [await _due(conn, one, agreement, early=False, now=now) for one in wanted]


async def _quoted(
    conn: Connection, agreement: Agreement, quote_id: UUID, *, now: datetime
) -> list[DueLine]:
    quote = await orders.quote(conn, agreement.merchant_id, quote_id)
    due = await all_due(conn, agreement.merchant_id, agreement.agreement_id, now=now)
    # By instalment and amount: asked again, the payments stand open, their interest waived.
    told = [(line["instalment_id"], line["amount_fen"]) for line in quote.lines]
    same = told == [(str(line.instalment.instalment_id), line.amount_fen) for line in due]
    if quote.agreement_id != agreement.agreement_id or now > quote.valid_until or not same:
        raise QuoteOutdated(
            "This quote holds no longer; ask for another.",
            amount_due_fen=sum(line.amount_fen for line in due),
            valid_until=quote.valid_until.isoformat(),
        )
    return due


async def _due(
    conn: Connection, instalment: Instalment, agreement: Agreement, *, early: bool, now: datetime
) -> DueLine:
    standing = (await attempts.open_of(conn, [instalment.instalment_id])).values()
    for one in standing:
        # What an open payment asks was frozen when it was opened.
        return DueLine(instalment, one.amount_fen - one.penalty_fen, one.penalty_fen, 0)
    owed = await owed_now(conn, instalment, agreement, now=now)
    waived_fen = 0
    if early and instalment.due_on > day_in_china(now):
        made_of = await line_rows.of_instalment(conn, instalment.instalment_id)
        waived_fen = interest_ahead_fen(made_of)
    return DueLine(instalment, owed.base_fen, owed.penalty_fen, waived_fen)


async def _waive(
    conn: Connection, agreement: Agreement, line: DueLine, *, now: datetime
) -> tuple[Agreement, Instalment]:
    """Take the interest of days to come off; it comes back if the payment is not made."""
    before = line.instalment
    after = replace(before, amount_fen=before.amount_fen - line.interest_waived_fen)
    made_of = await line_rows.of_instalment(conn, before.instalment_id)
    await changes.save_terms(conn, [after])
    await line_rows.write(conn, {after.instalment_id: without_interest(made_of)}, [after])
    lapse = WaitingTerms(
        before.instalment_id,
        before.agreement_id,
        before.due_on,
        before.amount_fen,
        agreement.changes_heard,
        LAPSED,
        now,
    )
    await changes.let_wait(conn, [lapse])
    less = replace(agreement, total_fen=agreement.total_fen - line.interest_waived_fen)
    await agreements.save(conn, [less])
    about = before.instalment_id
    why = f"early settlement: {line.interest_waived_fen} fen of interest to come waived"
    move = Move("instalment", about, about, before.state, before.state, Actor.CUSTOMER, why, now)
    await history.add(conn, [move])
    return less, after


async def _find(conn: Connection, merchant_id: UUID, agreement_id: UUID) -> Agreement:
    found = await agreements.by_ids(conn, [agreement_id])
    if not found or found[0].merchant_id != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return found[0]


def _as_json(line: DueLine) -> dict[str, object]:
    return {
        "instalment_id": str(line.instalment.instalment_id),
        "seq": line.instalment.seq,
        "base_fen": line.base_fen,
        "penalty_fen": line.penalty_fen,
        "interest_waived_fen": line.interest_waived_fen,
        "amount_fen": line.amount_fen,
    }
