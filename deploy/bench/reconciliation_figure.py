"""
Bill lines reconciled per second, with planted differences that must all be found.

``python -m deploy.bench.reconciliation_figure --lines 1000000`` does it alone, in the product's
own code on a PostgreSQL of its own, and prints lines per second and the peak memory.
"""

import argparse
import asyncio
import csv
import io
import logging
import shutil
import time
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from deploy.bench.bill_scene import (
    expected,
    found,
    lay_charges,
    two_mornings,
    with_bill,
    write_bill,
)
from deploy.bench.billing_day_figure import peak_mb
from deploy.bench.billing_figure import NOWHERE, billing_deps
from deploy.bench.ground import NOW, Ground
from deploy.bench.meter import Compared, measure
from deploy.bench.report import Figure, figure
from deploy.embedded import Postgres, place_for_ordinary_user
from deploy.platform import SERVER_OPTIONS
from deploy.sandbox import keys
from deploy.secrets import load_or_make
from shared.db import Database

MILLION: Final = 1_000_000
PEAK_MB: Final = 512.0
"""The most memory that the process may take, however many lines a bill has."""

CHUNK: Final = 5000

BareRow: TypeAlias = tuple[int | str, ...]

BARE_TABLES: Final = """
    CREATE TABLE bare_bill (line_no int PRIMARY KEY, rail_no text, trade_no text, at text,
        amount text, fee text);
    CREATE TABLE bare_lines (line_no int PRIMARY KEY, rail_no text, trade_no text,
        at timestamptz, amount_fen bigint, fee_fen bigint, attempt_id uuid, merchant_id uuid);
    CREATE INDEX ON bare_lines (attempt_id);
    GRANT ALL ON bare_bill, bare_lines TO billing
"""


async def reconciliation_figure(ground: Ground, work: Path, *, lines: int) -> Figure:
    """Reconcile a bill of *lines* charges, 0.5 percent of them different, on two mornings."""
    keys.make(work / "keys")
    file = work / "bill.zip"
    async with (
        ground.fresh("billing", bare=BARE_TABLES) as db,
        billing_deps(db, NOWHERE, work, now=NOW) as real,
    ):
        planted = await asyncio.to_thread(write_bill, file, lines)
        await lay_charges(db, lines)
        deps = with_bill(real, file)

        async def ours() -> int:
            await two_mornings(deps)
            return lines

        async def bare() -> int:
            await _bare(db, file)
            return lines

        slow = await measure(ours)
        peak = peak_mb()
        quick = await measure(bare)
        seen = await found(db)
    assert seen.tickets == expected(planted), "not every planted difference was found alone"
    assert seen.wrong_matches == 0, f"{seen.wrong_matches} false matches"
    assert peak < PEAK_MB, f"{peak:.0f} MB"
    return figure(
        "reconciliation",
        "lines/s",
        Compared(slow, quick),
        against="unpack, split, copy six fields, insert the join with the attempts, delete",
        lines=float(lines),
        planted=float(planted.count),
        minutes_per_million=slow.wall_s / lines * MILLION / 60,
        peak_mb=peak,
    )


async def _bare(db: Database, file: Path) -> None:
    rows = _bare_rows(file)
    async with db.transaction() as conn:
        while chunk := await asyncio.to_thread(_take, rows):
            await conn.copy_records_to_table("bare_bill", records=chunk)
    async with db.transaction() as conn:
        await conn.execute("SET LOCAL statement_timeout = 0")
        await conn.execute(
            """
            INSERT INTO bare_lines
            SELECT b.line_no, b.rail_no, b.trade_no, b.at::timestamptz,
                   replace(b.amount, '.', '')::bigint, replace(b.fee, '.', '')::bigint,
                   a.attempt_id, a.merchant_id
              FROM bare_bill AS b LEFT JOIN attempts AS a USING (trade_no)
            """,
            timeout=600,
        )
        await conn.execute("DELETE FROM bare_bill", timeout=600)


def _take(rows: Iterator[BareRow]) -> list[BareRow]:
    return list(islice(rows, CHUNK))


def _bare_rows(file: Path) -> Iterator[BareRow]:
    with zipfile.ZipFile(file) as whole, whole.open(whole.infolist()[0]) as raw:
        lines = io.TextIOWrapper(raw, encoding="gb18030")
        for n, row in enumerate(csv.reader(line for line in lines if line[0] != "#")):
            if n:
                yield (n, *(row[k].strip() for k in (0, 1, 5, 11, 22)))


async def _alone(directory: Path, lines: int) -> Figure:
    server = Postgres(directory / "postgres", options=dict(SERVER_OPTIONS))
    passwords = _begin(directory, server)
    await asyncio.to_thread(server.start)
    try:
        return await reconciliation_figure(Ground(server, passwords), directory, lines=lines)
    finally:
        await asyncio.to_thread(server.stop)
        _forget(directory, server)


def _begin(directory: Path, server: Postgres) -> dict[str, str]:
    _forget(directory, server)
    directory.mkdir(parents=True)
    return dict(load_or_make(directory / "secrets.json").passwords)


def _forget(directory: Path, server: Postgres) -> None:
    server.end_stale()
    shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(place_for_ordinary_user(server.directory), ignore_errors=True)


def main() -> None:
    """Measure one bill and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("var/bench/reconciliation"))
    parser.add_argument("--lines", type=int, default=MILLION)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    began = time.monotonic()
    made = asyncio.run(_alone(given.directory.absolute(), given.lines))
    row = made.row() | {"seconds_in_all": round(time.monotonic() - began, 1)}
    print("\n".join(f"{key}: {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
