"""One instalment moves to a day that the customer agreed to, with notices of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement, AgreementState
from services.billing.domain.errors import PostponementDayInvalid, PostponementNotPossible
from services.billing.domain.history import Actor, Move
from services.billing.domain.instalment import CHARGEABLE, Instalment
from services.billing.domain.postponement import postpone
from services.billing.store import agreements, changes, history, instalments
from services.billing.usecases import announce
from services.billing.usecases.change_schedule import Standing, stand, write_terms
from shared import outbox
from shared.db import Connection

LATEST_AFTER: Final = timedelta(days=27)
"""A period moves within its own month; who needs longer pauses."""

SOURCE: Final = "B7, WH-10: by agreement, with new notices at least 48 h before"
FOLLOWS: Final = "Alipay's plan moves only later: a later period waits for its window"


@dataclass(frozen=True, slots=True)
class Postponement:
    """What moves, from what to what, and between which days one may choose."""

    before: dict[UUID, Instalment]
    changed: list[Instalment]
    earliest: date
    latest: date


async def preview_postponement(
    conn: Connection, deps: Deps, merchant_id: UUID, instalment_id: UUID, to_day: date
) -> Postponement:
    """
    Return what a postponement would move; nothing is written.

    Raises:
        InstalmentUnknown, PostponementNotPossible, PostponementDayInvalid: see there.
    """
    found = await instalments.find(conn, merchant_id, instalment_id)
    (agreement,) = await agreements.by_ids(conn, [found.agreement_id])
    standing = await stand(conn, agreement, deps)
    return _decide(agreement, standing, instalment_id, to_day, now=deps.clock.now())


async def postpone_instalment(
    conn: Connection,
    deps: Deps,
    merchant_id: UUID,
    instalment_id: UUID,
    to_day: date,
    *,
    consent: Mapping[str, object],
) -> Postponement:
    """
    Move an instalment to the agreed day.

    Raises:
        InstalmentUnknown: There is none, or it is another merchant's.
        PostponementNotPossible: It is paid, missed, ended or being collected.
        PostponementDayInvalid: Too soon for its notices, too late, or another period's day.
    """
    now = deps.clock.now()
    found = await instalments.find(conn, merchant_id, instalment_id)
    agreement = await agreements.lock(conn, found.agreement_id)
    standing = await stand(conn, agreement, deps)
    done = _decide(agreement, standing, instalment_id, to_day, now=now)
    terms_no = agreement.terms_no + 1
    changed = [replace(one, terms_no=terms_no) for one in done.changed]
    await agreements.save(conn, [replace(agreement, terms_no=terms_no)])
    await instalments.save(conn, changed)
    await write_terms(conn, done.before, changed)
    await changes.add_postponement(
        conn,
        instalment_id,
        from_day=done.before[instalment_id].charge_on,
        to_day=to_day,
        consent=consent,
        at=now,
    )
    await history.add(conn, [_move(done.before[one.instalment_id], one, now) for one in changed])
    await outbox.add(
        conn,
        *(
            announce.postponed(done.before[one.instalment_id], one, "agreed", now=now)
            for one in changed
        ),
    )
    return done


def _decide(
    agreement: Agreement,
    standing: Standing,
    instalment_id: UUID,
    to_day: date,
    *,
    now: datetime,
) -> Postponement:
    instalment = standing.rows[instalment_id]
    chargeable = instalment.state in CHARGEABLE and instalment_id not in standing.busy
    by_hand = instalment.is_free or instalment.is_down_payment
    if agreement.state is not AgreementState.ACTIVE or not chargeable or by_hand:
        raise PostponementNotPossible(
            "This instalment cannot be moved now.", state=instalment.state.value
        )
    others = [one for one in standing.rows.values() if one.instalment_id != instalment_id]
    following = [one.charge_on for one in others if one.charge_on > instalment.charge_on]
    latest = instalment.charge_on + LATEST_AFTER
    latest = min([latest, *(day - timedelta(days=1) for day in following)])
    earliest = max(standing.ahead.earliest, instalment.charge_on + timedelta(days=1))
    if not earliest <= to_day <= latest:
        raise PostponementDayInvalid(
            "No notice or no room for this day.",
            earliest=earliest.isoformat(),
            latest=latest.isoformat(),
        )
    changed = postpone(
        instalment,
        others,
        agreement,
        now=now,
        permission=standing.permission,
        agreed_on=to_day,
    )
    return Postponement(standing.rows, changed, earliest, latest)


def _move(before: Instalment, after: Instalment, now: datetime) -> Move:
    about, days = after.instalment_id, f"{before.charge_on}..{after.charge_on}"
    reason = f"agreed {days}"
    return Move("instalment", about, about, before.state, "postponed", Actor.CUSTOMER, reason, now)
