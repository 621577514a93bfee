"""One line per move: who moved what, from where to where, and why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Actor(StrEnum):
    """Who made a move."""

    BILLING_RUN = "billing_run"
    QUERY = "query"
    NOTIFICATION = "notification"
    CUSTOMER = "customer"
    SIGNING = "signing"
    WALLET = "wallet"
    JOB = "job"
    STAFF = "staff"


@dataclass(frozen=True, slots=True)
class Move:
    """One move of one thing (``instalment``, ``attempt``, ``refund``, ``agreement``)."""

    thing: str
    thing_id: UUID
    instalment_id: UUID | None
    from_state: str
    to_state: str
    actor: Actor
    reason: str
    moved_at: datetime
