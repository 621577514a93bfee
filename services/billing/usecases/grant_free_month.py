"""A free month has come: nothing is charged, and the others are told what the merchant gives."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.billing.contract import InstalmentGranted
from services.billing.domain.agreement import Agreement
from services.billing.domain.instalment import Instalment, InstalmentMove, moved
from services.billing.store import agreements
from services.billing.usecases import announce
from shared.db import Connection
from shared.events import Event
from shared.ids import derived_id


def granted(instalment: Instalment, *, now: datetime) -> Instalment:
    """Return a free month after it was given; raises MoveForbidden if it was given before."""
    return replace(
        instalment,
        state=moved(instalment.state, InstalmentMove.GRANT),
        paid_at=now,
        next_try_at=None,
        next_notice_at=None,
        next_dunning_at=None,
    )


def granted_event(instalment: Instalment, agreement: Agreement, *, now: datetime) -> Event:
    """Return the event of a free month; the same one however often it is made."""
    return InstalmentGranted(
        event_id=derived_id("granted", instalment.instalment_id),
        occurred_at=now,
        pet_id=agreement.pet_id,
        bonus_fen=instalment.bonus_fen,
        hold_fen=agreement.hold_fen,
        auto_ship=agreement.auto_ship,
        granted_at=now,
        **announce.of_instalment(instalment),
    )


async def tell_if_all_is_paid(
    conn: Connection, agreement_ids: Sequence[UUID], *, now: datetime
) -> list[Event]:
    """Return the events of those agreements of which nothing is unpaid after this; once each."""
    if not agreement_ids:
        return []
    done = await agreements.mark_fully_paid(conn, agreement_ids)
    return [announce.fully_paid(agreement, now=now) for agreement in done]
