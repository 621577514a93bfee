"""Let the rail itself announce charges where its rules want that; its yes is the proof."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from services.billing.deps import Deps
from services.billing.gateways.rail import NotTold, Told
from services.billing.store import instalments, mandates, notices
from services.billing.store.notices import RailNotice

log = structlog.get_logger()

REST: Final = timedelta(minutes=15)
"""Between two tries of one announcement, and how long a crashed one rests."""


async def send_prenotices(deps: Deps) -> int:
    """Send one batch of announcements; return how many; a repeated one the rail refuses."""
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        claimed = await notices.claim_for_rail(
            conn, now=now, until=now + REST, limit=deps.terms.batch
        )
    bound = asyncio.Semaphore(deps.terms.in_flight)

    async def send(one: RailNotice) -> None:
        async with bound:
            await _send(deps, one)

    await asyncio.gather(*(send(one) for one in claimed))
    return len(claimed)


async def _send(deps: Deps, one: RailNotice) -> None:
    notice = one.notice
    async with deps.db.connection() as conn:
        (instalment,) = await instalments.by_ids(conn, [notice.instalment_id])
        granted = await mandates.newest(conn, [instalment.agreement_id])
    mandate = granted.get(instalment.agreement_id)
    if mandate is None or instalment.charge_on != notice.charge_on:
        answer: Told | NotTold = NotTold("not_wanted_any_more", final=True)
    else:
        rail = deps.rails[mandate.rail]
        answer = await rail.tell_customer(mandate.rail_agreement_no, notice.amount_fen)
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        # Refused because it stands, after an earlier try was unclear: that try arrived.
        if isinstance(answer, Told) or (answer.standing and one.tries > 1):
            await notices.settle_for_rail(
                conn, notice.notice_id, accepted_at=now, answer="accepted"
            )
        elif answer.final or now + REST > notice.send_by:
            await notices.settle_for_rail(
                conn, notice.notice_id, accepted_at=None, answer=answer.code
            )
            log.warning("prenotice.refused", notice_id=str(notice.notice_id), code=answer.code)
        else:
            await notices.send_later(conn, notice.notice_id, at=now + REST, answer=answer.code)
