"""What is refused at the counter is kept, with its code, in a transaction of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from services.wallet.deps import Deps
from services.wallet.store import refusals
from services.wallet.store.refusals import Refusal
from shared.errors import Problem
from shared.ids import new_id

log = structlog.get_logger()

OUR_FAULT = 500
"""From this status on a problem is ours, and no refusal."""


@asynccontextmanager
async def noting(
    deps: Deps,
    *,
    merchant_id: UUID,
    action: str,
    clerk: str,
    customer_id: UUID | None = None,
    redemption_id: UUID | None = None,
    device_id: UUID | None = None,
    amount_fen: int | None = None,
) -> AsyncIterator[None]:
    """Keep the refusal that is raised inside, after its own transaction is gone; raise it on."""
    try:
        yield
    except Problem as problem:
        if problem.status < OUR_FAULT:
            await _keep(
                deps,
                Refusal(
                    merchant_id=merchant_id,
                    refusal_id=new_id(),
                    refused_at=deps.clock.now(),
                    action=action,
                    code=problem.code,
                    detail=problem.detail,
                    clerk=clerk,
                    code_id=_code_id(problem),
                    customer_id=customer_id,
                    redemption_id=redemption_id,
                    device_id=device_id,
                    amount_fen=amount_fen,
                ),
            )
        raise


async def _keep(deps: Deps, refusal: Refusal) -> None:
    async with deps.db.transaction() as conn:
        await refusals.add(conn, refusal)
    log.info("redemption.refused", action=refusal.action, code=refusal.code)


def _code_id(problem: Problem) -> UUID | None:
    named = problem.facts.get("code_id")
    return UUID(str(named)) if named else None
