"""Providers tell what became of messages."""

from collections.abc import Sequence
from dataclasses import replace

from services.notify.deps import Deps
from services.notify.domain.message import Message, receive
from services.notify.domain.provider import Receipt, ids_of
from services.notify.store import messages, receipts
from services.notify.usecases.announce import Move, record
from shared.db import Connection

Key = messages.Key


async def take_receipts(conn: Connection, told: Sequence[Receipt], deps: Deps) -> int:
    """
    Apply receipts in any order and number; return how many have no place here.

    One that comes before the answer to its message is stored waits for it there.
    """
    now = deps.clock.now()
    for provider in sorted({receipt.provider for receipt in told}):
        await receipts.one_at_a_time(conn, provider)
    keys = [await _find(conn, receipt) for receipt in told]
    locked = await messages.lock(conn, [key for key in keys if key is not None])
    moved: dict[Key, Move] = {}
    unplaced = 0
    for receipt, key in zip(told, keys, strict=True):
        index = deps.keys.index(receipt.recipient)
        await receipts.add(conn, receipt, recipient_index=index, now=now)
        if key is None or key not in locked:
            unplaced += not await messages.unsettled(conn, receipt.provider, index)
            continue
        await receipts.place(conn, receipt, recipient_index=index, key=key)
        before, current = moved.get(key, (locked[key], locked[key]))
        moved[key] = before, _apply(current, receipt)
    await record(conn, moved.values(), now=now)
    return unplaced


async def _find(conn: Connection, receipt: Receipt) -> Key | None:
    key = ids_of(receipt.out_id) if receipt.out_id else None
    if key is not None:
        return key
    found = await messages.by_provider_number(conn, receipt.provider, [receipt.provider_message_id])
    return found.get(receipt.provider_message_id)


def _apply(message: Message, receipt: Receipt) -> Message:
    taken = receive(message, receipt.delivered, code=receipt.code, at=receipt.at)
    if taken.provider_message_id is not None:
        return taken
    return replace(taken, provider_message_id=receipt.provider_message_id)
