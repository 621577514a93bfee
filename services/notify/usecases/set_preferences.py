"""A customer chooses what to hear, and where."""

from collections.abc import Mapping
from uuid import UUID

from services.notify.contract.states import Channel, Scope
from services.notify.deps import Deps
from services.notify.domain.errors import ContactUnknown
from services.notify.store import contacts, opt_outs
from services.notify.usecases.take_replies import refuse_marketing
from shared.db import Connection

Choices = Mapping[tuple[Channel, Scope], bool]
"""By channel and scope: wanted or not."""


async def set_preferences(
    conn: Connection, merchant_id: UUID, customer_id: UUID, choices: Choices, deps: Deps
) -> Choices:
    """
    Write the choices and return all that stand; repeats safely.

    Raises:
        ContactUnknown: This merchant has no such customer.
    """
    if not await contacts.knows(conn, merchant_id, customer_id):
        raise ContactUnknown("No such customer here.", customer_id=str(customer_id))
    now = deps.clock.now()
    for (channel, scope), wanted in choices.items():
        if wanted:
            await opt_outs.allow(conn, merchant_id, customer_id, channel, scope, now=now)
        elif scope is Scope.MARKETING:
            await refuse_marketing(conn, merchant_id, customer_id, channel, "preferences", deps)
        else:
            await opt_outs.refuse(
                conn, merchant_id, customer_id, channel, scope, source="preferences", now=now
            )
    refused = await opt_outs.of_customer(conn, merchant_id, customer_id)
    return {(channel, scope): (channel, scope) not in refused
            for channel in Channel for scope in Scope}  # fmt: skip
