"""One try to collect an instalment: its states, and the one function that moves it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.billing.domain.findings import (
    Failed,
    Finding,
    NotFound,
    Paid,
    Pending,
    Unclear,
)
from shared.rails.classes import FailureClass


class AttemptKind(StrEnum):
    """Who starts the payment."""

    AUTOMATIC = "automatic"
    PAY_NOW = "pay_now"


class AttemptState(StrEnum):
    """
    Where an attempt stands.

    ``prepared``: the rail does not have it.  ``sent``: it may.  ``unknown``: we asked and
    got no clear answer.
    """

    PREPARED = "prepared"
    SENT = "sent"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


OPEN: Final = frozenset({AttemptState.PREPARED, AttemptState.SENT, AttemptState.UNKNOWN})

ATTEMPT_LIFE: Final = timedelta(hours=1)
"""How long an automatic order may live at the rail, from when it was last sent."""

ANSWER_WAIT: Final = timedelta(seconds=60)
"""How long the process that sent an attempt may take to settle it before others query."""

NOT_ARRIVED: Final = "not_arrived"
"""Failure code of an attempt that the rail never received and that may not be sent any more."""

EXPIRED: Final = "expired"
"""Failure code of a payment that the customer did not make in time."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One attempt; an attempt that succeeded is the charge, ``attempt_id`` its ``charge_id``.

    ``surplus`` marks money that arrived second and goes back by itself.  ``query_at`` is
    when the rail is asked next, set as long as the attempt is open.
    """

    attempt_id: UUID
    instalment_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    attempt_no: int
    trade_no: str
    kind: AttemptKind
    rail: str
    product: str
    amount_fen: int
    rail_agreement_no: str
    payer_no: str
    payee_no: str
    description: str
    state: AttemptState
    on_day: date
    created_at: datetime
    expires_at: datetime
    query_at: datetime | None
    queries: int = 0
    surplus: bool = False
    failure_class: FailureClass | None = None
    failure_code: str | None = None
    rail_trade_no: str | None = None
    settled_at: datetime | None = None
    paid_at: datetime | None = None
    client: Mapping[str, object] | None = None
    """What the mini-program needs to let the customer pay; for ``pay_now`` only."""
    penalty_fen: int = 0
    """The part of the amount that being late costs, frozen when the payment was opened."""


def settle(attempt: Attempt, finding: Finding, *, now: datetime, query_at: datetime) -> Attempt:
    """
    Return *attempt* after something was learned of it, at first or again, in any order.

    Money that is there beats everything said before; a failure does not end what has
    ended; nothing but a proof ends what is open.
    """
    if attempt.state is AttemptState.SUCCEEDED:
        return attempt
    if isinstance(finding, Paid):
        return _succeeded(attempt, finding, now=now)
    if attempt.state is AttemptState.FAILED:
        return attempt
    match finding:
        case Failed():
            return _failed(attempt, finding, now=now)
        case Pending():
            state = AttemptState.SENT
        case Unclear():
            state = AttemptState.UNKNOWN
        case NotFound():
            # It never got there.  It is sent again under the same number, so that a
            # straggler and its repetition are one order to the rail.
            state = AttemptState.PREPARED
        case _:
            assert_never(finding)
    return replace(attempt, state=state, query_at=query_at)


def _succeeded(attempt: Attempt, paid: Paid, *, now: datetime) -> Attempt:
    return replace(
        attempt,
        state=AttemptState.SUCCEEDED,
        rail_trade_no=paid.rail_trade_no,
        paid_at=paid.paid_at or now,
        settled_at=now,
        query_at=None,
        failure_class=None,
        failure_code=None,
    )


def _failed(attempt: Attempt, failed: Failed, *, now: datetime) -> Attempt:
    return replace(
        attempt,
        state=AttemptState.FAILED,
        failure_class=failed.failure,
        failure_code=failed.code,
        settled_at=now,
        query_at=None,
    )
