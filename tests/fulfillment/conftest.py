"""Fulfillment between its simulators, for each test anew."""

from collections.abc import AsyncIterator

import pytest

from shared.db import Database
from tests.support.fulfillment_builders import FulfillmentForTests, fulfilling


@pytest.fixture
async def shop(fulfillment_db: Database) -> AsyncIterator[FulfillmentForTests]:
    async with fulfilling(fulfillment_db) as world:
        yield world
