"""A restored database learns what went out after its backup, so that nobody is told twice."""

from collections.abc import Sequence
from datetime import datetime

from services.notify.contract.events import MessageAccepted, MessageUnknown
from services.notify.contract.states import MessageState
from services.notify.deps import Deps
from services.notify.domain.message import already_sent
from services.notify.store import messages, sent_before
from services.notify.store.messages import Key
from services.notify.usecases.announce import record
from shared.db import Connection


async def remember_sent(deps: Deps, told: Sequence[MessageAccepted | MessageUnknown]) -> int:
    """
    Take what streams still tell of messages; return how many this database had forgotten.

    Runs while notify is down: messages that wait are taken as sent now, those that are
    asked for again as soon as they are.  Repeats safely.
    """
    async with deps.db.transaction() as conn:
        fresh = await sent_before.add(conn, told)
        keys = [(one.merchant_id, one.message_id) for one in told]
        await adopt_sent(conn, keys, now=deps.clock.now())
    return fresh


async def adopt_sent(conn: Connection, keys: Sequence[Key], *, now: datetime) -> int:
    """Take those of the messages as sent that were, and tell so; return how many."""
    known = await sent_before.of(conn, keys)
    if not known:
        return 0
    locked = await messages.lock(conn, [(row["merchant_id"], row["message_id"]) for row in known])
    moves = []
    for row in known:
        message = locked.get((row["merchant_id"], row["message_id"]))
        if message is None or message.state not in {MessageState.QUEUED, MessageState.SUBMITTED}:
            continue
        after = already_sent(message, row["provider"], row["provider_message_id"], at=row["at"])
        moves.append((message, after))
    return await record(conn, moves, now=now)
