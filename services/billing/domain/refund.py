"""Money back to where it came from: how much of which charge, and the states of one refund."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.billing.domain.findings import (
    Refunded,
    RefundFinding,
    RefundPending,
    RefundRefused,
)


class RefundState(StrEnum):
    """Where a refund stands; one of a charge at most is ``sent``."""

    WAITING = "waiting"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


FIRST_QUERY: Final = timedelta(minutes=1)
"""WeChat Pay: query a refund not sooner than a minute after it was asked for."""

AGAIN_AFTER: Final = timedelta(minutes=15)
"""An unclear refund is repeated under its own number every 5 to 30 minutes."""

ASK_PERSON_AFTER: Final = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Refund:
    """One refund of one charge; ``settlement_id`` None is money that arrived twice."""

    refund_id: UUID
    refund_no: str
    attempt_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    settlement_id: UUID | None
    rail: str
    amount_fen: int
    reason: str
    state: RefundState
    created_at: datetime
    next_at: datetime | None
    tries: int = 0
    settled_at: datetime | None = None
    failure_code: str | None = None


@dataclass(frozen=True, slots=True)
class Refundable:
    """A charge and how much of it has neither gone back nor is on its way."""

    attempt_id: UUID
    instalment_id: UUID
    rail: str
    free_fen: int


def allocate(amount_fen: int, charges: Sequence[Refundable]) -> list[tuple[Refundable, int]]:
    """
    Share *amount_fen* out over *charges* in their order, never more than each has free.

    The shares add up to *amount_fen* or to all that is free, whichever is less.
    """
    shares = []
    for charge in charges:
        share = min(amount_fen, charge.free_fen)
        if share > 0:
            shares.append((charge, share))
            amount_fen -= share
    return shares


def settle(refund: Refund, finding: RefundFinding, *, now: datetime) -> Refund:
    """Return *refund* after the rail said something of it, at first or again."""
    if refund.state is RefundState.SUCCEEDED:
        return refund
    match finding:
        case Refunded():
            return replace(
                refund,
                state=RefundState.SUCCEEDED,
                settled_at=finding.at or now,
                next_at=None,
                failure_code=None,
            )
        case RefundRefused(final=True):
            if refund.state is RefundState.FAILED:
                return refund
            return replace(
                refund,
                state=RefundState.FAILED,
                settled_at=now,
                next_at=None,
                failure_code=finding.code,
            )
        case RefundRefused() | RefundPending():
            if refund.state is RefundState.FAILED:
                return refund
            wait = FIRST_QUERY if refund.tries <= 1 else AGAIN_AFTER
            return replace(refund, state=RefundState.SENT, next_at=now + wait)
        case _:
            assert_never(finding)
