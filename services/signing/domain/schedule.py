"""When how much is charged: dates that clamp, and what the rail permits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, assert_never

from services.signing.contract import Rail, SignedInstalment
from services.signing.domain.errors import AmountAboveRail, ChargeDayNotOnRail
from shared.calendar import at_in_china, day_in_china, month_day

FIRST_CHARGE_AFTER: Final = timedelta(hours=168)
"""48 h to change one's mind, then the 120 h notice (online trading measures, article 18)."""

TIME_TO_SIGN: Final = timedelta(hours=1)
"""How long a preview's dates must still hold, so that there is time to sign."""

CHARGE_HOUR: Final = 9
"""Charges begin at this hour in China."""

_MONTHS_AHEAD: Final = 3


@dataclass(frozen=True, slots=True)
class RailTerms:
    """
    What a rail permits of a schedule; ``product`` names its row in the rails' permissions.

    Source: Alipay open docs (a MONTH rule knows day 1-28); WeChat Pay (500 yuan a charge).
    """

    product: str
    charge_days: range
    per_charge_fen: int | None


def rail_terms(rail: Rail) -> RailTerms:
    """Return what *rail* permits."""
    match rail:
        case Rail.ALIPAY:
            return RailTerms("alipay_cycle", range(1, 29), None)
        case Rail.WECHATPAY:
            return RailTerms("wechat_prenotice", range(1, 32), 50_000)
        case _:
            assert_never(rail)


def require_chargeable(rail: Rail, *, charge_day: int, amounts_fen: Sequence[int]) -> None:
    """
    Refuse what the rail would refuse later.

    Raises:
        ChargeDayNotOnRail: The rail does not charge on *charge_day*.
        AmountAboveRail: One amount is above the rail's ceiling for a charge.
    """
    terms = rail_terms(rail)
    if charge_day not in terms.charge_days:
        raise ChargeDayNotOnRail(
            "The rail does not charge on this day of the month.",
            rail=rail,
            charge_day=charge_day,
            allowed_days=list(terms.charge_days),
        )
    ceiling = terms.per_charge_fen
    if ceiling is not None and max(amounts_fen) > ceiling:
        raise AmountAboveRail(
            "An instalment is above what the rail charges at once.",
            rail=rail,
            amount_fen=max(amounts_fen),
            ceiling_fen=ceiling,
        )


def first_due_on(signed_at: datetime, *, charge_day: int) -> date:
    """Return the first charge day whose charge hour is at least 168 h after *signed_at*."""
    earliest = signed_at + FIRST_CHARGE_AFTER
    anchor = day_in_china(signed_at)
    for months in range(_MONTHS_AHEAD):
        day = month_day(anchor, months, day=charge_day)
        if at_in_china(day, CHARGE_HOUR) >= earliest:
            return day
    raise AssertionError("A charge day comes at least every month.")


def sign_before(first_due: date) -> datetime:
    """Return the moment until which an agreement with this first date may be completed."""
    return at_in_china(first_due, CHARGE_HOUR) - FIRST_CHARGE_AFTER


def schedule(
    amounts_fen: Sequence[int], *, charge_day: int, now: datetime
) -> list[SignedInstalment]:
    """
    Return the instalments of an agreement that is signed within an hour from *now*.

    One for each month, without a gap: a month without the day gives its last one, and the
    day never drifts (31 January, 28 February, 31 March; Civil Code, article 202).
    """
    first = first_due_on(now + TIME_TO_SIGN, charge_day=charge_day)
    return [
        SignedInstalment(
            seq=n + 1, due_on=month_day(first, n, day=charge_day), amount_fen=amount_fen
        )
        for n, amount_fen in enumerate(amounts_fen)
    ]
