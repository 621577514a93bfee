"""Read what the debit gate must know, for a whole batch in a few statements."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.billing.deps import Deps
from services.billing.domain.agreement import Agreement
from services.billing.domain.breaker import BreakerState
from services.billing.domain.debit_gate import GateFacts
from services.billing.domain.instalment import Instalment
from services.billing.domain.mandate import Mandate
from services.billing.store import (
    agreements,
    attempts,
    breakers,
    mandates,
    merchants,
    notices,
    shipments,
)
from shared.calendar import day_in_china
from shared.db import Connection
from shared.rails.permissions import Permission


async def gather_facts(
    conn: Connection, due: Sequence[Instalment], deps: Deps, *, now: datetime
) -> dict[UUID, GateFacts]:
    """Return the gate's facts for each of *due*, whose agreements are locked."""
    ids = [instalment.instalment_id for instalment in due]
    agreement_ids = list({instalment.agreement_id for instalment in due})
    known = {one.agreement_id: one for one in await agreements.by_ids(conn, agreement_ids)}
    granted = await mandates.newest(conn, agreement_ids)
    parties = await merchants.facts(conn, list({one.merchant_id for one in known.values()}))
    proofs = await notices.proofs(conn, ids)
    unclear = await attempts.open_of(conn, ids)
    today = day_in_china(now)
    charged = await attempts.charged_since(conn, agreement_ids, today.replace(day=1))
    late = await shipments.late_since(conn, ids)
    resting = {
        one.rail for one in await breakers.every(conn) if one.state is not BreakerState.CLOSED
    }
    facts = {}
    for instalment in due:
        agreement = known[instalment.agreement_id]
        mandate = granted.get(instalment.agreement_id)
        others = [
            one
            for one in charged.get(instalment.agreement_id, ())
            if one.instalment_id != instalment.instalment_id
        ]
        facts[instalment.instalment_id] = GateFacts(
            now=now,
            instalment=instalment,
            agreement=agreement,
            mandate=mandate,
            merchant=parties.get(agreement.merchant_id),
            permission=_permission(mandate, deps.permissions),
            proofs=proofs.get(instalment.instalment_id, ()),
            open_elsewhere=instalment.instalment_id in unclear,
            charged_today=any(one.on_day == today for one in others),
            charges=others,
            late_since=late.get(instalment.instalment_id),
            rail_resting=(agreement.rail if mandate is None else mandate.rail) in resting,
        )
    return facts


def permission_of(agreement: Agreement, mandate: Mandate | None, deps: Deps) -> Permission | None:
    """Return what the mandate's product permits; None without a mandate or for a strange one."""
    assert mandate is None or mandate.agreement_id == agreement.agreement_id
    return _permission(mandate, deps.permissions)


def _permission(
    mandate: Mandate | None, permissions: Mapping[tuple[str, str], Permission]
) -> Permission | None:
    return None if mandate is None else permissions.get((mandate.rail, mandate.product))
