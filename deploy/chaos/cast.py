"""Whose instalments fall due on the billing day, and what their banks will say: all by seed."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final
from uuid import UUID

from deploy.demo.shop import Plan, merchant
from services.billing.domain.trade_no import trade_no
from shared.calendar import at_in_china, month_day
from shared.ids import derived_id

DUE: Final = date(2026, 12, 10)
"""The billing day."""
PREPARED_AT: Final = at_in_china(DUE - timedelta(days=7), 9, 30)
"""Half an hour before the first notice is owed."""
SIGNED_AT: Final = PREPARED_AT - timedelta(days=3)
BEGIN: Final = at_in_china(DUE, 8, 30)
"""Where the day begins in peace and under fire."""
END: Final = at_in_china(DUE + timedelta(days=3), 18, 30)
"""Parcels of the day have left, also those that were paid the morning after."""

MERCHANT: Final = merchant("miao")
PLAN: Final = Plan(
    "chaos3", "miao", "成猫三月付", "cat", 3, 16800, 14800, {"adult": ("CAT-2KG", "LITTER-6L")}
)
EXTRA_FEN: Final = 10
EXTRA_STEPS: Final = 50
"""Amounts differ, so that one is not mistaken for another."""

DECLINED: Final = (
    ((), 0.90),
    (("balance",), 0.05),
    (("balance", "balance"), 0.03),
    (("customer",), 0.02),
)
"""What the banks say to the first attempts, and how often; the attempt after those succeeds."""
CODES: Final = {
    ("alipay", "balance"): "BUYER_BALANCE_NOT_ENOUGH",
    ("alipay", "customer"): "NO_PAYMENT_INSTRUMENTS_AVAILABLE",
    ("wechatpay", "balance"): "NOTENOUGH",
    ("wechatpay", "customer"): "ACCOUNTERROR",
}
PRODUCTS: Final = (
    ("alipay", "alipay_general"),
    ("alipay", "alipay_cycle"),
    ("wechatpay", "wechat_prenotice"),
)


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer with one agreement; everything about them follows from seed and number."""

    seed: int
    number: int
    rail: str
    product: str
    declines: tuple[str, ...]
    """Codes with which the first attempts of the day are refused."""

    def id(self, of: str) -> UUID:
        """Return the id of something of theirs."""
        return derived_id("chaos", self.seed, of, self.number)

    @property
    def agreement_no(self) -> str:
        """Return what they signed is called."""
        return f"CHAOS{self.number:08d}"

    @property
    def payer_no(self) -> str:
        """Return their account at the rail."""
        width = 12 if self.rail == "alipay" else 22
        return f"{'2088' if self.rail == 'alipay' else 'oChaos'}{self.number:0{width}d}"

    @property
    def rail_agreement_no(self) -> str:
        """Return the rail's number of the mandate."""
        return f"20261130{self.number:012d}" if self.rail == "alipay" else f"2026{self.number:014d}"

    @property
    def phone(self) -> str:
        """Return the mobile number."""
        return f"139{self.number:08d}"

    @property
    def amount_fen(self) -> int:
        """Return what each period costs."""
        return PLAN.monthly_fen + EXTRA_FEN * (self.number % EXTRA_STEPS)

    @property
    def instalment_id(self) -> UUID:
        """Return the instalment of the billing day, as billing calls it."""
        return derived_id("instalment", self.id("agreement"), 1)

    def trade_no(self, attempt_no: int) -> str:
        """Return under which number the rail knows an attempt of the day."""
        return trade_no(self.id("agreement"), 1, attempt_no)


def cast(seed: int, charges: int) -> list[Customer]:
    """Return the customers of *seed*, a third on each product."""
    luck = Random(f"cast {seed}")  # noqa: S311 - repeatable, not secret
    return [_customer(seed, number, luck) for number in range(charges)]


def _customer(seed: int, number: int, luck: Random) -> Customer:
    rail, product = PRODUCTS[number % len(PRODUCTS)]
    fates = [fate for fate, _ in DECLINED]
    (fate,) = luck.choices(fates, [weight for _, weight in DECLINED])
    return Customer(seed, number, rail, product, tuple(CODES[rail, why] for why in fate))


def due_dates() -> list[date]:
    """Return the day of each period."""
    return [month_day(DUE, period, day=DUE.day) for period in range(PLAN.periods)]
