"""Remember what signing tells: plans, pets, addresses, agreements."""

from pydantic import BaseModel, ConfigDict, ValidationError

from services.fulfillment.deps import Deps
from services.fulfillment.domain.agreement import Agreement, Pet, Recipient
from services.fulfillment.domain.contents import Wanted
from services.fulfillment.domain.growth import Stage
from services.fulfillment.store import agreements, catalogue, people
from services.signing.contract import (
    AgreementCompleted,
    AgreementSigned,
    ContactChanged,
    CustomerRegistered,
    PetRegistered,
    PlanPublished,
)
from shared.db import Connection
from shared.sealing import NotReadable

_STAGES = {stage.value: stage for stage in Stage}


class _Contact(BaseModel):
    """What is sealed for fulfillment."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    phone: str
    province: str
    city: str
    district: str = ""
    address: str


async def learn_plan(conn: Connection, plan: PlanPublished, _: Deps) -> None:
    """Remember the bundles of a plan's version; stages unknown to us are left out."""
    bundles = {
        _STAGES[bundle.stage]: tuple(
            Wanted(one.sku, one.quantity, one.substitutes) for one in bundle.items
        )
        for bundle in plan.bundles
        if bundle.stage in _STAGES
    }
    await catalogue.add_plan(conn, (plan.merchant_id, plan.plan_id, plan.version), bundles)


async def learn_pet(conn: Connection, told: PetRegistered, deps: Deps) -> None:
    """Remember a pet, and look again at the stage of its agreements if it changed."""
    pet = Pet(
        told.merchant_id,
        told.pet_id,
        told.customer_id,
        told.species,
        told.size,
        told.born_on,
        told.allergies,
    )
    if await people.save_pet(conn, pet, told_at=told.occurred_at):
        now = deps.clock.now()
        await agreements.look_at_stage(conn, pet.merchant_id, pet.pet_id, at=now)


async def learn_recipient(
    conn: Connection, told: CustomerRegistered | ContactChanged, deps: Deps
) -> None:
    """
    Remember where a customer's parcels go, encrypted.

    Raises:
        NotReadable: What was sealed is not for us, or is no address.
    """
    opened = deps.unsealer.open(told.sealed_for_fulfillment)
    try:
        contact = _Contact.model_validate(opened)
    except ValidationError:
        # The validation error would carry the address into the logs.
        raise NotReadable("What was sealed is no address.") from None
    key = (told.merchant_id, told.customer_id)
    recipient = Recipient(**contact.model_dump())
    await people.save_recipient(conn, key, recipient, deps.cipher, told_at=told.occurred_at)


async def learn_agreement(conn: Connection, signed: AgreementSigned, deps: Deps) -> None:
    """Remember a signed agreement; the pet's stage is followed if parcels are sent."""
    agreement = Agreement(
        signed.merchant_id,
        signed.agreement_id,
        signed.customer_id,
        signed.pet_id,
        signed.plan_id,
        signed.plan_version,
        signed.signed_at,
        signed.substitutes_agreed,
    )
    due_at = deps.clock.now() if signed.auto_ship else None
    await agreements.add(conn, agreement, stage_due_at=due_at)


async def stop_following(conn: Connection, completed: AgreementCompleted, _: Deps) -> None:
    """Announce no more stages: every parcel of this agreement is on its way."""
    key = (completed.merchant_id, completed.agreement_id)
    await agreements.set_stage_due(conn, [(key, None)])
