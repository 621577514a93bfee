"""Customers write back, and say that they want no more marketing."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from services.notify.contract.events import ContactOptedOut
from services.notify.contract.states import Channel, Scope
from services.notify.deps import Deps
from services.notify.domain.provider import Reply
from services.notify.domain.replies import wants_no_more
from services.notify.store import contacts, opt_outs
from shared import outbox
from shared.db import Connection
from shared.ids import new_id

log = structlog.get_logger()


async def take_replies(conn: Connection, told: Sequence[Reply], deps: Deps) -> int:
    """
    Keep replies and honour refusals; return how many came from phones nobody here has.

    All merchants send under one signature, so a refusal counts for each of them.
    """
    unplaced = 0
    for reply in told:
        index, refuses = deps.keys.index(reply.phone), wants_no_more(reply.content)
        senders = await contacts.by_phone(conn, index)
        fresh = await opt_outs.add_reply(
            conn, reply, phone_index=index, refuses=refuses, cipher=deps.keys.cipher
        )
        unplaced += not senders
        if fresh and refuses:
            for merchant_id, customer_id in senders:
                await refuse_marketing(conn, merchant_id, customer_id, Channel.SMS, "reply", deps)
    return unplaced


async def refuse_marketing(
    conn: Connection,
    merchant_id: UUID,
    customer_id: UUID,
    channel: Channel,
    source: str,
    deps: Deps,
) -> None:
    """Note that a customer wants no more marketing on *channel*, and tell it if it is news."""
    now = deps.clock.now()
    if not await opt_outs.refuse(
        conn, merchant_id, customer_id, channel, Scope.MARKETING, source=source, now=now
    ):
        return
    await outbox.add(
        conn,
        ContactOptedOut(
            event_id=new_id(),
            occurred_at=now,
            merchant_id=merchant_id,
            customer_id=customer_id,
            channel=channel.value,
        ),
    )
    log.info("contact.opted_out", customer_id=str(customer_id), channel=channel.value)
