"""One instalment, everything that can happen to it, in all orders, with deaths in between."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import combinations
from typing import Final

import pytest

from deploy.sandbox.alipay import AlipaySandbox
from services.signing.contract import AgreementActivated
from shared.ids import derived_id
from tests.support.all_orders import (
    HAPPENINGS,
    Explorer,
    Mortal,
    RewindableClock,
    Scene,
    scene_deps,
)
from tests.support.billing_builders import a_mandate, a_merchant, a_signing
from tests.support.billing_world import BillingWorld
from tests.support.model_rail import ModelRail

LIVES_AT_LEAST: Final = 50
"""So many ways to end there are; fewer would mean that the search stops early."""


@pytest.fixture
async def scene(world: BillingWorld) -> AsyncIterator[Scene]:
    """An instalment on the day of its charge, both notices proven, nothing tried yet."""
    signing = a_signing(1, periods=1)
    await world.hear(a_merchant())
    await world.hear(a_mandate(product="alipay_general"))
    await world.hear(signing)
    await world.live_until(signing.cooling_off_ends_at)
    await world.hear(
        AgreementActivated(
            event_id=derived_id("activated", signing.agreement_id),
            occurred_at=world.clock.now(),
            agreement_id=signing.agreement_id,
            merchant_id=signing.merchant_id,
            customer_id=signing.customer_id,
        )
    )
    instalment = await world.instalment(signing.agreement_id)
    await world.live_until(instalment.charge_at - timedelta(minutes=1))
    clock, mortal = RewindableClock(instalment.charge_at), Mortal()
    rail = ModelRail(mortal)
    assert isinstance(world.alipay, AlipaySandbox)
    async with world.db.connection() as conn:
        everything = conn.transaction()
        await everything.start()
        yield Scene(
            conn=conn,
            deps=scene_deps(world.deps, conn, rail, mortal, clock),
            clock=clock,
            rail=rail,
            mortal=mortal,
            sandbox=world.alipay,
            agreement_id=signing.agreement_id,
            instalment_id=instalment.instalment_id,
            token=instalment.pay_token,
        )
        await everything.rollback()


async def test_in_every_order_one_success_and_the_rest_goes_back(scene: Scene):
    explorer = Explorer(scene)

    await explorer.explore()

    assert explorer.found == []
    assert explorer.ends > LIVES_AT_LEAST


async def test_a_death_between_any_two_steps_changes_nothing(scene: Scene):
    """Every three of them, in all orders, with one death at every moment that there is."""
    for three in combinations(HAPPENINGS, 3):
        explorer = Explorer(scene, happenings=three, deaths=1)

        await explorer.explore()

        assert explorer.found == []


async def test_a_rail_that_does_not_know_its_orders_again_is_found_out(scene: Scene):
    """The search itself can fail: here money is taken twice, and it sees it."""
    scene.rail.forgetful = True
    explorer = Explorer(scene)

    await explorer.explore()

    assert any("taken twice under one number" in one for one in explorer.found)
