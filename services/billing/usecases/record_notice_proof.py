"""Keep the proof that customers were told, in whatever order it comes."""

from collections.abc import Sequence

from services.billing.deps import Deps
from services.billing.store import notices
from services.billing.store.notices import ProofLine
from services.notify.contract import MessageAccepted, MessageDelivered
from shared.db import Connection

_CAUSES = frozenset({"notice.advance", "notice.reminder"})


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
