"""Keep the proof that customers were told, in whatever order it comes."""

from collections.abc import Sequence
from datetime import datetime

from services.billing.deps import Deps
from services.billing.store import contacts, notices
from services.billing.store.contacts import MessageProof
from services.billing.store.notices import ProofLine
from services.notify.contract import MessageAccepted, MessageDelivered
from shared.db import Connection

_CAUSES = frozenset({"notice.advance", "notice.reminder"})
_TOLD_OF_FAILURE = ("charge.failed", "charge.exhausted", "instalment.overdue.")
"""Causes whose receipts are evidence in a quarrel about a missed period."""


async def record_accepted(
    conn: Connection,
    accepted: Sequence[MessageAccepted],
    deps: Deps,  # noqa: ARG001
) -> None:
    """Keep that providers took notices; the earliest moment of each counts."""
    await notices.record(
        conn,
        [
            ProofLine(one.cause_id, one.channel, one.message_id, one.accepted_at, None)
            for one in accepted
            if one.cause in _CAUSES
        ],
    )
    await contacts.prove(
        conn,
        [
            _message(one, accepted_at=one.accepted_at)
            for one in accepted
            if one.cause.startswith(_TOLD_OF_FAILURE)
        ],
    )


async def record_delivered(
    conn: Connection,
    delivered: Sequence[MessageDelivered],
    deps: Deps,  # noqa: ARG001
) -> None:
    """Keep that notices reached their customers, also when that is heard first."""
    await notices.record(
        conn,
        [
            ProofLine(one.cause_id, one.channel, one.message_id, None, one.delivered_at)
            for one in delivered
            if one.cause in _CAUSES
        ],
    )
    await contacts.prove(
        conn,
        [
            _message(one, delivered_at=one.delivered_at)
            for one in delivered
            if one.cause.startswith(_TOLD_OF_FAILURE)
        ],
    )


def _message(
    one: MessageAccepted | MessageDelivered,
    *,
    accepted_at: datetime | None = None,
    delivered_at: datetime | None = None,
) -> MessageProof:
    return MessageProof(
        cause_id=one.cause_id,
        cause=one.cause,
        channel=one.channel,
        merchant_id=one.merchant_id,
        message_id=one.message_id,
        accepted_at=accepted_at,
        delivered_at=delivered_at,
    )
