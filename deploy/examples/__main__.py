"""``python -m deploy.examples``: record ``docs/examples`` anew from a run of the platform."""

import argparse
import asyncio
import shutil
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from deploy.demo.stage import SCOPES
from deploy.examples import recording, tour
from deploy.platform import Platform
from deploy.running import RunningPlatform
from deploy.topology import SERVICES
from shared.api_keys import install_key, new_token
from shared.clock import SystemClock

QUICK: Final = {"JOB_PAUSE_S": "0.003", "BUS_RETRY_S": "[0.1,0.3,1,3,10,30]"}


async def run(directory: Path, target: Path) -> int:
    """Run a fresh platform in *directory*, write the examples to *target*, say how many."""
    shutil.rmtree(directory, ignore_errors=True)
    quick = {
        name: {f"{name.upper()}_{key}": text for key, text in QUICK.items()} for name in SERVICES
    }
    timeout = aiohttp.ClientTimeout(total=30)
    async with (
        Platform(directory, now=tour.BEGIN, extra_env=quick, fsync=False) as platform,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        running = RunningPlatform.read(platform.state_file)
        async with running.clock() as driver:
            await driver.quiet()
            ground = tour.Ground(
                session=session,
                services=running.services,
                simulators=running.simulators,
                operator_key=running.operator_key,
                key=await _let_in(platform),
                advance=driver.advance,
                settle=driver.quiet,
            )
            documents = await tour.record(ground)
    recording.write(documents, target)
    return len(documents)


async def _let_in(platform: Platform) -> str:
    """Make a key for the merchant's gateway and return it."""
    token, now = new_token("live"), SystemClock().now()
    for service in platform.services:
        conn = await asyncpg.connect(
            platform.dsn(service), server_settings={"search_path": service}
        )
        try:
            await install_key(
                conn,
                token,
                tenant_id=tour.MERCHANT.merchant_id,
                scopes=list(SCOPES),
                name="gateway",
                now=now,
            )
        finally:
            await conn.close()
    return token


def main() -> None:
    """Record the examples."""
    parser = argparse.ArgumentParser(prog="python -m deploy.examples", description=__doc__)
    parser.add_argument("--target", type=Path, default=Path("docs/examples"))
    parser.add_argument("--directory", type=Path, default=Path("var/examples"))
    options = parser.parse_args()
    count = asyncio.run(run(options.directory, options.target))
    print(f"{count} examples in {options.target}")


if __name__ == "__main__":
    main()
