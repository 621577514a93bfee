"""
What each rail permits, as a table: one row per (rail, product).

Schedule, debit gate, retries, queries and refunds read it; nobody else decides by a rail's name.
What no reference page confirms may be set by an operator, see ``override``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError


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

    * ``charge_days``: days of the month that a mandate may name.
    * ``due_window``, ``notice_window``: calendar days; None where the rail has no such rule.
    * ``per_*_fen``: ceilings for one contract; ``successes_per_day`` counts successes only.
    * ``attempts_per_window``: automatic tries of one period, the first included.
    * ``failed_number_reusable``: whether a number may be charged again after a refusal.  We
      take a new number all the same; only what never arrived is sent again under its own.
    * ``one_order_at_a_time``: no second order of a contract while one is accepted.
    * ``accepted_wait_s``: how long the rail keeps an accepted order before it decides; until
      then nobody asks.  None: it decides at once.
    * ``first_queries_s``, then ``query_every_s``: seconds between queries of an unclear order.
    * ``calls_per_s``: calls a second to the rail; None: not known.

    ``unconfirmed`` names the fields that no reference page confirms; they hold a cautious default
    and are meant to be set by an operator.
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
    one_order_at_a_time: bool = False
    accepted_wait_s: int | None = None
    calls_per_s: int | None = None
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
    # Integrators say 100 yuan, no page does; the mandate's own ceiling is checked beside it.
    per_charge_fen=None,
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
    # Alipay open docs, my.paySignCenter: the mini-program is an enterprise's; who may be paid
    # through it is not said.
    merchant_types=_ANY_MERCHANT,
    unconfirmed=frozenset(
        {
            "due_window",
            "per_charge_fen",
            "charge_hours",
            "refund",
            "merchant_types",
            "calls_per_s",
        }
    ),
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
    merchant_types=_ANY_MERCHANT,
    unconfirmed=frozenset(
        {
            "per_charge_fen",
            "attempts_per_window",
            "charge_hours",
            "refund",
            "merchant_types",
            "calls_per_s",
        }
    ),
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
    # WeChat Pay's rules of July 2025: auto-renewal for enterprises and institutions only.
    merchant_types=_ENTERPRISE,
    # WeChat Pay docs, pappayapply: 150 calls a second.
    calls_per_s=150,
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
    first_queries_s=_WECHAT_QUERIES,
    query_every_s=_HOUR_S,
    refund=RefundLimits(days=365, per_charge=50),
    merchant_types=_ENTERPRISE,
    one_order_at_a_time=True,
    accepted_wait_s=24 * _HOUR_S,
    calls_per_s=150,
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

CARD_WITHHOLDING: Final = Permission(
    rail="bankcard",
    product="card_withholding",
    # No facts of an aggregator are gathered: all of this row is to be fitted to its contract.
    charge_days=frozenset(range(1, 32)),
    due_window=None,
    notice_window=None,
    charge_hours=Hours(7, 22),
    per_charge_fen=500_000,
    per_day_fen=1_000_000,
    per_month_fen=2_000_000,
    successes_per_day=None,
    attempts_per_window=3,
    failed_number_reusable=False,
    first_queries_s=(10, 60, 600),
    query_every_s=_HOUR_S,
    refund=RefundLimits(days=180, per_charge=None),
    merchant_types=_ANY_MERCHANT,
    calls_per_s=50,
    unconfirmed=frozenset(
        {
            "charge_days",
            "charge_hours",
            "per_charge_fen",
            "per_day_fen",
            "per_month_fen",
            "successes_per_day",
            "attempts_per_window",
            "first_queries_s",
            "query_every_s",
            "refund",
            "merchant_types",
            "calls_per_s",
        }
    ),
)

Permissions = Mapping[tuple[str, str], Permission]
"""Rows by (rail, product)."""

PERMISSIONS: Final[Permissions] = {
    (row.rail, row.product): row
    for row in (ALIPAY_CYCLE, ALIPAY_GENERAL, WECHAT_PRENOTICE, WECHAT_24H, CARD_WITHHOLDING)
}
"""Every product this platform knows, by (rail, product)."""

OFFERED: Final[Mapping[str, str]] = {
    "alipay": ALIPAY_CYCLE.product,
    "wechatpay": WECHAT_PRENOTICE.product,
    "bankcard": CARD_WITHHOLDING.product,
}
"""The product that a new mandate of each rail is for, unless the merchant's contract differs."""

