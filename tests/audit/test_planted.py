"""One planted error of each kind: its check finds it, and names it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest

from deploy.audit import CHECKS, audit, check_all
from deploy.audit.figures import count
from deploy.audit.finding import Finding
from services.billing.domain.trade_no import refund_no, trade_no
from shared.ids import derived_id
from tests.audit.conftest import Platform, Shown
from tests.audit.planted_bills import BILLS
from tests.audit.planted_merchants import MERCHANTS
from tests.audit.planted_wallet import WALLET
from tests.audit.state import (
    FEN,
    MERCHANT,
    NOW,
    RAIL_NO,
    REFUND,
    SETTLEMENT,
    SURPLUS_REFUND,
    A,
    B,
    attempt,
    customer,
    hold,
    instalment,
    mandate,
    message,
    notice,
    shipment,
)

OLD = (NOW - timedelta(days=3)).isoformat()
STRANGER = derived_id("audit", "stranger")


@dataclass(frozen=True)
class Planted:
    """An error in the tables or in a simulator's books, the check that finds it, and its id."""

    check: str
    named: str | UUID
    sql: str = "SELECT 1"
    spoil: Callable[[Shown], object] = len

    def __str__(self) -> str:
        return self.check


def _copy(simulator: str, kind: str, **changes: object) -> Callable[[Shown], object]:
    """Repeat the first entry of a book with *changes*."""
    return lambda shown: shown[simulator][kind].append(shown[simulator][kind][0] | changes)


def _change(simulator: str, kind: str, **changes: object) -> Callable[[Shown], object]:
    return lambda shown: shown[simulator][kind][0].update(changes)


def _lose(simulator: str, kind: str) -> Callable[[Shown], object]:
    return lambda shown: shown[simulator][kind].pop(0)


def _at(table: str, key: str, value: UUID, change: str) -> str:
    return f"UPDATE {table} SET {change} WHERE {key} = '{value}'"


CAPTURES = "rail captures = billing's succeeded attempts"
REFUNDS = "rail refunds = billing's succeeded refunds"
PAID = "paid instalments = succeeded attempts"
CREDITED = "collected instalments = wallet transfers 'collected'"
BOOKED = "refunds of settlements = wallet transfers 'refunded'"
ASKED = "wallet's settlements = billing's settlements"
HOLDS = "wallet holds = shipments"
SHIPPED = "paid instalments = shipments"
ORDERS = "pushed shipments = warehouse orders"
NOTICES = "automatic charges = proven notices"
PROOFS = "notice proofs = messages sent"
SENT = "messages = providers' books"
TERMS = "agreements in signing = in billing"
ADVANCE = notice(A, 1, "advance")
BY_SMS = message(A, 1, "advance", "sms")
BY_WECHAT = message(B, 1, "advance", "mini_program")
TRADE = trade_no(A, 1, 1)

