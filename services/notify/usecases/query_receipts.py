"""Ask about messages whose receipt never came: after 30 minutes, a day, three days."""

import asyncio
from typing import Final

from services.notify.deps import Deps
from services.notify.domain.message import Message, check_receipt, take
from services.notify.domain.provider import CannotTell, Finding, Letter
from services.notify.store import contacts, messages
from services.notify.usecases.announce import record
from services.notify.usecases.prepare_messages import letter_for

BATCH: Final = 100


async def query_missing_receipts(deps: Deps) -> int:
    """
    Ask about one batch; return how many it held.

    After 72 hours nobody knows any more; a receipt that still comes is believed all the
    same.  Claimed under a lease, asked outside of any transaction, settled by fence.
    """
    async with deps.db.transaction() as conn:
        now = deps.clock.now()
        late = await messages.lock_without_receipt(conn, now=now, limit=BATCH)
        if not late:
            return 0
        known = await contacts.contacts(
            conn, [(m.merchant_id, m.customer_id) for m in late], deps.keys.cipher
        )
        taken = [take(message, now=now) for message in late]
        await messages.save(conn, taken, now=now, quiet=True)
    gate = asyncio.Semaphore(deps.in_flight)

    async def ask(message: Message) -> Finding:
        contact = known.get((message.merchant_id, message.customer_id))
        letter = letter_for(message, contact, deps) if contact else None
        async with gate:
            return await _ask(deps, message, letter)

    findings = await asyncio.gather(*(ask(message) for message in taken))
    async with deps.db.transaction() as conn:
        now = deps.clock.now()
        locked = await messages.lock(conn, [(m.merchant_id, m.message_id) for m in taken])
        moves = []
        for message, finding in zip(taken, findings, strict=True):
            before = locked[message.merchant_id, message.message_id]
            if before.fence == message.fence:
                moves.append((before, check_receipt(before, finding, now=now)))
        await record(conn, moves, now=now)
    return len(taken)


async def _ask(deps: Deps, message: Message, letter: Letter | None) -> Finding:
    sender = deps.senders.get(message.provider or "")
    if sender is None or letter is None or message.submitted_at is None:
        return CannotTell("no_letter")
    return await sender.look_up(letter, submitted_at=message.submitted_at)
