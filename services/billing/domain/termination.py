"""What goes back when an agreement ends early: used, unspent, penalty, interest, deadline."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, assert_never

from services.billing.domain.overdue_penalty import LPR_PPM
from services.signing.contract import Cause, EndReason, Penalty, cause_of

REFUND_TARGET_DAYS: Final = 3
"""What we promise ourselves."""

REFUND_WITHIN_DAYS: Final = {EndReason.SEVEN_DAYS: 5}
"""Five days for the seven-day right (Beijing single-purpose card rules, articles 16 and 17)."""

REFUND_WITHIN_DAYS_ELSE: Final = 15
"""Later counts as a wilful refusal (penalty measures, articles 8 to 10; rule CT-17)."""

DEPOSIT_PPM: Final = ((date(2015, 10, 24), 15_000),)
"""One-year deposit benchmark in millionths a year, from each day on; dated reference data."""

_MILLION: Final = 1_000_000
_DAYS_A_YEAR: Final = 365


class Formula(StrEnum):
    """How what was used is reckoned."""

    DEAL_PRICE = "deal_price"
    LIST_PRICE = "list_price"
    TIME = "time"


FORMULA_SOURCES: Final = {
    Formula.DEAL_PRICE: "prepayment interpretation, article 18: used at the deal price, bonus "
    "takes its share; by default for every cause",
    Formula.LIST_PRICE: "prepayment interpretation, articles 19 and 20: used at the list price, "
    "never below nothing",
    Formula.TIME: "prepayment interpretation, article 22: by the time that is left",
}


@dataclass(frozen=True, slots=True)
class Prepaid:
    """
    What was paid, given and used, in fen; or, for unlimited use, the days of the service.

    ``list_fen`` is what was used at its price before any discount, None without records.
    """

    principal_fen: int
    bonus_fen: int = 0
    used_fen: int = 0
    list_fen: int | None = None
    days_total: int = 0
    days_left: int = 0


@dataclass(frozen=True, slots=True)
class Refund:
    """What goes back, in fen, and how it came about."""

    formula: Formula
    used_principal_fen: int
    penalty_fen: int
    refund_fen: int


@dataclass(frozen=True, slots=True)
class Deadline:
    """By when the money is back: what we aim at, and what the law asks."""

    target_on: date
    latest_on: date


def used_principal_fen(prepaid: Prepaid, formula: Formula) -> int:
    """Return what of the principal counts as used, in fen rounded half up, at most all of it."""
    match formula:
        case Formula.DEAL_PRICE:
            whole = prepaid.principal_fen + prepaid.bonus_fen
            used = _share(prepaid.used_fen, prepaid.principal_fen, whole) if whole else 0
        case Formula.LIST_PRICE:
            used = prepaid.used_fen if prepaid.list_fen is None else prepaid.list_fen
        case Formula.TIME:
            left = _share(prepaid.principal_fen, prepaid.days_left, prepaid.days_total)
            used = prepaid.principal_fen - left
        case _:
            assert_never(formula)
    return min(used, prepaid.principal_fen)


def refund(prepaid: Prepaid, formula: Formula, penalty: Penalty) -> Refund:
    """
    Return what goes back: the unspent principal, less the penalty as far as there is money.

    Nothing further is owed by the customer, and bonus is never paid out.
    """
    used = used_principal_fen(prepaid, formula)
    unspent = prepaid.principal_fen - used
    taken = min(penalty.due_fen, unspent)
    return Refund(formula, used, taken, unspent - taken)


def formula_for(reason: EndReason, *, consumer_cause_mode: bool, unlimited: bool) -> Formula:
    """
    Return which formula counts.

    The merchant's own is that for everyone unless *consumer_cause_mode* is on, which waits
    until a shop's price records have passed an audit.
    """
    if unlimited:
        return Formula.TIME
    if consumer_cause_mode and cause_of(reason) is Cause.CONSUMER:
        return Formula.LIST_PRICE
    return Formula.DEAL_PRICE


def deadline(reason: EndReason, *, ended_on: date) -> Deadline:
    """Return by when a refund is due; the day of the end does not count (Civil Code, 201)."""
    latest = REFUND_WITHIN_DAYS.get(reason, REFUND_WITHIN_DAYS_ELSE)
    return Deadline(
        ended_on + timedelta(days=REFUND_TARGET_DAYS), ended_on + timedelta(days=latest)
    )


def interest_ppm(reason: EndReason, *, signed_on: date) -> int:
    """
    Return the yearly rate on a refund, in millionths, as it stood on the day of signing.

    The merchant's cause pays the one-year LPR, any other the one-year deposit benchmark
    (prepayment interpretation, articles 16 and 17; rule CT-18).
    """
    table = LPR_PPM if cause_of(reason) is Cause.MERCHANT else DEPOSIT_PPM
    known = [ppm for since, ppm in table if since <= signed_on]
    return known[-1] if known else table[0][1]


def interest_fen(refund_fen: int, ppm: int, *, ended_on: date, paid_on: date) -> int:
    """Return the interest from the day of the end until the money is back, rounded half up."""
    days = max(0, (paid_on - ended_on).days)
    return _share(refund_fen * days, ppm, _MILLION * _DAYS_A_YEAR)


def _share(amount: int, part: int, whole: int) -> int:
    """Return amount * part / whole, rounded half up."""
    return (2 * amount * part + whole) // (2 * whole)