MONEY = [
    Planted(CAPTURES, "YFSTRANGER", spoil=_copy("alipay", "captures", out_trade_no="YFSTRANGER")),
    Planted(CAPTURES, TRADE, spoil=_lose("alipay", "captures")),
    Planted(CAPTURES, TRADE, spoil=_change("alipay", "captures", amount_fen=1)),
    Planted(CAPTURES, TRADE, spoil=_copy("alipay", "captures")),
    Planted(CAPTURES, trade_no(B, 1, 1), spoil=_lose("wechatpay", "captures")),
    Planted("no instalment captured twice", instalment(A, 2), spoil=_lose("alipay", "refunds")),
    Planted(REFUNDS, refund_no(SURPLUS_REFUND), spoil=_lose("alipay", "refunds")),
    Planted(REFUNDS, refund_no(REFUND), spoil=_change("wechatpay", "refunds", amount_fen=1)),
    Planted(REFUNDS, "R0", spoil=_copy("wechatpay", "refunds", out_refund_no="R0")),
    Planted(REFUNDS, refund_no(REFUND), spoil=_change("wechatpay", "refunds", status="PROCESSING")),
    Planted(
        "refunds never above the charge",
        trade_no(B, 1, 1),
        _at("billing.refunds", "refund_id", REFUND, f"amount_fen = {FEN + 1}"),
    ),
    Planted(
        PAID,
        instalment(A, 1),
        _at("billing.instalments", "instalment_id", instalment(A, 1), "state = 'overdue'"),
    ),
    Planted(
        PAID,
        instalment(A, 3),
        _at("billing.instalments", "instalment_id", instalment(A, 3), "state = 'paid'"),
    ),
    Planted(
        CREDITED,
        instalment(A, 1),
        "DELETE FROM wallet.transfers "
        f"WHERE kind = 'collected' AND cause_id = '{instalment(A, 1)}'",
    ),
    Planted(
        CREDITED,
        instalment(A, 1),
        _at("billing.attempts", "attempt_id", attempt(A, 1), "trade_no = 'YFANOTHER'"),
    ),
    Planted(
        BOOKED,
        REFUND,
        f"DELETE FROM wallet.transfers WHERE kind = 'refunded' AND cause_id = '{REFUND}'",
    ),
    Planted(
        ASKED,
        SETTLEMENT,
        _at("billing.settlements", "settlement_id", SETTLEMENT, "amount_fen = 1"),
    ),
    Planted(
        "rail money = ledger's rail accounts",
        "alipay",
        spoil=_change("alipay", "captures", amount_fen=FEN + 1),
    ),
    Planted(
        "balances = sums of transfers",
        f"{MERCHANT} rail:alipay",
        "UPDATE wallet.accounts SET balance_fen = balance_fen + 1 WHERE code = 'rail:alipay'",
    ),
    Planted(
        "debit = credit",
        f"{MERCHANT} fen",
        "UPDATE wallet.accounts SET balance_fen = balance_fen + 1 WHERE code = 'rail:alipay'",
    ),
    Planted(
        "no balance below zero",
        f"{MERCHANT} wallet:{customer(A)}:principal",
        "ALTER TABLE wallet.accounts DROP CONSTRAINT never_below_zero;"
        "UPDATE wallet.accounts SET balance_fen = -1 "
        f"WHERE code = 'wallet:{customer(A)}:principal'",
    ),
    Planted(
        "escrow equation",
        MERCHANT,
        "UPDATE wallet.accounts SET balance_fen = 0 WHERE code = 'merchant:payable'",
    ),
    Planted(
        "ledgers = transfers and holds",
        A,
        _at("wallet.ledgers", "agreement_id", A, "captured_fen = captured_fen - 1"),
    ),
    *(Planted(*row) for row in (*WALLET, *MERCHANTS, *BILLS)),
    Planted(
        "succeeded payouts = the channel's transfers",
        "T1",
        spoil=lambda shown: shown["payout"]["transfers"].append(
            {"no": "T1", "amount_fen": 5, "status": "SUCCESS"}
        ),
    ),
]
PARCELS = [
    Planted(HOLDS, hold(A, 1), f"DELETE FROM fulfillment.shipments WHERE hold_id = '{hold(A, 1)}'"),
    Planted(HOLDS, hold(A, 2), f"DELETE FROM wallet.holds WHERE hold_id = '{hold(A, 2)}'"),
    Planted(
        HOLDS,
        hold(A, 1),
        _at("wallet.holds", "hold_id", hold(A, 1), "state = 'released', captured_fen = 0"),
    ),
    Planted(
        HOLDS,
        hold(B, 1),
        _at(
            "wallet.holds",
            "hold_id",
            hold(B, 1),
            "state = 'placed', closed_at = NULL",
        ),
    ),
    Planted(
        SHIPPED,
        instalment(A, 2),
        f"DELETE FROM fulfillment.shipments WHERE hold_id = '{hold(A, 2)}'",
    ),
    Planted(
        SHIPPED,
        instalment(A, 3),
        "INSERT INTO fulfillment.shipments SELECT (jsonb_populate_record(s, "
        f"""'{{"shipment_id": "{STRANGER}", "instalment_id": "{instalment(A, 3)}"}}')).* """
        f"FROM fulfillment.shipments s WHERE hold_id = '{hold(A, 2)}'",
    ),
    Planted(
        SHIPPED,
        instalment(A, 2),
        "ALTER TABLE fulfillment.shipments "
        "DROP CONSTRAINT shipments_merchant_id_instalment_id_key;"
        "INSERT INTO fulfillment.shipments SELECT (jsonb_populate_record(s, "
        f"""'{{"shipment_id": "{STRANGER}"}}')).* """
        f"FROM fulfillment.shipments s WHERE hold_id = '{hold(A, 2)}'",
    ),
    Planted(ORDERS, shipment(A, 1), spoil=_lose("jst", "orders")),
    Planted(ORDERS, shipment(A, 1), spoil=_copy("jst", "orders", o_id=2)),
    Planted(ORDERS, "YFSTRANGER", spoil=_copy("jst", "orders", so_id="YFSTRANGER")),
    Planted(ORDERS, shipment(A, 1), spoil=_change("jst", "orders", status="Cancelled")),
    Planted(
        ORDERS,
        shipment(A, 1),
        _at(
            "fulfillment.shipments",
            "shipment_id",
            shipment(A, 1),
            "state = 'accepted', due_at = now()",
        ),
    ),
]
TOLD = [
    Planted(
        NOTICES,
        attempt(A, 1),
        f"DELETE FROM billing.notice_proofs WHERE notice_id = '{ADVANCE}'",
    ),
    Planted(
        NOTICES,
        attempt(A, 1),
        f"DELETE FROM billing.notice_proofs WHERE notice_id = '{notice(A, 1, 'reminder')}' "
        "AND channel = 'sms'",
    ),
    Planted(
        NOTICES,
        attempt(A, 1),
        _at(
            "billing.notice_proofs",
            "notice_id",
            notice(A, 1, "reminder"),
            "accepted_at = accepted_at + interval '25 hours'",
        ),
    ),
    Planted(
        NOTICES,
        attempt(A, 1),
        _at("billing.notices", "notice_id", ADVANCE, f"amount_fen = {FEN - 1}"),
    ),
    Planted(
        NOTICES,
        attempt(B, 1),
        f"DELETE FROM billing.notice_proofs WHERE notice_id = '{notice(B, 1, 'rail')}'",
    ),
    Planted(
        PROOFS,
        f"{ADVANCE} sms",
        f"DELETE FROM notify.messages WHERE message_id = '{BY_SMS}'",
    ),
    Planted(PROOFS, f"{ADVANCE} sms", spoil=_lose("sms", "messages")),
    Planted(
        PROOFS,
        f"{notice(B, 1, 'advance')} mini_program",
        spoil=_lose("wechat", "messages"),
    ),
    Planted(
        "rail notices = the rail's own",
        notice(B, 1, "rail"),
        spoil=_lose("wechatpay", "prenotices"),
    ),
    Planted(
        "one message per cause, channel and recipient",
        min(BY_SMS, STRANGER),
        "ALTER TABLE notify.messages "
        "DROP CONSTRAINT messages_merchant_id_cause_id_cause_channel_customer_id_key;"
        "INSERT INTO notify.messages SELECT (jsonb_populate_record(m, "
        f"""'{{"message_id": "{STRANGER}"}}')).* """
        f"FROM notify.messages m WHERE message_id = '{BY_SMS}'",
    ),
    Planted(SENT, BY_SMS, spoil=_copy("sms", "messages", biz_id="again")),
    Planted(SENT, BY_SMS, spoil=_lose("sms", "messages")),
    Planted(SENT, "odd", spoil=_copy("sms", "messages", biz_id="odd", out_id="odd")),
    Planted(SENT, "odd", spoil=_copy("wechat", "messages", msgid="odd")),
    Planted(SENT, BY_WECHAT, spoil=_lose("wechat", "messages")),
    Planted(SENT, "alipay 2026-05-08", spoil=_copy("alipay", "messages", id="again")),
    Planted(SENT, "alipay 2026-05-08", spoil=_lose("alipay", "messages")),
    Planted(
        "no mandatory message past its time",
        BY_SMS,
        _at(
            "notify.messages",
            "message_id",
            BY_SMS,
            "state = 'queued', due_at = now(), accepted_at = NULL, delivered_at = NULL",
        ),
    ),
]
AGREEMENTS = [
    Planted(TERMS, A, _at("billing.agreements", "agreement_id", A, "state = 'terminated'")),
    Planted(TERMS, A, _at("billing.agreements", "agreement_id", A, "hold_fen = 1")),
    Planted(TERMS, B, f"DELETE FROM signing.agreements WHERE agreement_id = '{B}'"),
    Planted(
        "signed schedule = instalments",
        A,
        _at("billing.instalments", "instalment_id", instalment(A, 3), "amount_fen = 1"),
    ),
    Planted(
        "ended agreements = ended ledgers",
        B,
        _at("wallet.ledgers", "agreement_id", B, "ended_as = NULL, ended_at = NULL"),
    ),
    Planted(
        "mandates of ended agreements are gone",
        mandate(B),
        spoil=_change("wechatpay", "contracts", state="0"),
    ),
    Planted(
        "live mandates stand at the rail",
        mandate(A),
        spoil=_change(
            "alipay",
            "agreements",
            agreement_no=RAIL_NO[A],
            status="UNSIGN",
            unsign_time="2026-06-01 10:00:00",
        ),
    ),
    Planted(
        "evidence chains",
        A,
        f"UPDATE signing.evidence SET actor = 'somebody' WHERE seq = 1 AND application_id = "
        f"(SELECT application_id FROM signing.agreements WHERE agreement_id = '{A}')",
    ),
    Planted(
        "evidence chains",
        B,
        "DELETE FROM signing.evidence WHERE application_id = "
        f"(SELECT application_id FROM signing.agreements WHERE agreement_id = '{B}')",
    ),
]
STUCK = [
    Planted(
        "no attempt stuck",
        attempt(A, 1),
        _at(
            "billing.attempts",
            "attempt_id",
            attempt(A, 1),
            f"state = 'unknown', query_at = '{OLD}'",
        ),
    ),
    Planted(
        "no refund stuck",
        REFUND,
        _at(
            "billing.refunds",
            "refund_id",
            REFUND,
            f"state = 'waiting', next_at = '{OLD}'",
        ),
    ),
    Planted(
        "no refund stuck", SETTLEMENT, f"DELETE FROM billing.refunds WHERE refund_id = '{REFUND}'"
    ),
    Planted(
        "no shipment stuck",
        shipment(A, 2),
        _at(
            "fulfillment.shipments",
            "shipment_id",
            shipment(A, 2),
            f"due_at = '{OLD}'",
        ),
    ),
    Planted(
        "no event unpublished",
        f"billing {STRANGER}",
        "INSERT INTO billing.outbox (event_id, subject, aggregate_id, occurred_at, body, "
        f"created_at) VALUES ('{STRANGER}', 's', 'a', now(), '', now() - interval '1 hour')",
    ),
    Planted(
        "no dead letter waiting",
        f"wallet {STRANGER}",
        "INSERT INTO wallet.dead_letters (dead_letter_id, consumer, subject, event_id, body, "
        f"error, tries, died_at) VALUES ('{STRANGER}', 'c', 's', 'e', '', 'x', 9, now())",
    ),
    Planted(
        "no webhook unplaced",
        f"signing {STRANGER}",
        "INSERT INTO signing.webhook_inbox (webhook_id, provider, delivery_key, received_at, "
        f"headers, body, verdict) VALUES ('{STRANGER}', 'esign', 'k', now(), '{{}}', '', "
        "'unplaced')",
    ),
]
ALL = [*MONEY, *PARCELS, *TOLD, *AGREEMENTS, *STUCK]


