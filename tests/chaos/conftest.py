"""Billing's world of its own, as in its own tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.db import Database
from tests.support.billing_world import BillingWorld, billing_world


@pytest.fixture
async def world(billing_db: Database, parties: Path) -> AsyncIterator[BillingWorld]:
    async with billing_world(billing_db, parties / "keys") as made:
        yield made
