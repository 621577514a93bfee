"""
Measure every figure of the platform's speed: ``python -m deploy.bench``.

Each stands beside its ceiling: a bare program doing the same input and output on the same
machine in the same run.  Writes ``report.json`` and prints a table.
"""

import argparse
import asyncio
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from deploy.bench.billing_day_figure import billing_day_figure
from deploy.bench.billing_figure import billing_figure
from deploy.bench.bus_figures import bus_figures
from deploy.bench.chain_figure import chain_figure
from deploy.bench.ground import NOW, Ground
from deploy.bench.postings_figure import postings_figures
from deploy.bench.rail import lay_agreements
from deploy.bench.reconciliation_figure import reconciliation_figure
from deploy.bench.report import Figure, table, write
from deploy.bench.signing_figure import signing_figure
from deploy.bench.sizes import QUICK, USUAL, Sizes
from deploy.bench.wallet_figure import wallet_figure
from deploy.embedded import Postgres, place_for_ordinary_user
from deploy.platform import SERVER_OPTIONS, Platform
from deploy.secrets import load_or_make

ALL: Final = (
    "bus",
    "wallet",
    "postings",
    "billing",
    "billing-day",
    "reconciliation",
    "signing",
    "chain",
)
ALONE: Final = ("bus", "wallet", "postings", "billing", "billing-day", "reconciliation")
REPORT: Final = "report.json"
QUEUE_ONLY: Final = {"notify": {"NOTIFY_JOB_PAUSE_S": "3600"}}
"""Messages are queued and not sent: the chain ends there."""


async def bench(directory: Path, sizes: Sizes, wanted: Sequence[str]) -> list[Figure]:
    """Measure the *wanted* figures, write the report into *directory* and return them."""
    work = directory / "work"
    figures = await _with_processes(work / "platform", sizes, wanted)
    figures += await _alone(work / "alone", sizes, wanted)
    shutil.rmtree(work, ignore_errors=True)
    write(figures, directory / REPORT)
    return figures


async def _with_processes(directory: Path, sizes: Sizes, wanted: Sequence[str]) -> list[Figure]:
    """Measure what needs the services as processes."""
    figures: list[Figure] = []
    if not {"signing", "chain"}.intersection(wanted):
        return figures
    server = Postgres(directory / "postgres")
    _forget(directory, server)
    books = directory / "sandbox" / "alipay.sqlite"
    customers = 2 * sizes.chain * sizes.chain_rounds
    await asyncio.to_thread(lay_agreements, directory / "keys", books, customers, silent=False)
    try:
        async with Platform(directory, now=NOW, extra_env=QUEUE_ONLY) as platform:
            if "signing" in wanted:
                print("Asking signing for quotes", flush=True)
                figures.append(
                    await signing_figure(platform, requests=sizes.requests, rounds=sizes.rounds)
                )
            if "chain" in wanted:
                print("Charging, crediting, planning, telling", flush=True)
                figures.append(
                    await chain_figure(platform, charges=sizes.chain, rounds=sizes.chain_rounds)
                )
    finally:
        _forget(directory, server)
    return figures


async def _alone(work: Path, sizes: Sizes, wanted: Sequence[str]) -> list[Figure]:
    """Measure what needs no service as a process, on a cluster of its own."""
    figures: list[Figure] = []
    if not set(ALONE).intersection(wanted):
        return figures
    server = Postgres(work / "postgres", options=dict(SERVER_OPTIONS))
    passwords = _begin(work, server)
    await asyncio.to_thread(server.start)
    ground = Ground(server, passwords)
    try:
        if "bus" in wanted:
            print("Relaying and consuming events", flush=True)
            figures += await bus_figures(ground, work, events=sizes.events, rounds=sizes.rounds)
        if "wallet" in wanted:
            print("Crediting wallets", flush=True)
            figures.append(
                await wallet_figure(ground, credits_a_run=sizes.credits, rounds=sizes.rounds)
            )
        if "postings" in wanted:
            print("Posting on many accounts and on one", flush=True)
            figures += await postings_figures(
                ground,
                credits_a_run=sizes.credits,
                rounds=sizes.rounds,
                seconds=sizes.pgbench_s,
            )
        if "billing-day" in wanted:
            print(f"Selecting {sizes.due:,} due instalments", flush=True)
            figures.append(await billing_day_figure(ground, work / "day", due=sizes.due))
        if "reconciliation" in wanted:
            print(f"Reconciling a bill of {sizes.bill_lines:,} lines", flush=True)
            figures.append(
                await reconciliation_figure(ground, work / "bill", lines=sizes.bill_lines)
            )
        if "billing" in wanted:
            print("Charging", flush=True)
            figures.append(
                await billing_figure(ground, work, charges=sizes.charges, rounds=sizes.rounds)
            )
    finally:
        await asyncio.to_thread(server.stop)
        _forget(work, server)
    return figures


def _begin(work: Path, server: Postgres) -> dict[str, str]:
    _forget(work, server)
    work.mkdir(parents=True)
    return dict(load_or_make(work / "secrets.json").passwords)


def _forget(work: Path, server: Postgres) -> None:
    server.end_stale()
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(place_for_ordinary_user(server.directory), ignore_errors=True)


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("var/bench"))
    parser.add_argument("--quick", action="store_true", help="little of everything, once")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sizes = QUICK if given.quick else USUAL
    figures = asyncio.run(bench(given.directory.absolute(), sizes, given.only))
    print(f"\n{table(figures)}\n\n{given.directory / REPORT}")


if __name__ == "__main__":
    main()
