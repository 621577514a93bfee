"""What may go into each of several shipments: gathered once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.fulfillment.domain.contents import Choice, Substitute
from services.fulfillment.domain.growth import StageChange
from services.fulfillment.domain.shipment import Shipment
from services.fulfillment.store import agreements, catalogue, people
from services.fulfillment.store.catalogue import Bundles
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a shipment's contents depend on."""

    bundles: Bundles
    stages: tuple[StageChange, ...]
    choice: Choice


async def grounds(conn: Connection, wanted: Sequence[Shipment]) -> dict[UUID, Grounds]:
    """Return the grounds of each shipment by its id; those not known yet are absent."""
    merchants = sorted({one.merchant_id for one in wanted})
    keys = [(one.merchant_id, one.agreement_id) for one in wanted]
    signed = await agreements.find(conn, keys)
    changes = await agreements.changes(conn, keys)
    pets = await people.pets(conn, [(one.merchant_id, one.pet_id) for one in wanted])
    plan_keys = [(one.merchant_id, one.plan_id, one.plan_version) for one in signed.values()]
    plans = await catalogue.plans(conn, plan_keys)
    catalogues = await catalogue.catalogues(conn, merchants)
    substitutes = await catalogue.substitutes_of(conn, merchants)
    found: dict[UUID, Grounds] = {}
    for one in wanted:
        agreement = signed[one.merchant_id, one.agreement_id]
        pet = pets.get((one.merchant_id, one.pet_id))
        plan = plans.get((one.merchant_id, agreement.plan_id, agreement.plan_version))
        if pet is None or plan is None:
            continue
        choice = Choice(
            catalogues[one.merchant_id],
            [*_signed(plan, agreement.signed_at), *substitutes[one.merchant_id]],
            agreement.signed_at,
            pet.allergies,
            agreement.substitutes_agreed,
        )
        stages = tuple(changes.get((one.merchant_id, one.agreement_id), ()))
        found[one.shipment_id] = Grounds(plan, stages, choice)
    return found


def _signed(plan: Bundles, signed_at: datetime) -> list[Substitute]:
    """Return the substitutes that stand in the signed plan itself."""
    wanted = [one for bundle in plan.values() for one in bundle]
    pairs = dict.fromkeys((one.sku, by) for one in wanted for by in one.substitutes)
    return [Substitute(sku, by, signed_at) for sku, by in pairs]
