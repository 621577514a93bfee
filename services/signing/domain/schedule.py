"""When how much is charged: dates that clamp, and what the rail permits."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from services.signing.contract import Rail, SignedInstalment
from services.signing.domain.errors import AmountAboveRail, ChargeDayNotOnRail
from services.signing.domain.offer import Part
from shared.calendar import at_in_china, day_in_china, month_day
from shared.rails.permissions import PERMISSIONS, Permission, offered

FIRST_CHARGE_AFTER: Final = timedelta(hours=168)
"""48 h to change one's mind, then the 120 h notice (online trading measures, article 18)."""

TIME_TO_SIGN: Final = timedelta(hours=1)
"""How long a preview's dates must still hold, so that there is time to sign."""

DOWN_PAYMENT_BEFORE: Final = timedelta(days=4)
"""A down payment is due so long before the first charge: at least 72 h after signing, so that
nobody is reminded of it while the agreement cools off."""

CHARGE_HOUR: Final = 9
"""Charges begin at this hour in China."""

_MONTHS_AHEAD: Final = 3


Offers = Mapping[Rail, Permission]
"""What new mandates of each rail are for."""

OFFERS: Final[Offers] = {rail: offered(rail.value, {}, PERMISSIONS) for rail in Rail}
"""The table's own choice; an operator may choose another product, see the settings."""


def require_chargeable(
    rail: Rail, *, charge_day: int, amounts_fen: Sequence[int], offers: Offers = OFFERS
) -> None:
    """
    Refuse what the rail would refuse later.

    Raises:
        ChargeDayNotOnRail: The rail does not charge on *charge_day*.
        AmountAboveRail: One amount is above the rail's ceiling for a charge.
    """
    permits = offers[rail]
    if charge_day not in permits.charge_days:
        raise ChargeDayNotOnRail(
            "The rail does not charge on this day of the month.",
            rail=rail,
            charge_day=charge_day,
            allowed_days=sorted(permits.charge_days),
        )
    ceiling = permits.per_charge_fen
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


def sign_before(instalments: Sequence[SignedInstalment]) -> datetime:
    """Return the moment until which an agreement with this schedule may be completed."""
    return at_in_china(periods_of(instalments)[0].due_on, CHARGE_HOUR) - FIRST_CHARGE_AFTER


def periods_of(instalments: Sequence[SignedInstalment]) -> list[SignedInstalment]:
    """Return the periods in order, without the down payment."""
    return [one for one in instalments if one.seq > 0]


def charged(instalments: Sequence[SignedInstalment]) -> list[SignedInstalment]:
    """Return what the rail will be asked for by itself: no down payment, no free month."""
    return [one for one in periods_of(instalments) if one.amount_fen > 0]


def schedule(parts: Sequence[Part], *, charge_day: int, now: datetime) -> list[SignedInstalment]:
    """
    Return the instalments of an agreement that is signed within an hour from *now*.

    One for each month, without a gap: a month without the day gives its last one, and the
    day never drifts (31 January, 28 February, 31 March; Civil Code, article 202).
    """
    first = first_due_on(now + TIME_TO_SIGN, charge_day=charge_day)
    return [
        SignedInstalment(
            seq=part.seq,
            due_on=(
                month_day(first, part.seq - 1, day=charge_day)
                if part.seq
                else first - DOWN_PAYMENT_BEFORE
            ),
            amount_fen=part.amount_fen,
            lines=part.lines,
        )
        for part in parts
    ]
