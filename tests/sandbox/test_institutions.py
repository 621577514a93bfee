"""The payout channel and the factor over real HTTP, spoken to by wallet's own adapters."""

from datetime import date, timedelta

import pytest

from deploy.sandbox.institutions import Factor, PayoutChannel
from services.wallet.contract.merchant_states import AdvanceState, Beneficiary, PayoutState
from services.wallet.domain.advance import Advance
from services.wallet.domain.errors import AdvanceRefused, PartnerUnclear
from services.wallet.domain.order import Verdict
from services.wallet.domain.payout import Payout
from services.wallet.gateways.licensed_channel import LicensedChannel
from services.wallet.gateways.licensed_factor import LicensedFactor
from services.wallet.gateways.signed_json import Account, SignedJson
from shared.clock import TestClock
from shared.ids import derived_id
from tests.sandbox.harness import START, Simulator, running

M = derived_id("merchant", 1)
PAYOUT = Payout(
    merchant_id=M,
    payout_id=derived_id("payout", 1),
    beneficiary=Beneficiary.MERCHANT,
    account="merchant:payable",
    account_ref="acct_shop",
    amount_fen=5700,
    day=date(2026, 3, 2),
    state=PayoutState.PREPARED,
    created_at=START,
    next_at=START,
)
ADVANCE = Advance(
    merchant_id=M,
    advance_id=derived_id("advance", 1),
    state=AdvanceState.DRAWING,
    amount_fen=2000,
    covered_fen=5000,
    interest_ppm=300,
    quote_ref="Q1",
    valid_until=START + timedelta(days=1),
    asked_at=START,
    next_at=START,
)


def wire(simulator: Simulator, name: str, **changes: str) -> SignedJson:
    terms = {
        "url": simulator.url("/").rstrip("/"),
        "app_id": f"sandbox-{name}-app",
        "secret": f"sandbox-{name}-secret",
    } | changes
    return SignedJson(simulator.http, Account(**terms), TestClock(simulator.now))


async def test_a_transfer_is_pending_then_done_and_one_number_is_one_transfer():
    async with running(PayoutChannel) as simulator:
        channel = LicensedChannel(wire(simulator, "payout"))
        assert (await channel.query(PAYOUT)).verdict is Verdict.UNSEEN
        assert (await channel.pay(PAYOUT)).verdict is Verdict.PENDING
        assert (await channel.pay(PAYOUT)).verdict is Verdict.PENDING
        await simulator.advance(minutes=6)
        channel = LicensedChannel(wire(simulator, "payout"))
        done = await channel.query(PAYOUT)
        assert (done.verdict, done.reference) == (Verdict.DONE, "P0000000001")
        assert len(await simulator.books("transfers")) == 1


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        ("hide_answer", Verdict.UNKNOWN),
        ("http_500", Verdict.UNKNOWN),
        ("outage", Verdict.UNKNOWN),
        ("bad_signature", Verdict.UNKNOWN),
        ("wrong_amount", Verdict.UNKNOWN),
        ("decline:CLOSED", Verdict.PENDING),
    ],
)
async def test_an_unclear_answer_is_unknown_and_a_query_tells(fault, first):
    async with running(PayoutChannel) as simulator:
        await simulator.fault("acct_shop", "pay", fault)
        channel = LicensedChannel(wire(simulator, "payout"))
        assert (await channel.pay(PAYOUT)).verdict is first
        await simulator.advance(minutes=6)
        answer = await LicensedChannel(wire(simulator, "payout")).query(PAYOUT)
        wanted = {
            "decline:CLOSED": Verdict.REFUSED,
            "http_500": Verdict.UNSEEN,
            "outage": Verdict.UNSEEN,
        }
        assert answer.verdict is wanted.get(fault, Verdict.DONE)


@pytest.mark.parametrize("changes", [{"secret": "other"}, {"app_id": "other"}])
async def test_a_stranger_is_not_served(changes):
    async with running(PayoutChannel) as simulator:
        answer = await LicensedChannel(wire(simulator, "payout", **changes)).pay(PAYOUT)
        assert answer.verdict is Verdict.UNKNOWN
        assert await simulator.books("transfers") == []


async def test_a_request_of_another_time_is_not_served():
    async with running(PayoutChannel) as simulator:
        account = Account(
            simulator.url("/").rstrip("/"), "sandbox-payout-app", "sandbox-payout-secret"
        )
        late = SignedJson(simulator.http, account, TestClock(simulator.now + timedelta(hours=1)))
        assert (await LicensedChannel(late).pay(PAYOUT)).verdict is Verdict.UNKNOWN
        assert await simulator.books("transfers") == []


async def test_an_advance_is_offered_drawn_and_repaid():
    async with running(Factor) as simulator:
        factor = LicensedFactor(wire(simulator, "factor"))
        offer = await factor.quote(ADVANCE.number, 2000)
        assert offer.interest_ppm == 300
        assert offer.valid_until == simulator.now + timedelta(hours=24)
        assert (await factor.draw(ADVANCE)).verdict is Verdict.PENDING
        assert (await factor.repay(PAYOUT)).verdict is Verdict.PENDING
        await simulator.advance(minutes=6)
        factor = LicensedFactor(wire(simulator, "factor"))
        assert (await factor.query(ADVANCE)).verdict is Verdict.DONE
        assert (await factor.query_repaid(PAYOUT)).verdict is Verdict.DONE


async def test_no_offer_and_no_answer_are_two_things():
    async with running(Factor) as simulator:
        factor = LicensedFactor(wire(simulator, "factor"))
        await simulator.fault("*", "quote", "decline:NO_LIMIT")
        with pytest.raises(AdvanceRefused):
            await factor.quote(ADVANCE.number, 2000)
        await simulator.fault("*", "quote", "outage")
        with pytest.raises(PartnerUnclear):
            await factor.quote(ADVANCE.number, 2000)
