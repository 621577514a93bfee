"""Wallet credits from events per second, against the same rows written by bare statements."""

from typing import Final

from deploy.bench.ground import NOW, Ground, analyse
from deploy.bench.meter import alternate
from deploy.bench.report import Figure, figure
from services.billing.contract import ChargeCollected
from services.signing.contract import Rail
from services.wallet.consumers import CONSUMERS
from services.wallet.deps import Deps
from services.wallet.domain.accounts import Purse, wallet
from services.wallet.usecases.check_invariants import prove_balances
from shared import inbox
from shared.bus import BATCH, Bus, durable
from shared.clock import TestClock
from shared.db import Database
from shared.ids import derived_id, new_id

CUSTOMERS: Final = 3000
PERIODS: Final = 12
MERCHANTS: Final = 10

BARE_TABLES: Final = """
CREATE TABLE bare_transfers (
    transfer_id uuid PRIMARY KEY, merchant_id uuid NOT NULL, debit text NOT NULL,
    credit text NOT NULL, amount_fen bigint NOT NULL, occurred_at timestamptz NOT NULL);
CREATE TABLE bare_holds (
    instalment_id uuid PRIMARY KEY, agreement_id uuid NOT NULL, amount_fen bigint);
CREATE TABLE bare_balances (owner text PRIMARY KEY, balance bigint NOT NULL)
    WITH (fillfactor = 70);
"""

Batch = list[bytes]
"""Messages as they lie in the stream."""


async def wallet_figure(ground: Ground, *, credits_a_run: int, rounds: int) -> Figure:
    """Measure crediting batches as the bus hands them over; the books must agree afterwards."""
    async with ground.fresh("wallet", bare=BARE_TABLES) as db:
        bus = Bus(
            "wallet",
            CONSUMERS,
            db=db,
            clock=TestClock(NOW),
            deps=Deps(db=db, clock=TestClock(NOW)),
        )
        consumer = durable("wallet", ChargeCollected)
        todo: list[Batch] = []
        begun = 0

        async def before() -> None:
            nonlocal begun
            todo[:] = batches(begun, credits_a_run)
            begun += credits_a_run
            await analyse(db)

        async def ours() -> int:
            for batch in todo:
                events = [ChargeCollected.model_validate_json(body) for body in batch]
                await bus.apply(consumer, events)
            return credits_a_run

        async def bare() -> int:
            for batch in todo:
                await _same_rows(db, batch)
            return credits_a_run

        compared = await alternate(ours, bare, rounds=rounds, before=before)
        differences = await prove_balances(db)
    assert not differences, differences
    return figure(
        "wallet credits",
        "credits/s",
        compared,
        against="inbox, two transfers, hold, three balances and two events by bare statements",
    )


def batches(begun: int, count: int, *, merchants: int = MERCHANTS) -> list[Batch]:
    """Return *count* charges from number *begun* on, as they lie in the stream."""
    numbers = range(begun, begun + count)
    return [
        [
            _message(number, merchants).model_dump_json().encode()
            for number in numbers[first : first + BATCH]
        ]
        for first in range(0, count, BATCH)
    ]


def _message(number: int, merchants: int) -> ChargeCollected:
    """Return a period of one of the customers, who take turns."""
    customer, seq = number % CUSTOMERS, number // CUSTOMERS
    agreement_id = derived_id("agreement", customer, seq // PERIODS)
    return ChargeCollected(
        event_id=new_id(),
        occurred_at=NOW,
        instalment_id=derived_id("instalment", agreement_id, seq % PERIODS + 1),
        agreement_id=agreement_id,
        merchant_id=derived_id("merchant", customer % merchants),
        customer_id=derived_id("customer", customer),
        seq=seq % PERIODS + 1,
        periods=PERIODS,
        amount_fen=19900,
        charge_id=derived_id("charge", number),
        pet_id=derived_id("pet", customer),
        rail=Rail.ALIPAY,
        trade_no=f"T{number:020d}",
        rail_trade_no=f"R{number}",
        source="automatic",
        hold_fen=15000,
        auto_ship=True,
        collected_at=NOW,
    )


async def _same_rows(db: Database, batch: Batch) -> None:
    """Claim, and write as many rows as crediting does; decide nothing."""
    events = [ChargeCollected.model_validate_json(body) for body in batch]
    async with db.transaction() as conn:
        await inbox.claim(conn, "bare", [event.event_id for event in events])
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