async def find(platform: Platform, check: str) -> Finding:
    findings = await check_all(await platform.scene())
    return next(finding for finding in findings if finding.check == check)


@pytest.mark.parametrize("planted", ALL, ids=str)
async def test_a_planted_error_is_found_and_named(platform: Platform, planted: Planted):
    await platform.db.execute(planted.sql)
    planted.spoil(platform.books)

    finding = await find(platform, planted.check)

    assert not finding.ok
    assert finding.ids == (str(planted.named),)
    assert str(planted.named) in finding.detail
    assert finding.as_dict() == {"check": planted.check, "ok": False, "detail": finding.detail}


async def test_every_check_has_an_error_planted_for_it(platform: Platform):
    findings = await check_all(await platform.scene())

    assert {planted.check for planted in ALL} == {finding.check for finding in findings}
    assert len(findings) == len(CHECKS)


async def test_a_finding_lists_twenty_and_counts_all(platform: Platform):
    first = platform.books["alipay"]["captures"][0]
    strangers = [first | {"out_trade_no": f"YFODD{number:03d}"} for number in range(50)]
    platform.books["alipay"]["captures"] += strangers

    finding = await find(platform, CAPTURES)

    assert finding.ids == tuple(f"YFODD{number:03d}" for number in range(20))
    assert finding.detail.startswith("50 of 54 differ: YFODD000 at the rail, not in billing; ")


