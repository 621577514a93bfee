"""Events that wallet hears, valid by default, and a wallet service without its transport."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.billing.contract import ChargeCollected, RefundFailed, RefundSucceeded
from services.fulfillment.contract import ShipmentCancelled, ShipmentDispatched
from services.signing.contract import (
    AgreementCancelled,
    AgreementSigned,
    AgreementTerminated,
    Rail,
)
from services.wallet.consumers import CONSUMERS
from services.wallet.deps import Deps
from services.wallet.domain.accounts import Purse, wallet
from services.wallet.store import accounts
from services.wallet.usecases.check_invariants import prove_balances
from shared.bus import Bus, durable
from shared.clock import TestClock
from shared.db import Database
from shared.events import Event
from shared.ids import derived_id, new_id

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)
MERCHANT = derived_id("merchant", 1)
CUSTOMER = derived_id("customer", 1)
AGREEMENT = derived_id("agreement", 1)


@dataclass(frozen=True)
class Told:
    """One event waiting in the outbox."""

    subject: str
    body: dict[str, Any]


class WalletForTests:
    """Wallet's consumers on a database, fed by hand."""

    def __init__(self, db: Database, *, clock: TestClock | None = None) -> None:
        self.db = db
        self.clock = clock or TestClock(NOON)
        self.deps = Deps(db=db, clock=self.clock)
        self.bus = Bus("wallet", CONSUMERS, db=db, clock=self.clock, deps=self.deps)

    async def hear(self, *events: Event) -> None:
        """Apply events of one class as one batch, exactly as the bus would."""
        await self.bus.apply(durable("wallet", type(events[0])), events)

    async def forget_what_was_heard(self) -> None:
        async with self.db.transaction() as conn:
            await conn.execute("DELETE FROM inbox")

    async def balance(self, code: str, merchant_id: UUID = MERCHANT) -> int:
        async with self.db.connection() as conn:
            return (await accounts.balances(conn, merchant_id, [code])).get(code, 0)

    async def purse(self, purse: Purse, customer_id: UUID = CUSTOMER) -> int:
        return await self.balance(wallet(customer_id, purse))

    async def told(self, subject: str = "%") -> list[Told]:
        """Return what the outbox holds of a subject, in order."""
        async with self.db.connection() as conn:
            rows = await conn.fetch(
                """
                SELECT subject, convert_from(body, 'UTF8')::jsonb AS body FROM outbox
                 WHERE subject LIKE $1 ORDER BY seq
                """,
                subject,
            )
        return [Told(row["subject"], row["body"]) for row in rows]

    async def assert_books_agree(self) -> None:
        assert await prove_balances(self.db) == []


def a_collection(seq: int = 1, **changes: Any) -> ChargeCollected:
    agreement_id = changes.get("agreement_id", AGREEMENT)
    terms: dict[str, Any] = {
        "event_id": new_id(),
        "occurred_at": NOON,
        "instalment_id": an_instalment(seq, agreement_id),
        "agreement_id": agreement_id,
        "merchant_id": MERCHANT,
        "customer_id": CUSTOMER,
        "seq": seq,
        "periods": 12,
        "amount_fen": 19900,
        "charge_id": derived_id("charge", agreement_id, seq),
        "pet_id": derived_id("pet", 1),
        "rail": Rail.ALIPAY,
        "trade_no": f"T{agreement_id.hex[:20]}{seq}",
        "rail_trade_no": f"R{seq}",
        "source": "automatic",
        "hold_fen": 15000,
        "auto_ship": True,
        "collected_at": NOON,
    }
    return ChargeCollected(**(terms | changes))


def an_instalment(seq: int, agreement_id: UUID = AGREEMENT) -> UUID:
    return derived_id("instalment", agreement_id, seq)


def a_dispatch(seq: int = 1, **changes: Any) -> ShipmentDispatched:
    more = {"carrier": "sf", "tracking_no": "SF1", "supply_cost_fen": 9000, "items": ()}
    return ShipmentDispatched(**(_shipment(seq, changes) | more | changes))


def a_shipment_cancelled(seq: int = 1, **changes: Any) -> ShipmentCancelled:
    return ShipmentCancelled(**(_shipment(seq, changes) | {"reason": "terminated"} | changes))


def a_cancellation(**changes: Any) -> AgreementCancelled:
    return AgreementCancelled(**(_agreement() | changes))


def a_termination(**changes: Any) -> AgreementTerminated:
    return AgreementTerminated(**(_agreement() | {"reason": "customer"} | changes))


def a_signing(**changes: Any) -> AgreementSigned:
    terms: dict[str, Any] = {
        "agreement_no": "YF1",
        "store_id": derived_id("store", 1),
        "pet_id": derived_id("pet", 1),
        "plan_id": derived_id("plan", 1),
        "plan_version": 1,
        "plan_name": "成长计划",
        "rail": Rail.ALIPAY,
        "charge_day": 10,
        "periods": 12,
        "total_fen": 238800,
        "hold_fen": 15000,
        "auto_ship": True,
        "instalments": (),
        "signed_at": NOON,
        "cooling_off_ends_at": NOON,
    }
    return AgreementSigned(**(_agreement() | terms | changes))


def a_refund(settlement_id: UUID | None, amount_fen: int, **changes: Any) -> RefundSucceeded:
    return RefundSucceeded(**(_refund(settlement_id, amount_fen) | changes))


def a_failed_refund(settlement_id: UUID | None, amount_fen: int, **changes: Any) -> RefundFailed:
    return RefundFailed(**(_refund(settlement_id, amount_fen) | {"reason": "closed"} | changes))


def batches(events: Sequence[Event]) -> list[list[Event]]:
    """Return *events* in their order, cut where the class changes."""
    cut: list[list[Event]] = []
    for event in events:
        if cut and type(cut[-1][0]) is type(event):
            cut[-1].append(event)
        else:
            cut.append([event])
    return cut


def _agreement() -> dict[str, Any]:
    return {
        "event_id": new_id(),
        "occurred_at": NOON,
        "agreement_id": AGREEMENT,
        "merchant_id": MERCHANT,
        "customer_id": CUSTOMER,
    }


def _shipment(seq: int, changes: dict[str, Any]) -> dict[str, Any]:
    instalment_id = an_instalment(seq, changes.get("agreement_id", AGREEMENT))
    return _agreement() | {
        "shipment_id": derived_id("shipment", instalment_id),
        "instalment_id": instalment_id,
        "seq": seq,
    }


def _refund(settlement_id: UUID | None, amount_fen: int) -> dict[str, Any]:
    return _agreement() | {
        "refund_id": new_id(),
        "charge_id": derived_id("charge", 1),
        "settlement_id": settlement_id,
        "rail": Rail.ALIPAY,
        "amount_fen": amount_fen,
    }
