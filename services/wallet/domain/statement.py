"""A settlement statement: what a day or a month did to a merchant's money, closed for good."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from services.wallet.contract.merchant_states import StatementPeriod
from services.wallet.contract.states import TransferKind as K
from shared.calendar import at_in_china, month_day
from shared.ids import derived_id

INTERNAL: Final = (
    K.HELD,
    K.RELEASED,
    K.REFUND_REQUESTED,
    K.BONUS_GRANTED,
    K.BONUS_HELD,
    K.BONUS_RELEASED,
    K.BONUS_LAPSED,
)
"""Moves inside customers' wallets; no statement of the merchant shows them."""

_BONUS: Final = (
    K.BONUS_CAPTURED,
    K.BONUS_CAPTURED_FEE,
    K.BONUS_CAPTURED_SUPPLY,
    K.SPENT_BONUS,
    K.RETURNED_BONUS,
)
_FULFILLED: Final = (
    K.CAPTURED,
    K.CAPTURED_FEE,
    K.CAPTURED_SUPPLY,
    K.SPENT,
    K.SPENT_FEE,
    K.RETURNED,
    K.RETURNED_FEE,
    *_BONUS,
)
ONE_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Sums:
    """
    What transfers of one kind did, in fen.

    ``net`` is what they moved in their usual direction; the others are what they took from
    wallets and brought to payable, platform, supplier.
    """

    net: int = 0
    wallet: int = 0
    payable: int = 0
    fee: int = 0
    supply: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    A statement's figures in fen, each positive in its usual direction.

    ``delivered_fen`` is the whole price of what was sent or served; of it the fee and the
    supplier's cost are taken.  ``promotion_fen`` is the part that the merchant's own bonus
    had paid for.  ``rail_fee_fen`` is what the merchant bears of rails' fees,
    ``kept_fen`` what was taken from payable for the deposit less what came back.
    """

    collected_fen: int = 0
    delivered_fen: int = 0
    platform_fee_fen: int = 0
    supply_cost_fen: int = 0
    rail_fee_fen: int = 0
    penalty_fen: int = 0
    reward_fen: int = 0
    promotion_fen: int = 0
    advance_drawn_fen: int = 0
    advance_interest_fen: int = 0
    advance_repaid_fen: int = 0
    kept_fen: int = 0
    refunded_fen: int = 0
    settled_fen: int = 0
    paid_out_fen: int = 0

    @property
    def earned_fen(self) -> int:
        """Return by how much what is payable has grown, by the figures alone."""
        gained = self.delivered_fen + self.penalty_fen + self.reward_fen
        costs = self.platform_fee_fen + self.supply_cost_fen + self.rail_fee_fen
        used = self.promotion_fen + self.advance_repaid_fen + self.kept_fen + self.paid_out_fen
        return gained - costs - used


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """
    Closed figures; ``payable_fen`` is what was payable at the end, ``opening_fen`` before.

    ``lines_digest`` covers its transfers (of a month: its days' digests), ``digest`` all of
    it and, by ``previous``, the statements before.
    """

    merchant_id: UUID
    period: StatementPeriod
    from_day: date
    to_day: date
    figures: Figures
    opening_fen: int
    payable_fen: int
    transfers: int
    lines_digest: str
    previous: str
    issued_at: datetime

    @property
    def statement_id(self) -> UUID:
        """Return the one id of this merchant's statement for this period."""
        return statement_id(self.merchant_id, self.period, self.from_day)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of everything but the moment of issue."""
        text = {
            "merchant_id": str(self.merchant_id),
            "period": self.period.value,
            "from": self.from_day.isoformat(),
            "to": self.to_day.isoformat(),
            "figures": asdict(self.figures),
            "opening_fen": self.opening_fen,
            "payable_fen": self.payable_fen,
            "transfers": self.transfers,
            "lines": self.lines_digest,
            "previous": self.previous,
        }
        return sha256(json.dumps(text, sort_keys=True, separators=(",", ":")))


def sha256(text: str) -> str:
    """Return the hexadecimal SHA-256 of *text*."""
    return hashlib.sha256(text.encode()).hexdigest()


def statement_id(merchant_id: UUID, period: StatementPeriod, from_day: date) -> UUID:
    """Return the one id of a merchant's statement for a period."""
    return derived_id("statement", merchant_id, period, from_day)


def end_of(day: date) -> datetime:
    """Return the first instant after *day* in China."""
    return at_in_china(day + timedelta(days=1), 0)


def month_of(day: date) -> tuple[date, date]:
    """Return the first and the last day of the month of *day*."""
    first = day.replace(day=1)
    return first, month_day(first, 1, day=1) - timedelta(days=1)


def figures_of(sums: Mapping[K, Sums]) -> Figures:
    """Return the figures that transfers add up to."""

    def total(kinds: Collection[K], column: str) -> int:
        return sum(getattr(sums[kind], column) for kind in kinds if kind in sums)

    return Figures(
        collected_fen=total((K.COLLECTED, K.PENALTY_KEPT), "net"),
        delivered_fen=total(_FULFILLED, "wallet"),
        platform_fee_fen=total(_FULFILLED, "fee"),
        supply_cost_fen=total(_FULFILLED, "supply"),
        rail_fee_fen=-total((K.FEE_BORNE,), "payable"),
        penalty_fen=total((K.PENALTY, K.PENALTY_KEPT), "payable"),
        reward_fen=total((K.RENEWAL_BONUS, K.SUPPLY_REBATE), "payable"),
        promotion_fen=-total((K.PROMOTION_BORNE,), "payable"),
        advance_drawn_fen=total((K.ADVANCE_DRAWN,), "net"),
        advance_interest_fen=total((K.ADVANCE_INTEREST,), "net"),
        advance_repaid_fen=total((K.ADVANCE_REPAID,), "net"),
        kept_fen=-total((K.GUARANTEE_KEPT, K.GUARANTEE_FREED, K.GUARANTEE_USED), "payable"),
        refunded_fen=total((K.REFUNDED,), "net"),
        settled_fen=total((K.SETTLED,), "net") - total((K.SETTLED_BACK,), "net"),
        paid_out_fen=-total((K.PAYOUT, K.PAYOUT_FAILED), "payable"),
    )


def bonus_consumed(sums: Mapping[K, Sums]) -> int:
    """Return how much bonus paid for goods and services, in fen; negative if more came back."""
    return sum(sums[kind].wallet for kind in _BONUS if kind in sums)


def add_up(days: Sequence[Statement]) -> Figures:
    """Return the sum of the figures of *days*."""
    names = [field.name for field in fields(Figures)]
    return Figures(**{name: sum(getattr(day.figures, name) for day in days) for name in names})


def month_from(days: Sequence[Statement], *, previous: str, now: datetime) -> Statement:
    """Return the month's statement, which is nothing but its *days*, in their order."""
    first, last = month_of(days[0].from_day)
    return Statement(
        merchant_id=days[0].merchant_id,
        period=StatementPeriod.MONTH,
        from_day=first,
        to_day=last,
        figures=add_up(days),
        opening_fen=days[0].opening_fen,
        payable_fen=days[-1].payable_fen,
        transfers=sum(day.transfers for day in days),
        lines_digest=sha256("\n".join(day.digest for day in days)),
        previous=previous,
        issued_at=now,
    )
