"""Ask for the notices that customers are owed before their charges."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.billing.contract import NoticeRequested
from services.billing.deps import Deps
from services.billing.domain.agreement import ENDED, Agreement, AgreementState
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import CHARGEABLE, Instalment, InstalmentMove, moved
from services.billing.domain.mandate import Mandate, MandateState
from services.billing.domain.notices import (
    CHANNELS,
    RAIL_CHANNEL,
    Notice,
    NoticeKind,
    PlannedNotice,
    outside_quiet_hours,
    plan,
)
from services.billing.domain.postponement import rail_notice_days
from services.billing.store import agreements, history, instalments, mandates, notices
from services.billing.usecases.announce import of_instalment
from services.billing.usecases.gather_facts import permission_of
from services.signing.contract import Rail
from shared import outbox
from shared.calendar import at_in_china, day_in_china
from shared.events import Event
from shared.ids import derived_id

LOOK_AGAIN_HOUR: Final = 10
"""An agreement whose charges rest is looked at again at ten the next morning."""


async def request_notices(deps: Deps) -> int:
    """
    Ask for what is owed by now for one batch of instalments; return how many there were.

    A notice is about one charge date and amount and is asked for once.  Nobody is told of
    a charge that would not be made: such instalments are looked at again the next day.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await instalments.claim_to_notice(conn, now=now, limit=deps.terms.batch)
        ids = list({one.agreement_id for one in due})
        known = {one.agreement_id: one for one in await agreements.by_ids(conn, ids)}
        granted = await mandates.newest(conn, ids)
        asked = await notices.kinds_requested(conn, [one.instalment_id for one in due])
        fresh: list[Notice] = []
        changed: list[Instalment] = []
        for instalment in due:
            agreement = known[instalment.agreement_id]
            mandate = granted.get(instalment.agreement_id)
            by_itself = not (instalment.is_free or instalment.is_down_payment)
            if instalment.state not in CHARGEABLE or agreement.state in ENDED or not by_itself:
                changed.append(replace(instalment, next_notice_at=None))
                continue
            if not _will_be_charged(agreement, mandate):
                changed.append(_tomorrow(instalment, now=now))
                continue
            days = rail_notice_days(permission_of(agreement, mandate, deps))
            planned = plan(instalment.charge_at, rail_notice_days=days)
            left = [
                one for one in planned if one.kind not in asked.get(instalment.instalment_id, ())
            ]
            fresh += [_notice(instalment, one, now=now) for one in left if one.send_at <= now]
            changed.append(_next(instalment, left, now=now))
        added = await notices.add(conn, fresh)
        await instalments.save(conn, changed)
        by_id = {one.instalment_id: one for one in due}
        await history.add(conn, _moves(by_id, changed, now=now))
        await outbox.add(conn, *_events(fresh, by_id, known, added, now=now))
    return len(due)


def _will_be_charged(agreement: Agreement, mandate: Mandate | None) -> bool:
    return (
        agreement.flagged_at is None
        and agreement.state is not AgreementState.PAUSED
        and not agreement.holds
        and mandate is not None
        and mandate.state is MandateState.ACTIVE
    )


def _tomorrow(instalment: Instalment, *, now: datetime) -> Instalment:
    at = at_in_china(day_in_china(now) + timedelta(days=1), LOOK_AGAIN_HOUR)
    return replace(instalment, next_notice_at=at if at < instalment.charge_at else None)


def _next(instalment: Instalment, left: Sequence[PlannedNotice], *, now: datetime) -> Instalment:
    later = [one.send_at for one in left if one.send_at > now]
    told = any(one.kind is NoticeKind.REMINDER and one.send_at <= now for one in left)
    state = instalment.state
    if told and state is not state.DUE:
        state = moved(state, InstalmentMove.NOTICE)
    at = min(later, default=None)
    return replace(instalment, state=state, next_notice_at=at and outside_quiet_hours(at))


def _notice(instalment: Instalment, planned: PlannedNotice, *, now: datetime) -> Notice:
    rail = planned.kind is NoticeKind.RAIL
    return Notice(
        notice_id=_notice_id(instalment, planned.kind),
        instalment_id=instalment.instalment_id,
        merchant_id=instalment.merchant_id,
        kind=planned.kind,
        channels=(RAIL_CHANNEL,) if rail else CHANNELS,
        charge_on=instalment.charge_on,
        amount_fen=instalment.amount_fen,
        requested_at=now,
        send_by=planned.send_by,
        terms_no=instalment.terms_no,
    )


def _notice_id(instalment: Instalment, kind: NoticeKind) -> UUID:
    """Return the same id for the same notice; other terms need a notice of their own."""
    about = (instalment.instalment_id, kind, instalment.charge_on)
    if instalment.terms_no:
        return derived_id("notice", *about, instalment.terms_no)
    return derived_id("notice", *about)


def _moves(
    before: dict[UUID, Instalment], changed: Sequence[Instalment], *, now: datetime
) -> list[Move]:
    return [
        Move(
            "instalment",
            after.instalment_id,
            after.instalment_id,
            before[after.instalment_id].state,
            after.state,
            Actor.JOB,
            "notices requested",
            now,
        )
        for after in changed
        if after.state is not before[after.instalment_id].state
    ]


def _events(
    fresh: Sequence[Notice],
    about: dict[UUID, Instalment],
    known: dict[UUID, Agreement],
    added: set[UUID],
    *,
    now: datetime,
) -> list[Event]:
    return [
        NoticeRequested(
            event_id=derived_id("notice_requested", notice.notice_id),
            occurred_at=now,
            notice_id=notice.notice_id,
            kind=notice.kind.value,
            channels=notice.channels,
            rail=Rail(known[about[notice.instalment_id].agreement_id].rail),
            charge_at=about[notice.instalment_id].charge_at,
            send_by=notice.send_by,
            **of_instalment(about[notice.instalment_id]),
        )
        for notice in fresh
        if notice.notice_id in added and notice.kind is not NoticeKind.RAIL
    ]
