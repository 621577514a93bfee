"""A customer pays an instalment himself: early, on time, or overdue."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.attempt import Attempt, AttemptKind
from services.billing.domain.errors import (
    AmountDiffers,
    ChargeUnderWay,
    MandateUnknown,
    NothingToPay,
    PaymentRefused,
)
from services.billing.domain.findings import Failed
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import UNPAID, Instalment
from services.billing.gateways.rail import NotOpened, Opened
from services.billing.store import agreements, attempts, history, instalments, mandates
from services.billing.usecases.attempt_due_charges import new_attempt
from services.billing.usecases.owed_now import Owed, owed_now
from services.billing.usecases.settle_charge import Learned, settle_charges
from shared.db import Connection
from shared.errors import TryLater
from shared.rails.classes import FailureClass

PAYMENT_LIFE: Final = timedelta(minutes=30)
"""How long an opened payment blocks the automatic charge of the same instalment."""

FIRST_QUERY: Final = timedelta(minutes=1)


class PaymentUnclear(TryLater):
    """The rail did not answer; asking again opens the same payment."""

    code = "payment-unclear"


@dataclass(frozen=True, slots=True)
class Payment:
    """An opened payment, and what the mini-program needs to let the customer pay it."""

    attempt: Attempt
    client: dict[str, object]


async def pay_now(deps: Deps, token: str, *, amount_fen: int | None) -> Payment:
    """
    Open a payment of the whole instalment; the same link gives the same open payment.

    What being late costs is part of it, as it stands at this moment; it grows no further.

    Raises:
        PayLinkUnknown: There is no such link.
        NothingToPay: It is paid, or need not be paid any more.
        AmountDiffers: *amount_fen* is not the exact amount due.
        ChargeUnderWay: An automatic charge is not settled yet.
        PaymentRefused: The rail refuses to open a payment.
        PaymentUnclear: The rail did not answer.
    """
    try:
        attempt = await _prepare(deps, token, amount_fen)
    except AmountDiffers as refused:
        await _note_refusal(deps, token, refused, amount_fen)
        raise
    return await open_at_rail(deps, attempt)


async def _prepare(deps: Deps, token: str, amount_fen: int | None) -> Attempt:
    async with deps.db.transaction() as conn:
        found = await instalments.find_by_token(conn, token)
        agreement = await agreements.lock(conn, found.agreement_id)
        (instalment,) = await instalments.by_ids(conn, [found.instalment_id])
        return await prepare_payment(conn, agreement, instalment, amount_fen, now=deps.clock.now())


async def _note_refusal(
    deps: Deps, token: str, refused: AmountDiffers, amount_fen: int | None
) -> None:
    """Keep that another amount was offered and not taken."""
    due_fen = refused.facts["amount_due_fen"]
    async with deps.db.transaction() as conn:
        found = await instalments.find_by_token(conn, token)
        move = Move(
            "instalment",
            found.instalment_id,
            found.instalment_id,
            found.state,
            found.state,
            Actor.CUSTOMER,
            f"{refused.code}: {amount_fen} fen offered, {due_fen} due",
            deps.clock.now(),
        )
        await history.add(conn, [move])


async def open_at_rail(deps: Deps, attempt: Attempt) -> Payment:
    """
    Open a prepared payment at its rail; one that is open already is given again.

    Raises:
        PaymentRefused, PaymentUnclear: As for ``pay_now``.
    """
    if attempt.client is not None:
        return Payment(attempt, dict(attempt.client))
    answer = await deps.rails[attempt.rail].open_payment(attempt)
    match answer:
        case Opened():
            async with deps.db.transaction() as conn:
                await attempts.keep_client(conn, attempt.attempt_id, answer.client)
            return Payment(attempt, dict(answer.client))
        case NotOpened(clear=True):
            await _refused(deps, attempt, answer.code)
            raise PaymentRefused("The rail opens no payment.", rail_code=answer.code)
        case NotOpened():
            raise PaymentUnclear("The rail did not answer; try again.", rail_code=answer.code)


async def prepare_payment(
    conn: Connection,
    agreement: Agreement,
    instalment: Instalment,
    amount_fen: int | None,
    *,
    now: datetime,
) -> Attempt:
    """
    Write the attempt of a payment whose *agreement* is locked, or return the one that stands.

    Raises:
        NothingToPay, AmountDiffers, ChargeUnderWay, MandateUnknown: As for ``pay_now``.
    """
    _require_unpaid(instalment)
    about = instalment.instalment_id
    standing = (await attempts.open_of(conn, [about])).get(about)
    if standing is not None:
        return _same_or_busy(standing, amount_fen, now=now)
    owed = await owed_now(conn, instalment, agreement, now=now)
    _require_exact(owed, amount_fen)
    granted = await mandates.newest(conn, [agreement.agreement_id])
    mandate = granted.get(agreement.agreement_id)
    if mandate is None:
        raise MandateUnknown("Nobody has told who pays.", agreement_id=agreement.agreement_id)
    attempt = replace(
        new_attempt(
            instalment,
            mandate,
            AttemptKind.PAY_NOW,
            agreement.plan_name,
            now=now,
            life=PAYMENT_LIFE,
            penalty_fen=owed.penalty_fen,
        ),
        query_at=now + FIRST_QUERY,
    )
    await attempts.add(conn, [attempt])
    await instalments.save(conn, [replace(instalment, tries=attempt.attempt_no)])
    await history.add(
        conn,
        [
            Move(
                "attempt",
                attempt.attempt_id,
                attempt.instalment_id,
                "",
                attempt.state,
                Actor.CUSTOMER,
                "pay_now",
                now,
            )
        ],
    )
    return attempt


def _require_unpaid(instalment: Instalment) -> None:
    if instalment.state not in UNPAID or instalment.is_free:
        raise NothingToPay("Nothing is to be paid here.", state=instalment.state.value)


def _require_exact(owed: Owed, amount_fen: int | None) -> None:
    if amount_fen is not None and amount_fen != owed.amount_fen:
        raise AmountDiffers(
            "An instalment is paid as a whole.",
            amount_due_fen=owed.amount_fen,
            base_fen=owed.base_fen,
            penalty_fen=owed.penalty_fen,
        )


def _same_or_busy(standing: Attempt, amount_fen: int | None, *, now: datetime) -> Attempt:
    """Return the payment that stands; what it asks was frozen when it was opened."""
    if standing.kind is AttemptKind.AUTOMATIC:
        raise ChargeUnderWay("A charge is under way.", charge_since=standing.created_at)
    if standing.expires_at <= now:
        raise ChargeUnderWay("The last payment is being closed.", try_again_in_s=60)
    late_fen = standing.penalty_fen
    _require_exact(Owed(standing.amount_fen - late_fen, late_fen), amount_fen)
    return standing


async def _refused(deps: Deps, attempt: Attempt, code: str) -> None:
    finding = Failed(FailureClass.NEEDS_CUSTOMER, code)
    async with deps.db.transaction() as conn:
        await settle_charges(
            conn,
            [Learned(attempt, finding)],
            deps,
            now=deps.clock.now(),
            actor=Actor.CUSTOMER,
        )
