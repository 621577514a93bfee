"""A service without a business: `python -m tests.support.stub_service` runs as billing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic_settings import SettingsConfigDict

from shared.clock import Clock
from shared.db import Database
from shared.jobs import Daily
from shared.service import Service, run
from shared.settings import ServiceSettings
from shared.web import Api


class StubSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="BILLING_")


@dataclass(frozen=True)
class Deps:
    db: Database
    clock: Clock


@asynccontextmanager
async def open_deps(_: StubSettings, db: Database, clock: Clock) -> AsyncIterator[Deps]:
    yield Deps(db, clock)


async def rest(_: Deps) -> int:
    return 0


STUB = Service(
    name="billing",
    settings=StubSettings,
    api=Api(title="stub", version="1"),
    consumers=(),
    jobs=(Daily("rest", 3, 0, rest),),
    open_deps=open_deps,
)

if __name__ == "__main__":
    run(STUB)
