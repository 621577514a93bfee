"""Pets grow: find the next stage in time, announce it, and note from when it counts."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from services.fulfillment.contract import StageChanged
from services.fulfillment.deps import Deps
from services.fulfillment.domain.agreement import Agreement, Pet
from services.fulfillment.domain.growth import (
    ANNOUNCED_BEFORE_DAYS,
    Stage,
    StageChange,
    change_of_stage,
    growth_stage,
    next_stage_on,
)
from services.fulfillment.store import agreements, people
from shared import outbox
from shared.calendar import at_in_china, day_in_china
from shared.ids import derived_id

log = structlog.get_logger()

BATCH: Final = 500
RETRY: Final = timedelta(hours=1)
"""When to look again for a pet that has not been heard of."""
ANNOUNCE_HOUR: Final = 10


async def follow_stages(deps: Deps) -> int:
    """
    Look at one batch of agreements whose pet may grow; return how many there were.

    What is signed begins with the stage of that day.  A change counts from the day the
    new stage begins, and never sooner than five days after it was announced.
    """
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        due = await agreements.claim_stage_due(conn, now=now, limit=BATCH, retry=RETRY)
        pets = await people.pets(conn, [(one.merchant_id, one.pet_id) for one in due])
        keys = [(one.merchant_id, one.agreement_id) for one in due]
        changes = await agreements.changes(conn, keys)
        looked = [
            (one, pet, _changes(one, pet, changes.get(key, []), today=day_in_china(now)))
            for key, one in zip(keys, due, strict=True)
            if (pet := pets.get((one.merchant_id, one.pet_id)))
        ]
        fresh = [(one, change) for one, _, found in looked for change in found]
        await agreements.add_changes(
            conn, [((one.merchant_id, one.agreement_id), change) for one, change in fresh], now=now
        )
        await agreements.set_stage_due(
            conn,
            [((one.merchant_id, one.agreement_id), _next_look(pet, now)) for one, pet, _ in looked],
        )
        announced = [pair for pair in fresh if pair[1].from_stage is not None]
        await outbox.add(conn, *(_changed(one, change, now) for one, change in announced))
    if announced:
        log.info("stages.announced", count=len(announced))
    return len(due)


def stage_on(changes: Sequence[StageChange], day: date) -> Stage | None:
    """Return which stage's parcel leaves on *day*; None while nothing is known."""
    begun = [change.to_stage for change in changes if change.from_day <= day]
    return begun[-1] if begun else None


def _changes(
    agreement: Agreement, pet: Pet, known: Sequence[StageChange], *, today: date
) -> list[StageChange]:
    found: list[StageChange] = []
    if known:
        stage = known[-1].to_stage
    else:
        signed_on = day_in_china(agreement.signed_at)
        stage = growth_stage(pet.species, pet.size, born_on=pet.born_on, on=signed_on)
        found.append(StageChange(None, stage, signed_on))
    change = change_of_stage(pet.species, pet.size, born_on=pet.born_on, stage=stage, today=today)
    return [*found, change] if change else found


def _next_look(pet: Pet, now: datetime) -> datetime | None:
    ahead = timedelta(days=ANNOUNCED_BEFORE_DAYS)
    day = next_stage_on(pet.species, pet.size, born_on=pet.born_on, after=day_in_china(now) + ahead)
    return None if day is None else at_in_china(day - ahead, ANNOUNCE_HOUR)


def _changed(agreement: Agreement, change: StageChange, now: datetime) -> StageChanged:
    assert change.from_stage is not None
    return StageChanged(
        event_id=derived_id(StageChanged.subject, agreement.agreement_id, change.from_day),
        occurred_at=now,
        agreement_id=agreement.agreement_id,
        merchant_id=agreement.merchant_id,
        customer_id=agreement.customer_id,
        pet_id=agreement.pet_id,
        from_stage=change.from_stage,
        to_stage=change.to_stage,
        from_day=change.from_day,
    )