@pytest.mark.parametrize(("days", "covered"), [(1, True), (2, False)])
async def test_a_notice_covers_retries_on_the_next_day_and_no_later(
    platform: Platform, days: int, covered: bool
):
    await platform.db.execute(
        "INSERT INTO billing.attempts SELECT (jsonb_populate_record(a, jsonb_build_object("
        "'attempt_id', $1::uuid, 'trade_no', 'YFRETRY01', 'attempt_no', 9, 'state', 'failed', "
        "'on_day', on_day + $2::integer, 'created_at', created_at + make_interval(days => $2)"
        "))).* FROM billing.attempts a WHERE attempt_id = $3",
        STRANGER,
        days,
        attempt(A, 1),
    )

    finding = await find(platform, NOTICES)

    assert finding.ids == (() if covered else (str(STRANGER),))


async def test_figures_tell_doubles_and_missing_proofs(platform: Platform):
    platform.books["alipay"]["refunds"].clear()
    sms = platform.books["sms"]["messages"]
    sms.append(sms[0] | {"biz_id": "again"})
    await platform.db.execute(f"DELETE FROM billing.notice_proofs WHERE notice_id = '{ADVANCE}'")

    told = await count(await platform.scene())

    assert (told.double_captures, told.messages_duplicates) == (1, 1)
    assert (told.notices_required, told.notices_proven) == (7, 6)
    assert told.charges_without_proof == 1


async def test_what_still_differs_at_a_second_look_is_a_finding(platform: Platform):
    platform.books["alipay"]["captures"].pop()

    findings = await audit(platform.running, again_after_s=0.01)

    assert CAPTURES in {finding.check for finding in findings if not finding.ok}


async def test_what_was_on_its_way_at_the_first_look_is_no_finding(platform: Platform):
    late = platform.books["alipay"]["captures"].pop()

    def arrive() -> None:
        if late not in platform.books["alipay"]["captures"]:
            platform.books["alipay"]["captures"].append(late)

    platform.at_second_look = arrive

    findings = await audit(platform.running, again_after_s=0.01)

    assert [finding for finding in findings if not finding.ok] == []
