"""An authority confirms when an agreement existed; no signature ever waits for it."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from services.signing.deps import Deps
from services.signing.domain.errors import ProviderRefused, ProviderSilent
from services.signing.domain.mandate import ASK_AGAIN_AFTER, wait
from services.signing.gateways.time_stamper import TimeStamper
from services.signing.store import time_stamps
from services.signing.store.time_stamps import WantedStamp

log = structlog.get_logger()

BATCH: Final = 20
LEASE: Final = timedelta(minutes=1)
"""How long an answer may take before the statement is asked about again."""
NOBODY_TO_ASK: Final = timedelta(days=7)
"""How long statements rest where no authority is configured."""


async def take_stamps(deps: Deps) -> int:
    """
    Have one batch of statements stamped; return how many were due.

    That an authority is asked is written before.  A crash or a lost answer leaves the
    statement ``asked``, and it is asked about again: a second stamp does no harm.
    """
    now = deps.clock.now()
    async with deps.db.transaction(quiet=True) as conn:
        wanted = await time_stamps.claim_due(conn, now=now, limit=BATCH, lease=LEASE)
    await asyncio.gather(*(_take(deps, one) for one in wanted))
    return len(wanted)


async def _take(deps: Deps, wanted: WantedStamp) -> None:
    if deps.time_stamper is None:
        await _put_off(deps, wanted, "no-authority", NOBODY_TO_ASK)
        return
    try:
        await _ask(deps, deps.time_stamper, wanted)
    except (ProviderSilent, ProviderRefused) as problem:
        log.warning("stamp.failed", agreement_id=str(wanted.agreement_id), code=problem.code)
        await _put_off(deps, wanted, problem.code, wait(ASK_AGAIN_AFTER, wanted.tries - 1))


async def _ask(deps: Deps, stamper: TimeStamper, wanted: WantedStamp) -> None:
    stamped = await stamper.stamp(wanted.statement.encode())
    async with deps.db.transaction() as conn:
        await time_stamps.grant(
            conn,
            wanted.agreement_id,
            answer=stamped.answer,
            roots=stamped.roots,
            stamped_at=stamped.at,
        )
    log.info("stamp.granted", agreement_id=str(wanted.agreement_id), tries=wanted.tries)


async def _put_off(deps: Deps, wanted: WantedStamp, problem: str, pause: timedelta) -> None:
    until = deps.clock.now() + pause
    async with deps.db.transaction(quiet=True) as conn:
        await time_stamps.put_off(conn, wanted.agreement_id, problem=problem, until=until)
