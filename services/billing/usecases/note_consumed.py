"""What wallet tells of parcels that left: so much of a period's principal is spent."""

from collections.abc import Sequence

from services.billing.deps import Deps
from services.billing.store import changes
from services.wallet.contract import HoldCaptured
from shared.db import Connection


async def note_consumed(conn: Connection, captured: Sequence[HoldCaptured], deps: Deps) -> None:  # noqa: ARG001
    """Keep it for previews of an early end; repeats safely, in any order."""
    await changes.note_consumed(
        conn,
        [
            (one.instalment_id, one.agreement_id, one.amount_fen - one.bonus_fen, one.occurred_at)
            for one in captured
        ],
    )
