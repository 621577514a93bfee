"""A merchant's money in tests: reconciled days, deliveries, institutions that answer as told."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from services.billing.contract import DayReconciled
from services.fulfillment.contract import ShipmentDelivered
from services.signing.contract import Rail
from services.wallet.deps import Deps
from services.wallet.domain.advance import Advance
from services.wallet.domain.merchant_terms import DatedTerms, MerchantTerms
from services.wallet.domain.order import Answer, Verdict
from services.wallet.domain.payout import Payout
from services.wallet.gateways.institution import Offer
from services.wallet.store import advances, payouts
from services.wallet.usecases.close_day import close_day
from services.wallet.usecases.keep_merchant import agree_terms, set_account
from services.wallet.usecases.send_payouts import send_payouts
from services.wallet.usecases.settle_merchants import settle_merchants
from services.wallet.usecases.take_advances import send_draws
from shared.calendar import at_in_china, day_in_china
from shared.clock import TestClock
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.wallet_builders import (
    AGREEMENT,
    CUSTOMER,
    MERCHANT,
    NOON,
    WalletForTests,
    a_collection,
    a_dispatch,
    an_instalment,
)

DONE = Answer(Verdict.DONE, reference="R1", reason="")


@dataclass
class Institutions:
    """A channel and a partner that keep what they are asked and answer in turn, or the last."""

    answers: list[Answer] = field(default_factory=lambda: [DONE])
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    interest_ppm: int = 300
    now: datetime = NOON

    def _say(self, what: str, order: Payout | Advance) -> Answer:
        self.asked.append((what, order.number, order.amount_fen))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def pay(self, payout: Payout) -> Answer:
        return self._say("pay", payout)

    async def query(self, order: Payout | Advance) -> Answer:
        return self._say("query", order)

    async def quote(self, number: str, amount_fen: int) -> Offer:
        self.asked.append(("quote", number, amount_fen))
        return Offer("Q1", self.interest_ppm, self.now + timedelta(days=3650))

    async def draw(self, advance: Advance) -> Answer:
        return self._say("draw", advance)

    async def repay(self, payout: Payout) -> Answer:
        return self._say("repay", payout)

    async def query_repaid(self, payout: Payout) -> Answer:
        return self._say("query_repaid", payout)


class ShopForTests(WalletForTests):
    """Wallet with institutions in our hands, whose nights and mornings come when told."""

    def __init__(self, db: Database) -> None:
        super().__init__(db, clock=TestClock(NOON))
        self.institutions = Institutions()
        self.deps: Deps = replace(
            self.deps,
            channel=self.institutions,
            partner=self.institutions,
            supplier_account_ref="acct_supplier",
        )

    async def agree(self, *, merchant_id: UUID = MERCHANT, **terms: Any) -> None:
        agreed = DatedTerms(day_in_china(self.clock.now()), MerchantTerms(**terms))
        await agree_terms(self.deps, merchant_id, agreed, actor="operator")

    async def know_account(self, merchant_id: UUID = MERCHANT) -> None:
        await set_account(
            self.deps,
            merchant_id,
            account_ref="acct_shop",
            bank="ICBC",
            tail="1234",
            actor="operator",
        )

    async def sell(self, *seqs: int, delivered: bool = True, **changes: Any) -> None:
        """Collect, send and deliver instalments, now."""
        now = self.clock.now()
        for seq in seqs:
            await self.hear(a_collection(seq, collected_at=now, **changes))
            await self.hear(a_dispatch(seq, occurred_at=now))
            if delivered:
                await self.hear(a_delivery(seq, occurred_at=now))

    def set(self, day: date, hour: int) -> None:
        self.clock.set(at_in_china(day, hour))

    async def night(self, day: date | None = None) -> int:
        """Come to four in the morning after *day* (or today), and do the night's work."""
        today = day or day_in_china(self.clock.now())
        self.set(today + timedelta(days=1), 4)
        return await close_day(self.deps)

    async def morning(self) -> int:
        """Come to ten o'clock of this day, divide the money, and do what is due."""
        self.set(day_in_china(self.clock.now()), 10)
        done = await settle_merchants(self.deps)
        await send_payouts(self.deps)
        return done

    async def run_due(self) -> None:
        """Live through everything that is due, in order, until nothing is."""
        for _ in range(50):
            async with self.db.connection() as conn:
                moments = [await conn.fetchval(one.NEXT_DUE) for one in (payouts, advances)]
            dues = [moment for moment in moments if moment is not None]
            if not dues:
                return
            self.clock.set(max(min(dues), self.clock.now()))
            await send_payouts(self.deps)
            await send_draws(self.deps)
        raise AssertionError("something stays due for ever")

    async def history(self) -> Sequence[str]:
        async with self.db.connection() as conn:
            rows = await conn.fetch("SELECT move FROM money_history ORDER BY noted_at, entry_id")
        return [row["move"] for row in rows]


def a_reconciled_day(captured_fen: int = 19900, **changes: Any) -> DayReconciled:
    day = changes.get("day", date(2027, 3, 1))
    merchant_id = changes.get("merchant_id", MERCHANT)
    terms: dict[str, Any] = {
        "event_id": new_id(),
        "occurred_at": NOON,
        "reconciliation_id": derived_id("reconciliation", merchant_id, day),
        "merchant_id": merchant_id,
        "rail": Rail.ALIPAY,
        "day": day,
        "charges": 1,
        "refunds": 0,
        "captured_fen": captured_fen,
        "refunded_fen": 0,
        "fee_fen": 0,
    }
    return DayReconciled(**(terms | changes))


def a_delivery(seq: int = 1, **changes: Any) -> ShipmentDelivered:
    instalment_id = an_instalment(seq, changes.get("agreement_id", AGREEMENT))
    terms: dict[str, Any] = {
        "event_id": new_id(),
        "occurred_at": NOON,
        "shipment_id": derived_id("shipment", instalment_id),
        "instalment_id": instalment_id,
        "agreement_id": AGREEMENT,
        "merchant_id": MERCHANT,
        "customer_id": CUSTOMER,
        "seq": seq,
        "carrier": "sf",
        "tracking_no": "SF1",
    }
    return ShipmentDelivered(**(terms | changes))
