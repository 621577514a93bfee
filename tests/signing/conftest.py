"""Fixtures of signing's tests: a world, and a world with an open shop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.db import Database
from tests.support.signing_builders import World, make_keys, signing_world


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def world(signing_db: Database, keys_dir: Path) -> AsyncIterator[World]:
    async with signing_world(signing_db, keys_dir) as world:
        yield world


@pytest.fixture
async def shop(world: World) -> World:
    await world.open_shop()
    await world.said()
    return world
