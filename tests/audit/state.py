"""
A small platform in which every book agrees: the rows of its services.

One customer pays by Alipay: period 1 paid and delivered; period 2 paid, paid again by hand and
that refunded, its parcel planned; period 3 to come.  Another pays by WeChat: period 1 paid, then
the agreement was terminated, the parcel cancelled, the money refunded.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from services.billing.domain.trade_no import refund_no, trade_no
from services.fulfillment.domain.shipment import shipment_id_for
from services.signing.domain.evidence import Entry, next_entry
from services.wallet.store import seals
from shared.calendar import CHINA, at_in_china
from shared.db import Connection
from shared.ids import derived_id
from tests.audit.bill_state import bill_rows

Row = tuple[str, dict[str, Any]]

NOW = datetime(2026, 6, 20, 4, 0, tzinfo=UTC)
SIGNED = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
MERCHANT = derived_id("audit", "merchant")
A, B = derived_id("audit", "agreement", "a"), derived_id("audit", "agreement", "b")
DUE_A = (date(2026, 5, 15), date(2026, 6, 15), date(2026, 7, 15))
DUE_B = (date(2026, 5, 10), date(2026, 6, 10))
FEN, HOLD_FEN = 10_000, 6_000
TERMINATED = datetime(2026, 5, 11, 4, 0, tzinfo=UTC)
RAIL_NO = {A: "2026ALI", B: "2026WX"}
RAIL = {A: "alipay", B: "wechatpay"}
PRODUCT = {A: "alipay_cycle", B: "wechat_prenotice"}
DUE = {A: DUE_A, B: DUE_B}


def customer(agreement: UUID) -> UUID:
    return derived_id("customer", agreement)


def application(agreement: UUID) -> UUID:
    return derived_id("application", agreement)


def mandate(agreement: UUID) -> UUID:
    return derived_id("mandate", agreement)


def instalment(agreement: UUID, seq: int) -> UUID:
    return derived_id("instalment", agreement, seq)


def attempt(agreement: UUID, seq: int, number: int = 1) -> UUID:
    return derived_id("attempt", agreement, seq, number)


def hold(agreement: UUID, seq: int) -> UUID:
    return derived_id("hold", agreement, seq)


def shipment(agreement: UUID, seq: int) -> UUID:
    return shipment_id_for(instalment(agreement, seq))


def notice(agreement: UUID, seq: int, kind: str) -> UUID:
    return derived_id("notice", agreement, seq, kind)


def message(agreement: UUID, seq: int, kind: str, channel: str) -> UUID:
    return derived_id("message", agreement, seq, kind, channel)


SETTLEMENT = derived_id("settlement", B, 1)
REFUND, SURPLUS_REFUND = derived_id("refund", B), derived_id("refund", A)
PAID = ((A, 1), (A, 2), (B, 1))
SHIPPED = {(A, 1): "delivered", (A, 2): "planned", (B, 1): "cancelled"}


def charged_at(agreement: UUID, seq: int) -> datetime:
    return at_in_china(DUE[agreement][seq - 1], 9)


def told_at(agreement: UUID, seq: int, kind: str) -> datetime:
    days = {"advance": 7, "reminder": 3, "rail": 2}[kind]
    return at_in_china(DUE[agreement][seq - 1] - timedelta(days=days), 10)


def kinds(agreement: UUID) -> tuple[str, ...]:
    return ("advance", "reminder", "rail") if agreement == B else ("advance", "reminder")


def _terms(agreement: UUID) -> dict[str, Any]:
    return {
        "agreement_id": agreement,
        "agreement_no": f"YF2026{'A' if agreement == A else 'B'}",
        "merchant_id": MERCHANT,
        "customer_id": customer(agreement),
        "pet_id": derived_id("pet", agreement),
        "plan_name": "幼猫月付",
        "rail": RAIL[agreement],
        "charge_day": DUE[agreement][0].day,
        "periods": len(DUE[agreement]),
        "total_fen": FEN * len(DUE[agreement]),
        "hold_fen": HOLD_FEN,
        "auto_ship": True,
        "state": "active" if agreement == A else "terminated",
        "signed_at": SIGNED,
    }


def _agreement_rows(agreement: UUID) -> Iterator[Row]:
    terms, ended = _terms(agreement), None if agreement == A else TERMINATED
    yield "billing.agreements", terms
    yield (
        "signing.agreements",
        terms
        | {
            "store_id": derived_id("store"),
            "application_id": application(agreement),
            "plan_id": derived_id("plan"),
            "plan_version": 1,
            "document_sha256": "0" * 64,
            "cooling_off_ends_at": SIGNED + timedelta(hours=48),
            "ended_at": ended,
        },
    )
    granted = {
        "mandate_id": mandate(agreement),
        "agreement_id": agreement,
        "merchant_id": MERCHANT,
        "rail": RAIL[agreement],
        "product": PRODUCT[agreement],
        "rail_agreement_no": RAIL_NO[agreement],
        "payer_no": f"payer{agreement.hex[:8]}",
        "payee_no": "payee",
        "ceiling_fen": FEN,
        "valid_until": date(2027, 12, 31),
        "state": "active" if ended is None else "closed",
        "granted_at": SIGNED,
        "ended_at": ended,
    }
    yield "billing.mandates", granted | {"customer_id": customer(agreement)}
    yield (
        "signing.mandates",
        granted
        | {
            "application_id": application(agreement),
            "external_no": f"EXT{agreement.hex[:12].upper()}",
            "first_due_on": DUE[agreement][0],
            "total_fen": terms["total_fen"],
            "periods": terms["periods"],
            "created_at": SIGNED,
        },
    )
    for entry in evidence(agreement):
        yield (
            "signing.evidence",
            {name: getattr(entry, name) for name in Entry.__dataclass_fields__},
        )
    for seq, due_on in enumerate(DUE[agreement], 1):
        line = {"agreement_id": agreement, "seq": seq, "due_on": due_on, "amount_fen": FEN}
        yield "signing.agreement_instalments", line
        yield from _instalment_rows(agreement, seq, line)


def evidence(agreement: UUID) -> list[Entry]:
    chain: list[Entry] = []
    for kind in ("agreement.signed", "mandate.granted"):
        entry = next_entry(
            chain[-1] if chain else None,
            application_id=application(agreement),
            kind=kind,
            occurred_at=SIGNED,
            actor="customer",
            payload={"kind": kind},
        )
        chain.append(entry)
    return chain


def _instalment_rows(agreement: UUID, seq: int, line: dict[str, Any]) -> Iterator[Row]:
    paid = (agreement, seq) in PAID
    state = {(B, 1): "refunded", (B, 2): "cancelled"}.get((agreement, seq), "paid")
    yield (
        "billing.instalments",
        line
        | {
            "instalment_id": instalment(agreement, seq),
            "merchant_id": MERCHANT,
            "customer_id": customer(agreement),
            "periods": len(DUE[agreement]),
            "charge_on": line["due_on"],
            "charge_at": charged_at(agreement, seq),
            "state": state if paid or agreement == B else "scheduled",
            "pay_token": f"token{agreement.hex}{seq}",
            "charge_id": attempt(agreement, seq) if paid else None,
        },
    )
    if paid:
        yield "billing.attempts", _attempt(agreement, seq, 1)
        yield from _wallet_rows(agreement, seq)
        yield "fulfillment.shipments", _shipment(agreement, seq)
        yield from _notice_rows(agreement, seq)
        yield (
            "billing.history",
            {
                "thing": "attempt",
                "thing_id": attempt(agreement, seq),
                "instalment_id": instalment(agreement, seq),
                "from_state": "sent",
                "to_state": "unknown" if (agreement, seq) == (A, 1) else "succeeded",
                "actor": "billing_run",
                "reason": "paid",
                "moved_at": charged_at(agreement, seq),
            },
        )


def _attempt(agreement: UUID, seq: int, number: int) -> dict[str, Any]:
    moment = charged_at(agreement, seq)
    return {
        "attempt_id": attempt(agreement, seq, number),
        "instalment_id": instalment(agreement, seq),
        "agreement_id": agreement,
        "merchant_id": MERCHANT,
        "customer_id": customer(agreement),
        "attempt_no": number,
        "trade_no": trade_no(agreement, seq, number),
        "kind": "automatic" if number == 1 else "pay_now",
        "rail": RAIL[agreement],
        "product": PRODUCT[agreement],
        "amount_fen": FEN,
        "rail_agreement_no": RAIL_NO[agreement],
        "payer_no": "payer",
        "payee_no": "payee",
        "description": "月付",
        "state": "succeeded",
        "surplus": number > 1,
        "on_day": moment.astimezone(CHINA).date(),
        "created_at": moment,
        "expires_at": moment + timedelta(hours=1),
        "rail_trade_no": f"R{seq}{number}",
        "settled_at": moment,
        "paid_at": moment,
    }


def _shipment(agreement: UUID, seq: int) -> dict[str, Any]:
    state, moment = SHIPPED[agreement, seq], charged_at(agreement, seq)
    return {
        "merchant_id": MERCHANT,
        "shipment_id": shipment(agreement, seq),
        "instalment_id": instalment(agreement, seq),
        "agreement_id": agreement,
        "customer_id": customer(agreement),
        "pet_id": derived_id("pet", agreement),
        "hold_id": hold(agreement, seq),
        "seq": seq,
        "hold_fen": HOLD_FEN,
        "state": state,
        "ship_on": DUE[agreement][seq - 1] + timedelta(days=2),
        "deliver_by": DUE[agreement][seq - 1] + timedelta(days=7),
        "planned_at": moment,
        "since": moment,
        "due_at": None if state == "cancelled" else NOW + timedelta(days=1),
        "stage": "kitten" if state == "delivered" else None,
        "revision": 1 if state == "delivered" else 0,
        "order_no": "10000001" if state == "delivered" else None,
    }


def _wallet_rows(agreement: UUID, seq: int) -> Iterator[Row]:
    state = {"delivered": "captured", "planned": "placed", "cancelled": "released"}[
        SHIPPED[agreement, seq]
    ]
    moment = charged_at(agreement, seq)
    yield (
        "wallet.holds",
        {
            "merchant_id": MERCHANT,
            "hold_id": hold(agreement, seq),
            "instalment_id": instalment(agreement, seq),
            "agreement_id": agreement,
            "customer_id": customer(agreement),
            "amount_fen": HOLD_FEN,
            "state": state,
            "captured_fen": HOLD_FEN if state == "captured" else 0,
            "placed_at": moment,
            "closed_at": None if state == "placed" else moment + timedelta(days=2),
        },
    )


def transfers() -> list[tuple[UUID, UUID, str, str, str, int]]:
    """Return agreement, cause, kind, debit, credit, fen of every transfer."""
    made = []
    for agreement, seq in PAID:
        wallet, cause = f"wallet:{customer(agreement)}", instalment(agreement, seq)
        held, principal = f"{wallet}:held", f"{wallet}:principal"
        made.append((agreement, cause, "collected", f"rail:{RAIL[agreement]}", principal, FEN))
        made.append((agreement, cause, "held", principal, held, HOLD_FEN))
        if SHIPPED[agreement, seq] == "delivered":
            made.append((agreement, cause, "captured", held, "merchant:payable", HOLD_FEN))
        elif SHIPPED[agreement, seq] == "cancelled":
            made.append((agreement, cause, "released", held, principal, HOLD_FEN))
    principal = f"wallet:{customer(B)}:principal"
    made.append((B, SETTLEMENT, "refund_requested", principal, "refund:wechatpay", FEN))
    made.append((B, REFUND, "refunded", "refund:wechatpay", "rail:wechatpay", FEN))
    return made


def _ledger_rows() -> Iterator[Row]:
    balance: dict[str, int] = {}
    for agreement, cause, kind, debit, credit, fen in transfers():
        balance[debit] = balance.get(debit, 0) + fen
        balance[credit] = balance.get(credit, 0) - fen
        yield (
            "wallet.transfers",
            {
                "merchant_id": MERCHANT,
                "cause_id": cause,
                "kind": kind,
                "cause_kind": "instalment",
                "debit_account": debit,
                "credit_account": credit,
                "amount_fen": fen,
                "customer_id": customer(agreement),
                "agreement_id": agreement,
                "trade_no": _trade_of(agreement, cause) if kind == "collected" else None,
                "occurred_at": NOW - timedelta(days=3),
            },
        )
    for code, fen in balance.items():
        side = "debit" if code.startswith("rail:") else "credit"
        yield (
            "wallet.accounts",
            {
                "merchant_id": MERCHANT,
                "code": code,
                "normal_side": side,
                "balance_fen": fen if side == "debit" else -fen,
            },
        )


def _trade_of(agreement: UUID, cause: UUID) -> str:
    seqs = range(1, len(DUE[agreement]) + 1)
    return next(trade_no(agreement, s, 1) for s in seqs if instalment(agreement, s) == cause)


def _money_back_rows() -> Iterator[Row]:
    yield "billing.attempts", _attempt(A, 2, 2)
    for refund_id, agreement, seq, number in ((SURPLUS_REFUND, A, 2, 2), (REFUND, B, 1, 1)):
        yield (
            "billing.refunds",
            {
                "refund_id": refund_id,
                "refund_no": refund_no(refund_id),
                "attempt_id": attempt(agreement, seq, number),
                "instalment_id": instalment(agreement, seq),
                "agreement_id": agreement,
                "merchant_id": MERCHANT,
                "customer_id": customer(agreement),
                "settlement_id": SETTLEMENT if agreement == B else None,
                "rail": RAIL[agreement],
                "amount_fen": FEN,
                "reason": "terminated" if agreement == B else "surplus",
                "state": "succeeded",
                "created_at": TERMINATED,
                "settled_at": TERMINATED + timedelta(minutes=5),
            },
        )
    asked = {
        "settlement_id": SETTLEMENT,
        "agreement_id": B,
        "merchant_id": MERCHANT,
        "amount_fen": FEN,
        "reason": "terminated",
        "requested_at": TERMINATED,
    }
    yield "billing.settlements", asked
    more = {"customer_id": customer(B), "seq": 1, "rail": "wechatpay", "refunded_fen": FEN}
    yield "wallet.settlements", asked | more
    common = {"merchant_id": MERCHANT, "held_fen": 0, "captured_fen": 0, "refunded_fen": 0}
    money_a = {"credited_fen": 2 * FEN, "held_fen": HOLD_FEN, "captured_fen": HOLD_FEN}
    yield "wallet.ledgers", common | _owner(A) | money_a | {"open_holds": 1}
    ended = {"ended_as": "terminated", "ended_at": TERMINATED}
    money_b = {"credited_fen": FEN, "refunded_fen": FEN, "settlements": 1}
    yield "wallet.ledgers", common | _owner(B) | money_b | ended


def _owner(agreement: UUID) -> dict[str, Any]:
    whose = {"agreement_id": agreement, "customer_id": customer(agreement)}
    return whose | {"rail": RAIL[agreement], "periods": len(DUE[agreement])}


def _notice_rows(agreement: UUID, seq: int) -> Iterator[Row]:
    for kind in kinds(agreement):
        at = told_at(agreement, seq, kind)
        channels = ["rail"] if kind == "rail" else ["sms", "mini_program"]
        yield (
            "billing.notices",
            {
                "notice_id": notice(agreement, seq, kind),
                "instalment_id": instalment(agreement, seq),
                "merchant_id": MERCHANT,
                "kind": kind,
                "channels": channels,
                "charge_on": DUE[agreement][seq - 1],
                "amount_fen": FEN,
                "requested_at": at,
                "send_by": at + timedelta(days=1),
                "state": "requested",
            },
        )
        for channel in channels:
            told = None if kind == "rail" else message(agreement, seq, kind, channel)
            yield (
                "billing.notice_proofs",
                {
                    "notice_id": notice(agreement, seq, kind),
                    "channel": channel,
                    "message_id": told,
                    "accepted_at": at,
                    "delivered_at": at,
                },
            )
            if told is not None:
                yield "notify.messages", _message(agreement, seq, kind, channel)


def provider(agreement: UUID, channel: str) -> str:
    return "aliyun" if channel == "sms" else {A: "alipay", B: "wechat"}[agreement]


def _message(agreement: UUID, seq: int, kind: str, channel: str) -> dict[str, Any]:
    at, named = told_at(agreement, seq, kind), message(agreement, seq, kind, channel)
    return {
        "merchant_id": MERCHANT,
        "message_id": named,
        "cause": f"notice.{kind}",
        "cause_id": notice(agreement, seq, kind),
        "channel": channel,
        "customer_id": customer(agreement),
        "agreement_id": agreement,
        "instalment_id": instalment(agreement, seq),
        "rail": RAIL[agreement],
        "template_key": f"notice.{kind}",
        "kind": "notice",
        "facts": {},
        "queued_at": at,
        "send_by": at + timedelta(days=1),
        "state": "delivered",
        "provider": provider(agreement, channel),
        "provider_message_id": None if provider(agreement, channel) == "alipay" else named.hex[:12],
        "submitted_at": at,
        "accepted_at": at,
        "delivered_at": at,
    }


def rows() -> list[Row]:
    """Return every row, by table."""
    listed = bill_rows(_attempt(A, 1, 1))
    made = [*_agreement_rows(A), *_agreement_rows(B), *_ledger_rows(), *_money_back_rows()]
    return [*made, *listed]


async def write(conn: Connection) -> None:
    """Write every row; *conn* is a superuser's, so that nothing asks for merchants and pets."""
    await conn.execute("SET session_replication_role = replica")
    for table, row in rows():
        names = ", ".join(row)
        await conn.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} "
            f"FROM jsonb_populate_record(NULL::{table}, $1::text::jsonb)",
            orjson.dumps(row).decode(),
        )
    await conn.execute("SET search_path TO wallet")
    await seals.seal(conn, MERCHANT, now=NOW)
    await conn.execute("RESET search_path")
