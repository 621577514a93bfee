"""What customers are told, on which channels, and how much it matters: one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.notify.contract.states import Channel, Kind

BOTH: Final = (Channel.SMS, Channel.MINI_PROGRAM)
MINI: Final = (Channel.MINI_PROGRAM,)


@dataclass(frozen=True, slots=True)
class Rule:
    """
    How messages of one template are sent.

    *lifetime* is how long after the cause it is still worth sending.  A message that is
    planned for the mini-program alone goes by SMS when the mini-program cannot reach
    the customer.
    """

    kind: Kind
    channels: tuple[Channel, ...]
    lifetime: timedelta = timedelta(hours=48)

    @property
    def fallback(self) -> Channel | None:
        """Return the channel to turn to when the only one fails, None if there is none."""
        return Channel.SMS if self.channels == MINI else None


RULES: Final[Mapping[str, Rule]] = {
    "agreement.signed": Rule(Kind.CONTRACT, BOTH),
    "agreement.activated": Rule(Kind.SERVICE, MINI),
    "agreement.cancelled": Rule(Kind.CONTRACT, BOTH, timedelta(days=7)),
    "agreement.terminated": Rule(Kind.CONTRACT, BOTH, timedelta(days=7)),
    "agreement.completed": Rule(Kind.SERVICE, MINI, timedelta(days=7)),
    "mandate.revoked": Rule(Kind.CONTRACT, BOTH, timedelta(days=7)),
    "mandate.closed": Rule(Kind.CONTRACT, MINI, timedelta(days=7)),
    "notice.advance": Rule(Kind.NOTICE, BOTH),
    "notice.reminder": Rule(Kind.NOTICE, BOTH),
    "charge.collected": Rule(Kind.SERVICE, MINI),
    "charge.failed": Rule(Kind.PAYMENT_FAILED, BOTH, timedelta(hours=24)),
    "charge.exhausted": Rule(Kind.PAYMENT_FAILED, BOTH),
    "instalment.overdue.reminder": Rule(Kind.DUNNING, BOTH),
    "instalment.overdue.topup": Rule(Kind.DUNNING, BOTH),
    "instalment.overdue.extension": Rule(Kind.DUNNING, BOTH),
    "instalment.overdue.demand": Rule(Kind.DUNNING, BOTH),
    "instalment.overdue.lawful_procedure": Rule(Kind.DUNNING, BOTH),
    "instalment.settled": Rule(Kind.SERVICE, MINI),
    "instalment.postponed": Rule(Kind.CONTRACT, BOTH),
    "refund.succeeded": Rule(Kind.CONTRACT, BOTH, timedelta(days=7)),
    "shipment.reminder_due": Rule(Kind.SERVICE, MINI, timedelta(hours=24)),
    "shipment.dispatched": Rule(Kind.SERVICE, MINI),
    "shipment.delivered": Rule(Kind.SERVICE, MINI),
    "shipment.substituted": Rule(Kind.SERVICE, MINI),
    "shipment.waiting": Rule(Kind.SERVICE, MINI),
    "shipment.cancelled": Rule(Kind.SERVICE, MINI),
    "shipment.lost": Rule(Kind.SERVICE, MINI),
    "stage.changed": Rule(Kind.SERVICE, MINI),
}
"""By template key.  Requirements N5; the texts stand in ``wording.py``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """
    Something a customer must hear: *cause* and *cause_id* make it unique per channel.

    *facts* are JSON, without anything personal.  *channels* and *send_by* replace those
    of the rule where whoever asks knows better.
    """

    cause: str
    cause_id: UUID
    template: str
    merchant_id: UUID
    customer_id: UUID
    agreement_id: UUID | None
    instalment_id: UUID | None = None
    rail: str | None = None
    facts: Mapping[str, Any]
    channels: tuple[Channel, ...] | None = None
    send_by: datetime | None = None
