"""How many collections a second become credited wallets: `python -m tests.wallet.measure_credits`.

Two ceilings, in the same database and the same run, batch by batch: a bare consumer that
claims the inbox and inserts one row per event; and one that writes as many rows as we must
(two transfers, a hold, two events, and three balances of a wallet and its ledger), each
table by one bare statement, and decides nothing.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from services.billing.contract import ChargeCollected
from services.wallet.domain.accounts import Purse, wallet
from services.wallet.usecases.check_invariants import prove_balances
from shared import inbox
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.servers import TestDatabases, postgres
from tests.support.wallet_builders import WalletForTests, a_collection

BATCH = 500
BATCHES = 30
CUSTOMERS = 3000

Batch = list[bytes]


def batches() -> list[Batch]:
    """Return messages as they lie in the stream: twelve periods of each customer, mixed."""
    return [
        [_message(number * BATCH + place).model_dump_json().encode() for place in range(BATCH)]
        for number in range(BATCHES)
    ]


def _message(number: int) -> ChargeCollected:
    customer = number % CUSTOMERS
    return a_collection(
        number // CUSTOMERS + 1,
        agreement_id=derived_id("agreement", customer),
        customer_id=derived_id("customer", customer),
        merchant_id=derived_id("merchant", customer % 10),
    )


async def bare(db: Database, batch: Batch) -> None:
    """Claim and insert, one row per event."""
    events = [ChargeCollected.model_validate_json(body) for body in batch]
    async with db.transaction() as conn:
        await inbox.claim(conn, "bare", [event.event_id for event in events])
        await conn.execute(
            """
            INSERT INTO bare_transfers
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[],
                                 $6::timestamptz[])
            """,
            [new_id() for _ in events],
            [event.merchant_id for event in events],
            [f"rail:{event.rail}" for event in events],
            [wallet(event.customer_id, Purse.PRINCIPAL) for event in events],
            [event.amount_fen for event in events],
            [event.collected_at for event in events],
        )


async def same_rows(db: Database, batch: Batch) -> None:
    """Claim, and write as many rows as crediting does."""
    events = [ChargeCollected.model_validate_json(body) for body in batch]
    async with db.transaction() as conn:
        await inbox.claim(conn, "same", [event.event_id for event in events])
        for _ in range(2):
            await conn.execute(
                """
                INSERT INTO bare_transfers
                SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[],
                                     $5::bigint[], $6::timestamptz[])
                """,
                [new_id() for _ in events],
                [event.merchant_id for event in events],
                [f"rail:{event.rail}" for event in events],
                [wallet(event.customer_id, Purse.PRINCIPAL) for event in events],
                [event.amount_fen for event in events],
                [event.collected_at for event in events],
            )
        await conn.execute(
            "INSERT INTO bare_holds SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])",
            [event.instalment_id for event in events],
            [event.agreement_id for event in events],
            [event.hold_fen for event in events],
        )
        for purse in ("principal", "held", "ledger"):
            await conn.execute(
                """
                INSERT INTO bare_balances AS b
                SELECT n.owner || $3, n.change FROM unnest($1::text[], $2::bigint[])
                    AS n (owner, change) ORDER BY 1
                ON CONFLICT (owner) DO UPDATE SET balance = b.balance + EXCLUDED.balance
                """,
                [str(event.customer_id) for event in events],
                [event.amount_fen for event in events],
                purse,
            )
        await conn.execute(
            """
            INSERT INTO outbox (event_id, subject, aggregate_id, occurred_at, body)
            SELECT n.id, 'bare', n.about, n.at, n.body
              FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bytea[])
                AS n (id, about, at, body)
            """,
            [new_id() for _ in events] * 2,
            [str(event.agreement_id) for event in events] * 2,
            [event.collected_at for event in events] * 2,
            batch * 2,
        )


async def rate(work: Callable[[Batch], Awaitable[None]], todo: Sequence[Batch]) -> float:
    began_s = time.perf_counter()
    for batch in todo:
        await work(batch)
    return len(todo) * BATCH / (time.perf_counter() - began_s)


async def main() -> None:
    """Measure both and print events per second."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with postgres() as cluster:
        async with TestDatabases(cluster).fresh("wallet") as db:
            books = WalletForTests(db)

            async def credit(batch: Batch) -> None:
                events = [ChargeCollected.model_validate_json(body) for body in batch]
                await books.hear(*events)

            await _prepare(cluster.dsn, db)
            todo = batches()
            ceiling = await rate(lambda batch: bare(db, batch), todo)
            same = await rate(lambda batch: same_rows(db, batch), todo)
            ours = await rate(credit, todo)
            differences = await prove_balances(db)
    sys.stdout.write(
        f"wallet credits {ours:.0f}/s; one bare row {ceiling:.0f}/s, ratio {ours / ceiling:.2f}; "
        f"the same rows, bare {same:.0f}/s, ratio {ours / same:.2f}; "
        f"differences {len(differences)}\n"
    )


async def _prepare(dsn: Callable[..., str], db: Database) -> None:
    import asyncpg

    async with db.connection() as conn:
        name = await conn.fetchval("SELECT current_database()")
    owner = await asyncpg.connect(dsn(name))
    try:
        await owner.execute(
            """
            SET ROLE wallet_owner;
            CREATE TABLE wallet.bare_transfers (
                transfer_id uuid PRIMARY KEY, merchant_id uuid NOT NULL, debit text NOT NULL,
                credit text NOT NULL, amount_fen bigint NOT NULL, occurred_at timestamptz NOT NULL);
            CREATE TABLE wallet.bare_holds (
                instalment_id uuid PRIMARY KEY, agreement_id uuid NOT NULL, amount_fen bigint);
            CREATE TABLE wallet.bare_balances (owner text PRIMARY KEY, balance bigint NOT NULL)
                WITH (fillfactor = 70)
            """
        )
    finally:
        await owner.close()


if __name__ == "__main__":
    asyncio.run(main())
