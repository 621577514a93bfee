"""Worlds for scenarios: all services, the whole outside, and time in our hand."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.secrets import Secrets
from tests.support.dates import at
from tests.support.gateway import Shop
from tests.support.servers import TestDatabases
from tests.support.world import World, world_of


@pytest.fixture
async def world(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets
) -> AsyncIterator[World]:
    """Everything there is, on Monday, 4 January 2027, at ten in China."""
    start = at("2027-01-04 10:00")
    async with world_of(databases, parties, platform_secrets, now=start) as world:
        yield world
        await world.night()
        await world.assert_books_agree()


@pytest.fixture
async def shop(world: World) -> Shop:
    """A merchant that is open."""
    shop = Shop(world)
    await shop.open()
    return shop
