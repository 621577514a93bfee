"""Signed schedules with something given or asked, as signing would write them."""

from datetime import date, timedelta
from typing import Any

from services.billing.domain.instalment import Instalment
from services.signing.contract import LineKind, SignedInstalment, SignedLine
from shared.calendar import month_day
from tests.support.billing_builders import AMOUNT_FEN, FIRST_DUE

BASE = SignedLine(kind=LineKind.BASE, amount_fen=AMOUNT_FEN)
DOWN_FEN = 9900


def signed(seq: int, *given: SignedLine, first: date = FIRST_DUE) -> SignedInstalment:
    """Return one period with its base amount and what is given of it."""
    lines = (BASE, *given)
    return SignedInstalment(
        seq=seq,
        due_on=month_day(first, seq - 1, day=first.day),
        amount_fen=sum(line.amount_fen for line in lines),
        lines=lines,
    )


def half(seq: int = 1) -> SignedInstalment:
    return signed(seq, SignedLine(kind=LineKind.FIRST_MONTH_HALF, amount_fen=-AMOUNT_FEN // 2))


def free(seq: int) -> SignedInstalment:
    return signed(seq, SignedLine(kind=LineKind.FREE_MONTH, amount_fen=-AMOUNT_FEN))


def down(amount_fen: int = DOWN_FEN, *, first: date = FIRST_DUE) -> SignedInstalment:
    line = SignedLine(kind=LineKind.BASE, amount_fen=amount_fen, note="首付款")
    return SignedInstalment(
        seq=0, due_on=first - timedelta(days=4), amount_fen=amount_fen, lines=(line,)
    )


def terms_of(*instalments: SignedInstalment) -> dict[str, Any]:
    """Return what ``a_signing`` must be told to carry these instalments."""
    return {
        "instalments": instalments,
        "periods": max(one.seq for one in instalments),
        "total_fen": sum(one.amount_fen for one in instalments),
    }


def by_seq(rows: list[Instalment]) -> dict[int, Instalment]:
    return {row.seq: row for row in rows}
