"""
An advance of a licensed partner on what the merchant has delivered and not yet been paid.

Only delivered goods are a receivable (Civil Code, articles 761 to 763); prepaid money of
customers and periods still to come are none, and may not be lent (Measures on single-purpose
prepaid cards, article 24).  The partner pays the merchant itself; here stands only what the
merchant owes and what is to be passed on.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, assert_never
from uuid import UUID

from services.wallet.contract.merchant_states import AdvanceState
from services.wallet.domain.errors import AdvanceNotCovered, AdvanceNotOpen
from services.wallet.domain.order import Answer, Verdict, next_look
from shared.money import share_of

PARTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """
    One advance, in fen.

    ``covered_fen`` is the delivered receivable it was measured by; interest is
    ``interest_ppm`` millionths of what is outstanding, each day.
    """

    merchant_id: UUID
    advance_id: UUID
    state: AdvanceState
    amount_fen: int
    covered_fen: int
    interest_ppm: int
    quote_ref: str
    valid_until: datetime
    asked_at: datetime
    next_at: datetime | None = None
    tries: int = 0
    reference: str | None = None
    failure: str | None = None
    interest_fen: int = 0
    repaid_fen: int = 0
    accrued_through: date | None = None
    drawn_at: datetime | None = None

    @property
    def outstanding_fen(self) -> int:
        """Return what the merchant still owes; nothing before it was drawn."""
        if self.state is not AdvanceState.DRAWN:
            return 0
        return self.amount_fen + self.interest_fen - self.repaid_fen

    @property
    def number(self) -> str:
        """Return the number that the partner knows it by."""
        return self.advance_id.hex


def require_covered(amount_fen: int, *, delivered_fen: int, taken_fen: int, per_mille: int) -> None:
    """
    Let *amount_fen* pass if delivered receivables cover it beside *taken_fen*.

    Raises:
        AdvanceNotCovered: It is more than the agreed share of what is delivered and unpaid.
    """
    limit_fen = max(0, share_of(delivered_fen, per_mille=per_mille) - taken_fen)
    if amount_fen > limit_fen:
        raise AdvanceNotCovered(
            "An advance may not exceed its share of delivered receivables.",
            amount_fen=amount_fen,
            delivered_fen=delivered_fen,
            taken_fen=taken_fen,
            limit_fen=limit_fen,
        )


def begin(advance: Advance, *, now: datetime) -> Advance:
    """
    Return *advance* as it is to be drawn; one that is being drawn stays as it is.

    Raises:
        AdvanceNotOpen: Its quote has lapsed, or it has ended.
    """
    match advance.state:
        case AdvanceState.QUOTED if now < advance.valid_until:
            return replace(advance, state=AdvanceState.DRAWING, next_at=now)
        case AdvanceState.DRAWING | AdvanceState.UNKNOWN | AdvanceState.DRAWN:
            return advance
        case AdvanceState.QUOTED | AdvanceState.REFUSED | AdvanceState.REPAID:
            raise AdvanceNotOpen(
                "This quote cannot be drawn any more.",
                advance_id=str(advance.advance_id),
                state=advance.state.value,
            )
        case _:
            assert_never(advance.state)


def hear(advance: Advance, answer: Answer, *, today: date, now: datetime) -> Advance:
    """
    Return *advance* after the partner answered a draw or a query; a final one stays.

    Interest begins on the day after *today*.
    """
    if advance.next_at is None:
        return advance
    match answer.verdict:
        case Verdict.DONE:
            return replace(
                advance,
                state=AdvanceState.DRAWN,
                next_at=None,
                reference=answer.reference,
                accrued_through=today,
                drawn_at=now,
            )
        case Verdict.REFUSED:
            return replace(advance, state=AdvanceState.REFUSED, next_at=None, failure=answer.reason)
        case Verdict.UNSEEN:
            return replace(advance, state=AdvanceState.DRAWING, next_at=_later(advance, now))
        case Verdict.PENDING | Verdict.UNKNOWN:
            return replace(advance, state=AdvanceState.UNKNOWN, next_at=_later(advance, now))
        case _:
            assert_never(answer.verdict)


def interest_of_day(outstanding_fen: int, *, interest_ppm: int) -> int:
    """Return one day's interest in fen, rounded half up."""
    return (outstanding_fen * interest_ppm + PARTS // 2) // PARTS


def repay(open_ones: list[Advance], amount_fen: int) -> list[tuple[Advance, int]]:
    """
    Return the advances that *amount_fen* repays, oldest first, each with its part.

    Raises:
        ValueError: They do not owe so much.
    """
    done: list[tuple[Advance, int]] = []
    left = amount_fen
    for advance in open_ones:
        part = min(left, advance.outstanding_fen)
        if part:
            paid = replace(advance, repaid_fen=advance.repaid_fen + part)
            ended = not paid.outstanding_fen
            done.append((replace(paid, state=AdvanceState.REPAID) if ended else paid, part))
        left -= part
    if left:
        raise ValueError(f"{left} fen more than the advances owe")
    return done


def _later(advance: Advance, now: datetime) -> datetime:
    return next_look(advance.tries, now=now)
