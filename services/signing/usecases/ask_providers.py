"""Whoever does not tell us is asked: open checks, flows, mandates; daily, all mandates."""

import asyncio
from collections.abc import Awaitable
from typing import Final
from uuid import UUID

import structlog

from services.signing.deps import Deps
from services.signing.domain.errors import ProviderRefused, ProviderSilent
from services.signing.domain.mandate import ASK_AGAIN_AFTER, wait
from services.signing.store import checks, documents, mandates
from services.signing.store.checks import IdentityCheck
from services.signing.store.documents import Flow
from services.signing.usecases.check_identity import settle_identity
from services.signing.usecases.grant_mandate import look_at_mandate
from services.signing.usecases.sign_document import settle_signature

log = structlog.get_logger()

BATCH: Final = 50
FIRST: Final = UUID(int=0)


async def ask_providers(deps: Deps) -> int:
    """Ask about one batch of what is due; a claim outlives a crash by half a minute."""
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        open_mandates = await mandates.due(conn, now=now, limit=BATCH)
        flows = await documents.due_flows(conn, now=now, limit=BATCH)
        open_checks = await checks.due_checks(conn, now=now, limit=BATCH)
    await asyncio.gather(
        *(look_at_mandate(deps, mandate) for mandate in open_mandates),
        *(_ask_about_flow(deps, flow) for flow in flows),
        *(_ask_about_check(deps, check) for check in open_checks),
    )
    return len(open_mandates) + len(flows) + len(open_checks)


async def sweep_mandates(deps: Deps) -> int:
    """Ask about every active mandate: nobody tells us when one expires; return how many."""
    after, asked = FIRST, 0
    while True:
        async with deps.db.connection() as conn:
            batch = await mandates.active(conn, after=after, limit=BATCH)
        if not batch:
            return asked
        await asyncio.gather(*(look_at_mandate(deps, mandate) for mandate in batch))
        after, asked = batch[-1].mandate_id, asked + len(batch)


async def _ask_about_flow(deps: Deps, flow: Flow) -> None:
    if not await _answered(settle_signature(deps, flow.flow_id)):
        at = deps.clock.now() + wait(ASK_AGAIN_AFTER, flow.tries + 1)
        async with deps.db.transaction() as conn:
            await documents.ask_flow_again(conn, flow.flow_id, at=at)


async def _ask_about_check(deps: Deps, check: IdentityCheck) -> None:
    if not await _answered(settle_identity(deps, check.application_id)):
        at = deps.clock.now() + wait(ASK_AGAIN_AFTER, check.tries + 1)
        async with deps.db.transaction() as conn:
            await checks.ask_check_again(conn, check.check_id, at=at)


async def _answered(question: Awaitable[None]) -> bool:
    try:
        await question
    except (ProviderSilent, ProviderRefused) as problem:
        log.warning("provider.failed", code=problem.code, facts=problem.facts)
        return False
    return True