ALWAYS_OURS: Final = frozenset({"calls_per_s", "charge_hours"})
"""Fields that an operator may narrow also where the rail's own figure is confirmed."""


def permission(rail: str, product: str) -> Permission:
    """
    Return the row of a product.

    Raises:
        KeyError: Nobody contracts for such a product.
    """
    return PERMISSIONS[rail, product]


def override(changes: Mapping[str, Mapping[str, Any]]) -> Permissions:
    """
    Return the table with *changes* by product and field, as JSON writes them.

    Raises:
        ValueError: No such product or field, a field that the rail's own pages settle, or a
            value that makes no sense there.
    """
    known = {row.product: row for row in PERMISSIONS.values()}
    strange = changes.keys() - known.keys()
    if strange:
        raise ValueError(f"No such product: {', '.join(sorted(strange))}")
    rows = (_changed(row, changes.get(row.product, {})) for row in PERMISSIONS.values())
    return {(row.rail, row.product): row for row in rows}


def offered(rail: str, products: Mapping[str, str], rows: Permissions) -> Permission:
    """
    Return the row for new mandates of *rail*: the product that *products* names, or ours.

    Raises:
        ValueError: The rail has no such product.
    """
    found = rows.get((rail, products.get(rail, OFFERED.get(rail, ""))))
    if found is None:
        raise ValueError(f"{rail} has no product {products.get(rail)}")
    return found


def _changed(row: Permission, changes: Mapping[str, Any]) -> Permission:
    if not changes:
        return row
    names = {field.name for field in fields(Permission)}
    for name in changes:
        if name not in names:
            raise ValueError(f"{row.product} has no field {name}")
        if name not in row.unconfirmed | ALWAYS_OURS:
            raise ValueError(f"{name} of {row.product} is settled by the rail")
    try:
        typed = {name: _VALUES[name].validate_python(value) for name, value in changes.items()}
    except ValidationError as error:
        raise ValueError(f"{row.product}: {error}") from error
    return _checked(replace(row, **typed), row)


def _checked(row: Permission, before: Permission) -> Permission:
    ceilings = (row.per_charge_fen, row.per_day_fen, row.per_month_fen)
    counts = (row.successes_per_day, row.attempts_per_window, row.calls_per_s, row.query_every_s)
    if any(value is not None and value < 1 for value in (*ceilings, *counts)):
        raise ValueError(f"{row.product}: a ceiling or a count is below one")
    hours = row.charge_hours
    if not (0 <= hours.first < hours.last <= 24):  # noqa: PLR2004 - hours of a day
        raise ValueError(f"{row.product}: no such hours")
    wider = hours.first < before.charge_hours.first or hours.last > before.charge_hours.last
    if "charge_hours" not in row.unconfirmed and wider:
        raise ValueError(f"{row.product}: the rail does not charge at these hours")
    most = before.calls_per_s
    if most is not None and "calls_per_s" not in row.unconfirmed and (row.calls_per_s or 0) > most:
        raise ValueError(f"{row.product}: the rail takes {most} calls a second")
    if not row.charge_days <= frozenset(range(1, 32)) or not row.charge_days:
        raise ValueError(f"{row.product}: no such days of a month")
    return row


_VALUES: Final[Mapping[str, TypeAdapter[Any]]] = {
    "charge_days": TypeAdapter(frozenset[int]),
    "due_window": TypeAdapter(DueWindow | None),
    "charge_hours": TypeAdapter(Hours),
    "per_charge_fen": TypeAdapter(int | None),
    "per_day_fen": TypeAdapter(int | None),
    "per_month_fen": TypeAdapter(int | None),
    "successes_per_day": TypeAdapter(int | None),
    "attempts_per_window": TypeAdapter(int | None),
    "first_queries_s": TypeAdapter(tuple[int, ...]),
    "query_every_s": TypeAdapter(int),
    "refund": TypeAdapter(RefundLimits),
    "merchant_types": TypeAdapter(frozenset[MerchantType]),
    "calls_per_s": TypeAdapter(int | None),
}
"""How the value of each field that may be set is read; JSON's lists become sets and tuples."""
