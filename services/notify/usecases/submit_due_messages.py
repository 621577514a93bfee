"""Send what is due; find out about what may have been sent."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from services.notify.contract.states import MessageState
from services.notify.deps import Deps
from services.notify.domain.message import Message, receive, resolve, settle
from services.notify.domain.provider import (
    Answer,
    CannotTell,
    Finding,
    Tracking,
    Unclear,
)
from services.notify.store import messages, receipts
from services.notify.usecases.announce import Move, record
from services.notify.usecases.prepare_messages import Prepared, prepare
from shared.db import Connection

log = structlog.get_logger()

BATCH: Final = 200

Outcome = tuple[Prepared, Answer | Finding]


async def submit_due_messages(deps: Deps) -> int:
    """
    Send one batch; return how many messages it held.

    Three steps: mark as submitted and commit, call the providers, settle and commit.
    Whatever a crash leaves between them is looked up once its lease is over, and sent
    again only if its provider never got it.
    """
    claimed = await claim(deps)
    outcomes = await call_providers(deps, claimed)
    await settle_answers(deps, outcomes)
    return len(claimed)


async def claim(deps: Deps) -> list[Prepared]:
    """Take due messages and commit them as submitted, held, dropped or failed."""
    async with deps.db.transaction() as conn:
        now = deps.clock.now()
        due = await messages.lock_due(conn, now=now, limit=BATCH)
        if not due:
            return []
        prepared = await prepare(conn, due, deps, now=now)
        await record(conn, [(one.before, one.after) for one in prepared], now=now)
    return prepared


async def call_providers(deps: Deps, claimed: Sequence[Prepared]) -> list[Outcome]:
    """
    Send or look up every claimed message that is submitted, a bounded number at once.

    One whose claim is over by now is left alone: another worker may have sent it already.
    """
    gate = asyncio.Semaphore(deps.in_flight)
    open_ones = [one for one in claimed if one.after.state is MessageState.SUBMITTED]

    async def call(one: Prepared) -> Outcome | None:
        async with gate:
            if one.after.due_at is not None and deps.clock.now() >= one.after.due_at:
                return None
            return one, await _call(deps, one)

    outcomes = await asyncio.gather(*(call(one) for one in open_ones))
    return [outcome for outcome in outcomes if outcome is not None]


async def settle_answers(deps: Deps, outcomes: Sequence[Outcome]) -> None:
    """Record what the providers said; a message that moved on meanwhile stays as it is."""
    if not outcomes:
        return
    async with deps.db.transaction() as conn:
        now = deps.clock.now()
        for provider in sorted({one.after.provider or "" for one, _ in outcomes}):
            await receipts.one_at_a_time(conn, provider)
        keys = [(one.after.merchant_id, one.after.message_id) for one, _ in outcomes]
        locked = await messages.lock(conn, keys)
        moves: list[Move] = []
        for one, said in outcomes:
            before = locked[one.after.merchant_id, one.after.message_id]
            if before.fence != one.after.fence:
                continue
            tracking = deps.senders[before.provider or ""].tracking
            if isinstance(said, Answer):
                after = settle(before, said, tracking=tracking, now=now)
            else:
                finding = await _with_receipt(conn, deps, before, said, tracking)
                after = resolve(before, finding, tracking=tracking, now=now)
            moves.append((before, after))
        await record(conn, await _with_early_receipts(conn, moves), now=now)


async def _call(deps: Deps, one: Prepared) -> Answer | Finding:
    message = one.after
    sender = deps.senders.get(message.provider or "")
    if sender is None or one.letter is None:
        return CannotTell("no_letter")
    try:
        if one.ask_first:
            assert message.submitted_at is not None
            return await sender.look_up(one.letter, submitted_at=message.submitted_at)
        return await sender.send(one.letter)
    except Exception as error:
        log.exception("sender.broke", provider=sender.name, message_id=str(message.message_id))
        return CannotTell("broke") if one.ask_first else Unclear(type(error).__name__)


async def _with_receipt(
    conn: Connection, deps: Deps, message: Message, finding: Finding, tracking: Tracking
) -> Finding:
    """Return what a receipt tells of a message that its provider cannot be asked about."""
    template = deps.templates.get((message.template_key, message.channel))
    if (
        tracking is not Tracking.RECEIPT
        or not isinstance(finding, CannotTell)
        or template is None
        or message.submitted_at is None
    ):
        return finding
    provider = message.provider or ""
    found = await receipts.waiting_for(
        conn,
        provider,
        message.recipient_index or "",
        template.codes.get(provider, ""),
        since=message.submitted_at,
    )
    if found is None:
        return finding
    number, told = found
    await receipts.place_waiting(conn, provider, number, (message.merchant_id, message.message_id))
    return told


async def _with_early_receipts(conn: Connection, moves: Sequence[Move]) -> list[Move]:
    """Apply receipts that came before the answer they belong to."""
    fresh = {
        (after.provider, after.provider_message_id): (before, after)
        for before, after in moves
        if after.state is MessageState.ACCEPTED and before.state is not MessageState.ACCEPTED
    }
    result = {after.message_id: (before, after) for before, after in moves}
    for provider in {provider for provider, _ in fresh if provider}:
        numbers = [number for name, number in fresh if name == provider and number]
        for number, told in (await receipts.waiting(conn, provider, numbers)).items():
            before, after = fresh[provider, number]
            key = after.merchant_id, after.message_id
            await receipts.place_waiting(conn, provider, number, key)
            taken = receive(after, bool(told.delivered), code=told.code, at=told.at)
            result[after.message_id] = (before, taken)
    return list(result.values())
