"""What was bought in the shop comes back: its money returns to where it was taken from."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import structlog

from services.wallet.contract import RedemptionReturned as Returned
from services.wallet.contract.states import RedemptionState, TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.redemption_errors import (
    AmountInvalid,
    RedemptionReturned,
    RedemptionUnknown,
    RedemptionWasShort,
    ReturnTooLarge,
)
from services.wallet.domain.spending import Part, Redemption, give_back, unspent
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, ledgers, redemptions
from services.wallet.usecases.settle_agreements import settle_agreements
from services.wallet.usecases.write_transfers import write_transfers
from shared import outbox
from shared.db import Connection
from shared.ids import new_id

log = structlog.get_logger()


async def return_redemption(
    deps: Deps,
    *,
    merchant_id: UUID,
    redemption_id: UUID,
    return_id: UUID,
    amount_fen: int | None,
    reason: str,
) -> Redemption:
    """
    Give back a redemption, whole or *amount_fen* of it, once; the same *return_id* repeats.

    Principal comes back first, as far as principal was taken, then bonus.  What comes back
    to an agreement that has ended is settled at once: principal is refunded, bonus lapses.

    Raises:
        RedemptionUnknown: There is none.
        RedemptionReturned: It was returned before; there is one return for each.
        RedemptionWasShort: Nothing was taken for it.
        AmountInvalid, ReturnTooLarge: The amount is not between one fen and what was taken.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        found = await redemptions.get(conn, merchant_id, redemption_id)
        if found is None:
            raise RedemptionUnknown("No such redemption.", redemption_id=str(redemption_id))
        books = await ledgers.lock_of_customer(conn, merchant_id, found.customer_id)
        taken = await redemptions.lock(conn, merchant_id, redemption_id)
        if taken.return_id == return_id:
            return taken
        back_fen = _returnable(taken, amount_fen)
        parts = give_back(await redemptions.parts_of(conn, merchant_id, redemption_id), back_fen)
        returned = replace(
            taken,
            state=RedemptionState.RETURNED,
            return_id=return_id,
            returned_fen=back_fen,
            returned_bonus_fen=sum(part.returned_bonus_fen for part in parts),
            returned_at=now,
            return_reason=reason,
        )
        await redemptions.save_return(conn, returned, parts)
        await ledgers.save(conn, unspent(books, parts))
        written = await write_transfers(
            conn, (move for part in parts for move in _returnings(returned, part))
        )
        await _tell(conn, returned)
        ended = [(merchant_id, p.agreement_id) for p in parts if books[p.agreement_id].ended_as]
        settled = await settle_agreements(conn, ended, now=now)
        await accounts.move(conn, [*written, *settled])
    log.info("redemption.returned", redemption_id=str(redemption_id), amount_fen=back_fen)
    return returned


def _returnable(taken: Redemption, amount_fen: int | None) -> int:
    facts = {"redemption_id": str(taken.redemption_id), "code_id": str(taken.code_id)}
    if taken.state is RedemptionState.RETURNED:
        raise RedemptionReturned("Returned before.", **facts)
    if taken.state is RedemptionState.SHORT:
        raise RedemptionWasShort("Nothing was taken for it.", **facts)
    back_fen = taken.amount_fen if amount_fen is None else amount_fen
    if back_fen <= 0:
        raise AmountInvalid("At least one fen is returned.", **facts)
    if back_fen > taken.amount_fen:
        raise ReturnTooLarge("More than was taken.", taken_fen=taken.amount_fen, **facts)
    return back_fen


async def _tell(conn: Connection, returned: Redemption) -> None:
    assert returned.returned_at is not None
    await outbox.add(
        conn,
        Returned(
            event_id=new_id(),
            occurred_at=returned.returned_at,
            redemption_id=returned.redemption_id,
            merchant_id=returned.merchant_id,
            customer_id=returned.customer_id,
            amount_fen=returned.returned_fen,
            category=returned.category,
            offline=returned.device_id is not None,
            bonus_fen=returned.returned_bonus_fen,
        ),
    )


def _returnings(returned: Redemption, part: Part) -> Iterator[Transfer]:
    assert returned.returned_at is not None
    payable, fee = chart.MERCHANT_PAYABLE, chart.PLATFORM_FEE
    principal = chart.wallet(returned.customer_id, chart.Purse.PRINCIPAL)
    bonus = chart.wallet(returned.customer_id, chart.Purse.BONUS)
    for kind, debit, to, amount_fen in (
        (TransferKind.RETURNED, payable, principal, part.returned_principal_fen),
        (TransferKind.RETURNED_BONUS, payable, bonus, part.returned_bonus_fen),
        (TransferKind.RETURNED_FEE, fee, payable, part.returned_fee_fen),
    ):
        yield Transfer(
            merchant_id=returned.merchant_id,
            cause_id=part.return_id,
            kind=kind,
            debit_account=debit,
            credit_account=to,
            amount_fen=amount_fen,
            customer_id=returned.customer_id,
            agreement_id=part.agreement_id,
            occurred_at=returned.returned_at,
        )
