"""The operator agrees terms with a merchant, notes its account, and moves its deposit."""

from collections.abc import Callable, Mapping
from uuid import UUID

from services.wallet.contract.merchant_states import MoneySubject
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.errors import GuaranteeUnneeded, GuaranteeWithdrawal, TermsInPast
from services.wallet.domain.merchant_terms import DatedTerms
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, merchant_money, merchant_terms, transfers
from services.wallet.store.merchant_money import MerchantMoney
from services.wallet.usecases.assess_guarantees import assess
from services.wallet.usecases.write_transfers import write_transfers
from shared.calendar import day_in_china
from shared.errors import Problem

Check = Callable[[MerchantMoney, Mapping[str, int]], Problem | None]
"""Says what forbids a move of the deposit, by the merchant's row and balances; or None."""


async def agree_terms(deps: Deps, merchant_id: UUID, agreed: DatedTerms, *, actor: str) -> None:
    """
    Keep terms from a day on; again for the same day replaces them.

    Raises:
        TermsInPast: The day has passed.
    """
    now = deps.clock.now()
    if agreed.from_day < day_in_china(now):
        raise TermsInPast("Terms count from today at the earliest.", from_day=str(agreed.from_day))
    async with deps.db.transaction() as conn:
        money = await merchant_money.lock(conn, merchant_id)
        await merchant_terms.put(conn, merchant_id, agreed, actor=actor, now=now)
        await merchant_money.note(
            conn,
            merchant_id,
            MoneySubject.TERMS,
            agreed.from_day,
            "agreed",
            actor=actor,
            now=now,
        )
        await assess(conn, money, now=now)


async def set_account(
    deps: Deps, merchant_id: UUID, *, account_ref: str, bank: str, tail: str, actor: str
) -> None:
    """Keep where payouts of a merchant go; payouts already written keep their account."""
    async with deps.db.transaction() as conn:
        await merchant_money.lock(conn, merchant_id)
        await merchant_money.set_account(
            conn, merchant_id, account_ref=account_ref, bank=bank, tail=tail
        )
        await merchant_money.note(
            conn,
            merchant_id,
            MoneySubject.ACCOUNT,
            tail,
            "set",
            actor=actor,
            now=deps.clock.now(),
            bank=bank,
        )


async def deposit(
    deps: Deps, merchant_id: UUID, deposit_id: UUID, amount_fen: int, *, reference: str, actor: str
) -> None:
    """Book what a merchant paid into the supervised account as its deposit; once."""
    move = _move(
        deps,
        merchant_id,
        deposit_id,
        TransferKind.GUARANTEE_KEPT,
        (chart.SUPERVISED, chart.GUARANTEE),
        amount_fen,
        trade_no=reference,
    )
    await _book(deps, move, _anything, actor=actor)


async def free(
    deps: Deps, merchant_id: UUID, freeing_id: UUID, amount_fen: int, *, actor: str
) -> None:
    """
    Give back what the deposit has beyond what is required: it becomes payable.

    Raises:
        GuaranteeWithdrawal: Less than is required would be left; kept in the history.
    """
    kind = TransferKind.GUARANTEE_FREED
    sides = (chart.GUARANTEE, chart.MERCHANT_PAYABLE)
    move = _move(deps, merchant_id, freeing_id, kind, sides, amount_fen)

    def check(money: MerchantMoney, has: Mapping[str, int]) -> Problem | None:
        left_fen = has.get(chart.GUARANTEE, 0) - amount_fen
        if left_fen >= money.guarantee_required_fen:
            return None
        return GuaranteeWithdrawal(
            "The deposit would be less than is required.",
            left_fen=left_fen,
            required_fen=money.guarantee_required_fen,
        )

    await _book(deps, move, check, actor=actor)


async def use(
    deps: Deps, merchant_id: UUID, using_id: UUID, amount_fen: int, *, reason: str, actor: str
) -> None:
    """
    Cover what a merchant owes (a payable below zero) from its deposit.

    Raises:
        GuaranteeUnneeded: It owes less, or the deposit has less; kept in the history.
    """
    kind = TransferKind.GUARANTEE_USED
    sides = (chart.GUARANTEE, chart.MERCHANT_PAYABLE)
    move = _move(deps, merchant_id, using_id, kind, sides, amount_fen, trade_no=reason)

    def check(_: MerchantMoney, has: Mapping[str, int]) -> Problem | None:
        owes_fen = max(0, -has.get(chart.MERCHANT_PAYABLE, 0))
        most_fen = min(has.get(chart.GUARANTEE, 0), owes_fen)
        if amount_fen <= most_fen:
            return None
        return GuaranteeUnneeded(
            "There is no such debt to cover.", amount_fen=amount_fen, most_fen=most_fen
        )

    await _book(deps, move, check, actor=actor)


def _move(
    deps: Deps,
    merchant_id: UUID,
    cause_id: UUID,
    kind: TransferKind,
    sides: tuple[str, str],
    amount_fen: int,
    *,
    trade_no: str | None = None,
) -> Transfer:
    return Transfer(
        merchant_id=merchant_id,
        cause_id=cause_id,
        kind=kind,
        debit_account=sides[0],
        credit_account=sides[1],
        amount_fen=amount_fen,
        occurred_at=deps.clock.now(),
        trade_no=trade_no,
    )


async def _book(deps: Deps, move: Transfer, check: Check, *, actor: str) -> None:
    """Book a move of the deposit once and look at it anew, or keep and raise the refusal."""
    async with deps.db.transaction() as conn:
        money = await merchant_money.lock(conn, move.merchant_id)
        if await transfers.of_causes(conn, move.merchant_id, [move.cause_id]):
            return
        codes = [chart.GUARANTEE, chart.MERCHANT_PAYABLE]
        refusal = check(money, await accounts.balances(conn, move.merchant_id, codes))
        await merchant_money.note(
            conn,
            move.merchant_id,
            MoneySubject.GUARANTEE,
            move.cause_id,
            f"refused: {refusal.code}" if refusal else move.kind,
            actor=actor,
            now=move.occurred_at,
            amount_fen=move.amount_fen,
        )
        if refusal is None:
            await accounts.move(conn, await write_transfers(conn, [move]))
            await assess(conn, money, now=move.occurred_at)
    if refusal is not None:
        raise refusal


def _anything(_: MerchantMoney, __: Mapping[str, int]) -> Problem | None:
    return None
