"""Billing's world: a fresh database, both simulators, its endpoints."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.sandbox import keys
from shared.db import Database
from tests.support.billing_world import BillingWorld, billing_world


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    keys.make(directory)
    return directory


@pytest.fixture
async def world(billing_db: Database, keys_dir: Path) -> AsyncIterator[BillingWorld]:
    async with billing_world(billing_db, keys_dir) as made:
        yield made
