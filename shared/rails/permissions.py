"""What each rail permits, as a table: one row per (rail, product)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MerchantType(StrEnum):
    """Who may contract for a product."""

    ENTERPRISE = "enterprise"
    SOLE_TRADER = "sole_trader"
    MICRO = "micro"


@dataclass(frozen=True)
class Hours:
    """A span of the day in China, *first* inclusive and *last* exclusive, whole hours."""

    first: int
    last: int


@dataclass(frozen=True)
class DueWindow:
    """Days around the due date on which a charge may be sent; 0 is the due date."""

    first_day: int
    last_day: int


@dataclass(frozen=True)
class NoticeWindow:
    """
    Days after the rail's own notice (sent on day 0) on which a charge may be sent.

    ``notice_hours`` says when the notice itself may be sent.
    """

    first_day: int
    last_day: int
    notice_hours: Hours


@dataclass(frozen=True)
class RefundLimits:
    """How long after payment and how often one charge may be refunded; ``None``: not known."""

    days: int | None
    per_charge: int | None


@dataclass(frozen=True)
class Permission:
    """
    What one product of one rail permits.

    ``unconfirmed`` names the fields that no reference page confirms; they hold a cautious default
    and are meant to be overridden by settings (``dataclasses.replace``).
    """

    rail: str
    product: str
    charge_days: frozenset[int]
    due_window: DueWindow | None
    notice_window: NoticeWindow | None
    charge_hours: Hours
    per_charge_fen: int | None
    per_day_fen: int | None
    per_month_fen: int | None
    successes_per_day: int | None
    attempts_per_window: int | None
    failed_number_reusable: bool
    first_queries_s: tuple[int, ...]
    query_every_s: int
    refund: RefundLimits
    merchant_types: frozenset[MerchantType]
    unconfirmed: frozenset[str] = frozenset()


_ANY_MERCHANT: Final = frozenset({MerchantType.ENTERPRISE, MerchantType.SOLE_TRADER})
_ENTERPRISE: Final = frozenset({MerchantType.ENTERPRISE})

_ALIPAY_QUERIES: Final = (5, 30, 300, 1800)
"""Seconds between queries of an unclear charge, then hourly: our own spacing."""

_WECHAT_QUERIES: Final = (60, 600)
"""Seconds between queries after the notification is awaited, then hourly: our own spacing."""

_HOUR_S: Final = 3600

ALIPAY_CYCLE: Final = Permission(
    rail="alipay",
    product="alipay_cycle",
    # Alipay open docs, cycle pay: execute_time of a MONTH rule is day 1-28.
    charge_days=frozenset(range(1, 29)),
    # Alipay open docs, change of the deduction date (May 2024): due date - 5 days ... due date.
    due_window=DueWindow(-5, 0),
    notice_window=None,
    # The moment Alipay processes the call counts: stay away from the last hour of a day.
    charge_hours=Hours(0, 23),
    # Said by integrators, not by a reference page.
    per_charge_fen=10_000,
    per_day_fen=None,
    per_month_fen=None,
    successes_per_day=1,
    # Alipay's advice: about two retries in the window, then stop the service.
    attempts_per_window=3,
    # The same number with the same content is idempotent, also after a refusal.
    failed_number_reusable=True,
    first_queries_s=_ALIPAY_QUERIES,
    query_every_s=_HOUR_S,
    # By contract 3 or 12 months.
    refund=RefundLimits(days=90, per_charge=None),
    # Alipay open docs, my.paySignCenter: enterprise mini-programs only.
    merchant_types=_ENTERPRISE,
    unconfirmed=frozenset({"due_window", "per_charge_fen", "charge_hours", "refund"}),
)

ALIPAY_GENERAL: Final = Permission(
    rail="alipay",
    product="alipay_general",
    charge_days=frozenset(range(1, 32)),
    due_window=None,
    notice_window=None,
    charge_hours=Hours(0, 23),
    # The contract and the wallet decide; the mandate's own ceiling is checked beside it.
    per_charge_fen=None,
    per_day_fen=None,
    per_month_fen=None,
    successes_per_day=None,
    attempts_per_window=3,
    failed_number_reusable=True,
    first_queries_s=_ALIPAY_QUERIES,
    query_every_s=_HOUR_S,
    refund=RefundLimits(days=90, per_charge=None),
    merchant_types=_ENTERPRISE,
    unconfirmed=frozenset({"per_charge_fen", "attempts_per_window", "charge_hours", "refund"}),
)

WECHAT_PRENOTICE: Final = Permission(
    rail="wechatpay",
    product="wechat_prenotice",
    charge_days=frozenset(range(1, 32)),
    due_window=None,
    # WeChat Pay docs, pre-deduction notice: notice on day D, charge on D+2 ... D+8.
    notice_window=NoticeWindow(2, 8, Hours(7, 22)),
    charge_hours=Hours(7, 22),
    # Community answers: 500 yuan a charge, 2,500 a day, 75,000 a month.
    per_charge_fen=50_000,
    per_day_fen=250_000,
    per_month_fen=7_500_000,
    # One success a day per contract; failures do not count.
    successes_per_day=1,
    attempts_per_window=3,
    # A number used again after PAY_FAIL was answered "merchant order number repeated".
    failed_number_reusable=False,
    first_queries_s=_WECHAT_QUERIES,
    query_every_s=_HOUR_S,
    # wechatpay-go, refunddomestic: within one year, at most 50 partial refunds.
    refund=RefundLimits(days=365, per_charge=50),
    merchant_types=_ANY_MERCHANT,
    unconfirmed=frozenset(
        {"per_charge_fen", "per_day_fen", "per_month_fen", "successes_per_day", "merchant_types"}
    ),
)

WECHAT_24H: Final = Permission(
    rail="wechatpay",
    product="wechat_24h",
    charge_days=frozenset(range(1, 32)),
    due_window=None,
    # WeChat itself waits 24 h after an accepted order and forbids a second one meanwhile.
    notice_window=None,
    charge_hours=Hours(7, 22),
    per_charge_fen=50_000,
    per_day_fen=250_000,
    per_month_fen=7_500_000,
    successes_per_day=1,
    attempts_per_window=1,
    failed_number_reusable=False,
    first_queries_s=(24 * _HOUR_S,),
    query_every_s=_HOUR_S,
    refund=RefundLimits(days=365, per_charge=50),
    merchant_types=_ANY_MERCHANT,
    unconfirmed=frozenset(
        {
            "charge_hours",
            "per_charge_fen",
            "per_day_fen",
            "per_month_fen",
            "successes_per_day",
            "merchant_types",
        }
    ),
)

PERMISSIONS: Final = {
    (row.rail, row.product): row
    for row in (ALIPAY_CYCLE, ALIPAY_GENERAL, WECHAT_PRENOTICE, WECHAT_24H)
}
"""Every product this platform knows, by (rail, product)."""


def permission(rail: str, product: str) -> Permission:
    """
    Return the row of a product.

    Raises:
        KeyError: Nobody contracts for such a product.
    """
    return PERMISSIONS[rail, product]
