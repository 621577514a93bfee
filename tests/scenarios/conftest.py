"""Worlds for scenarios: all services, the whole outside, and time in our hand."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest

from deploy.secrets import Secrets
from tests.support.dates import at
from tests.support.gateway import Shop
from tests.support.servers import TestDatabases
from tests.support.world import World, world_of


class WorldAt(Protocol):
    """``await world_at("2027-01-04 10:00")``: a world that begins then."""

    async def __call__(self, begins: str, *, nightly: bool = False) -> World: ...


@pytest.fixture
async def world_at(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets
) -> AsyncIterator[WorldAt]:
    """Begin worlds; at the end of a test each must prove its books."""
    async with AsyncExitStack() as stack:
        worlds: list[World] = []

        async def begin(begins: str, *, nightly: bool = False) -> World:
            made = world_of(databases, parties, platform_secrets, now=at(begins), nightly=nightly)
            worlds.append(await stack.enter_async_context(made))
            return worlds[-1]

        yield begin
        for world in worlds:
            await world.night()
            await world.assert_books_agree()


@pytest.fixture
async def world(world_at: WorldAt) -> World:
    """Everything there is, on Monday, 4 January 2027, at ten in China."""
    return await world_at("2027-01-04 10:00")


@pytest.fixture
async def shop(world: World) -> Shop:
    """A merchant that is open; its plan has twelve periods of 299.00, a parcel costs 199.00."""
    shop = Shop(world)
    await shop.open()
    return shop
