"""What being late costs: from dates alone, simple, capped twice, and mostly nothing."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

LPR_PPM: Final = ((date(2025, 5, 20), 30_000),)
"""One-year loan prime rate in millionths a year, from each day on; reference data, dated."""

LAW_TIMES_LPR: Final = 4
"""Private lending interpretation, articles 28 and 29: never above four times the LPR."""

_MILLION: Final = 1_000_000
_DAYS_A_YEAR: Final = 365


@dataclass(frozen=True, slots=True)
class PenaltyTerms:
    """
    The contract's terms; a rate of 0 is no penalty at all.

    Millionths of the overdue principal for each day after the grace, never more than so
    many thousandths of it.
    """

    rate_ppm_per_day: int = 0
    grace_days: int = 0
    cap_per_mille: int = 0


@dataclass(frozen=True, slots=True)
class Lateness:
    """Since when a principal is overdue, until when a person or a voucher keeps it free."""

    overdue_since: date | None
    extended_until: date | None = None


def penalty_fen(
    principal_fen: int, terms: PenaltyTerms, late: Lateness, *, signed_on: date, today: date
) -> int:
    """
    Return the penalty of an overdue *principal_fen* up to and with *today*, in fen, rounded down.

    Of three figures the lowest counts: the contract's rate, the contract's cap, and what
    the law lets be asked for these days at the LPR of the day of signing.  It is asked on the
    principal only, so it never compounds.
    """
    days = days_late(terms, late, today=today)
    return min(
        principal_fen * terms.rate_ppm_per_day * days // _MILLION,
        principal_fen * terms.cap_per_mille // 1000,
        principal_fen * LAW_TIMES_LPR * lpr_ppm(signed_on) * days // (_MILLION * _DAYS_A_YEAR),
    )


def days_late(terms: PenaltyTerms, late: Lateness, *, today: date) -> int:
    """Return for how many days a penalty is asked: none before the grace or a voucher is over."""
    if late.overdue_since is None:
        return 0
    last_free = late.overdue_since + timedelta(days=terms.grace_days)
    if late.extended_until is not None:
        last_free = max(last_free, late.extended_until)
    return max(0, (today - last_free).days)


def lpr_ppm(day: date) -> int:
    """Return the one-year LPR of *day*; before the first known day there is no penalty."""
    return max(((since, ppm) for since, ppm in LPR_PPM if since <= day), default=(day, 0))[1]
