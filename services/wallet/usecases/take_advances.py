"""A merchant asks a licensed partner for an advance on what it has delivered."""

from datetime import datetime
from uuid import UUID

import structlog

from services.wallet.contract.merchant_states import AdvanceState, MoneySubject
from services.wallet.contract.states import TransferKind
from services.wallet.deps import Deps
from services.wallet.domain import accounts as chart
from services.wallet.domain.advance import Advance, begin, hear, require_covered
from services.wallet.domain.errors import AdvanceNotCovered, AdvanceUnknown
from services.wallet.domain.merchant_terms import MerchantTerms
from services.wallet.domain.transfer import Transfer
from services.wallet.store import accounts, advances, merchant_money, merchant_terms
from services.wallet.usecases.settle_merchants import position_of
from services.wallet.usecases.write_transfers import write_transfers
from shared.calendar import day_in_china
from shared.db import Connection

log = structlog.get_logger()


async def quote_advance(
    deps: Deps, merchant_id: UUID, advance_id: UUID, amount_fen: int, *, actor: str
) -> Advance:
    """
    Ask the partner for an offer and keep it; the same *advance_id* again returns what stands.

    Raises:
        AdvanceNotCovered: Delivered receivables do not cover it; kept in the history.
        AdvanceRefused: The partner does not offer it.
        PartnerUnclear: The partner gave no answer.
    """
    async with deps.db.transaction() as conn:
        stood = await advances.get(conn, merchant_id, advance_id)
    if stood is not None:
        return stood
    delivered_fen = await _check(deps, merchant_id, advance_id, amount_fen, actor=actor)
    offer = await deps.partner.quote(advance_id.hex, amount_fen)
    now = deps.clock.now()
    advance = Advance(
        merchant_id=merchant_id,
        advance_id=advance_id,
        state=AdvanceState.QUOTED,
        amount_fen=amount_fen,
        covered_fen=delivered_fen,
        interest_ppm=offer.interest_ppm,
        quote_ref=offer.reference,
        valid_until=offer.valid_until,
        asked_at=now,
    )
    async with deps.db.transaction() as conn:
        await advances.add(conn, advance)
        await _note(conn, advance, "quoted", actor=actor, now=now)
    return advance


async def draw_advance(deps: Deps, merchant_id: UUID, advance_id: UUID, *, actor: str) -> Advance:
    """
    Decide to draw a quoted advance; the partner is asked after the commit.  Safe to repeat.

    Raises:
        AdvanceUnknown: No such advance of this merchant.
        AdvanceNotOpen: Its quote has lapsed, or it has ended.
        AdvanceNotCovered: Delivered receivables do not cover it any more.
    """
    async with deps.db.transaction() as conn:
        await merchant_money.lock(conn, merchant_id)
        before = await advances.lock(conn, merchant_id, advance_id)
        if before is None:
            raise AdvanceUnknown("No such advance.", advance_id=str(advance_id))
        now = deps.clock.now()
        after = begin(before, now=now)
        if after == before:
            return before
        refusal = await _covered(conn, merchant_id, before.amount_fen, deps)
        if isinstance(refusal, int):
            await advances.save(conn, [after])
            await _note(conn, after, "drawing", actor=actor, now=now)
            return after
    await _note_refusal(deps, merchant_id, advance_id, refusal, actor=actor)
    raise refusal


async def send_draws(deps: Deps) -> int:
    """Ask the partner for the advances that are to be drawn, or about those sent; how many."""
    async with deps.db.transaction(quiet=True) as conn:
        taken = await advances.claim(conn, now=deps.clock.now())
    for advance in taken:
        fresh = advance.state is AdvanceState.DRAWING
        answer = await (deps.partner.draw(advance) if fresh else deps.partner.query(advance))
        now = deps.clock.now()
        async with deps.db.transaction() as conn:
            await merchant_money.lock(conn, advance.merchant_id)
            before = await advances.lock(conn, advance.merchant_id, advance.advance_id)
            assert before is not None, "advances are never deleted"
            after = hear(before, answer, today=day_in_china(now), now=now)
            if after == before:
                continue
            await advances.save(conn, [after])
            await _note(conn, after, after.state, actor="partner", now=now)
            if after.state is AdvanceState.DRAWN:
                moved = await write_transfers(conn, [_drawn(after, deps.partner_name, now)])
                await accounts.move(conn, moved)
        log.info("advance.heard", advance_id=str(advance.advance_id), state=after.state)
    return len(taken)


async def _check(
    deps: Deps, merchant_id: UUID, advance_id: UUID, amount_fen: int, *, actor: str
) -> int:
    async with deps.db.transaction() as conn:
        covered = await _covered(conn, merchant_id, amount_fen, deps)
    if isinstance(covered, int):
        return covered
    await _note_refusal(deps, merchant_id, advance_id, covered, actor=actor)
    raise covered


async def _covered(
    conn: Connection, merchant_id: UUID, amount_fen: int, deps: Deps
) -> int | AdvanceNotCovered:
    """Return the delivered receivable in fen if it covers *amount_fen*, else the refusal."""
    money = await merchant_money.get(conn, merchant_id)
    position = await position_of(conn, money, deps)
    day = day_in_china(deps.clock.now())
    known = await merchant_terms.on_day(conn, [merchant_id], day)
    terms = known.get(merchant_id) or MerchantTerms()
    under_way = await advances.on_their_way(conn, merchant_id)
    try:
        require_covered(
            amount_fen,
            delivered_fen=position.delivered_fen,
            taken_fen=position.advance_fen + under_way,
            per_mille=terms.advance_per_mille,
        )
    except AdvanceNotCovered as refusal:
        return refusal
    return position.delivered_fen


async def _note(
    conn: Connection, advance: Advance, move: str, *, actor: str, now: datetime
) -> None:
    await merchant_money.note(
        conn,
        advance.merchant_id,
        MoneySubject.ADVANCE,
        advance.advance_id,
        move,
        actor=actor,
        now=now,
        amount_fen=advance.amount_fen,
        failure=advance.failure,
    )


async def _note_refusal(
    deps: Deps, merchant_id: UUID, advance_id: UUID, refusal: AdvanceNotCovered, *, actor: str
) -> None:
    async with deps.db.transaction() as conn:
        await merchant_money.note(
            conn,
            merchant_id,
            MoneySubject.ADVANCE,
            advance_id,
            f"refused: {refusal.code}",
            actor=actor,
            now=deps.clock.now(),
            **refusal.facts,
        )


def _drawn(advance: Advance, partner: str, now: datetime) -> Transfer:
    return Transfer(
        merchant_id=advance.merchant_id,
        cause_id=advance.advance_id,
        kind=TransferKind.ADVANCE_DRAWN,
        debit_account=chart.ADVANCE,
        credit_account=chart.partner(partner),
        amount_fen=advance.amount_fen,
        occurred_at=now,
    )
