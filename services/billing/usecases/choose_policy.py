"""Which ladder a merchant's missed periods climb; cases that run keep theirs."""

from uuid import UUID

from services.billing.deps import Deps
from services.billing.store import dunning_cases
from services.billing.store.dunning_cases import Choice
from shared.db import Connection


async def chosen_policy(conn: Connection, merchant_id: UUID) -> Choice | None:
    """Return what the merchant chose, None where the operator's setting counts."""
    return (await dunning_cases.choices(conn, [merchant_id])).get(merchant_id)


async def choose_policy(
    conn: Connection, deps: Deps, merchant_id: UUID, *, preset: str, reason: str, by: str
) -> Choice:
    """Choose a preset for cases that begin from now on; the same again changes nothing."""
    before = await chosen_policy(conn, merchant_id)
    if before is not None and before.preset == preset:
        return before
    choice = Choice(
        merchant_id=merchant_id,
        version=1 if before is None else before.version + 1,
        preset=preset,
        reason=reason,
        set_by=by,
        set_at=deps.clock.now(),
    )
    if await dunning_cases.choose(conn, choice):
        return choice
    standing = await chosen_policy(conn, merchant_id)
    assert standing is not None
    return standing
