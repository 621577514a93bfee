"""What the simulators show of the platform in ``state``, in their own JSON."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.billing.domain.trade_no import refund_no, trade_no
from services.fulfillment.domain.shipment import shipment_no
from services.notify.domain.provider import out_id_of
from shared.calendar import CHINA
from tests.audit.state import (
    DUE,
    FEN,
    MERCHANT,
    NOW,
    PAID,
    RAIL_NO,
    REFUND,
    SURPLUS_REFUND,
    TERMINATED,
    A,
    B,
    charged_at,
    message,
    shipment,
    told_at,
)

Doc = dict[str, Any]


def _capture(agreement: UUID, seq: int, number: int = 1) -> Doc:
    key = {A: "agreement_no", B: "contract_id"}[agreement]
    return {
        "trade_no": f"R{seq}{number}",
        "out_trade_no": trade_no(agreement, seq, number),
        key: RAIL_NO[agreement] if number == 1 else "",
        "period": DUE[agreement][seq - 1].isoformat(),
        "account": "payer",
        "merchant": "payee",
        "amount_fen": FEN,
        "at": charged_at(agreement, seq).isoformat(),
    }


def _sent() -> Iterator[tuple[str, Doc]]:
    for agreement, seq in PAID:
        for kind in ("advance", "reminder"):
            at = told_at(agreement, seq, kind).isoformat()
            by_sms = message(agreement, seq, kind, "sms")
            sms = {"biz_id": by_sms.hex[:12], "out_id": out_id_of(MERCHANT, by_sms), "at": at}
            yield "sms", sms | {"key": f"{by_sms.hex[:12]}:1", "phone": "1", "status": "delivered"}
            told = message(agreement, seq, kind, "mini_program").hex[:12]
            what = {"template_id": kind, "data": {"date1": f"{DUE[agreement][seq - 1]}"}, "at": at}
            if agreement == A:
                yield "alipay", what | {"id": f"{seq}{kind}", "account": "payer"}
            else:
                yield "wechat", what | {"msgid": told, "openid": "payer", "status": "delivered"}


def books() -> dict[str, dict[str, list[Doc]]]:
    """Return what each simulator shows, by its name and kind; made anew, to spoil."""
    messages: dict[str, list[Doc]] = {"sms": [], "alipay": [], "wechat": []}
    for name, doc in _sent():
        messages[name].append(doc)
    surplus = {"out_request_no": refund_no(SURPLUS_REFUND), "out_trade_no": trade_no(A, 2, 2)}
    back = {"out_refund_no": refund_no(REFUND), "out_trade_no": trade_no(B, 1, 1)}
    prenotice = {"contract_id": RAIL_NO[B], "amount_fen": FEN, "days": 7, "paid": True}
    told_on = told_at(B, 1, "rail").astimezone(CHINA).date()
    order = {"o_id": 10000001, "so_id": shipment_no(shipment(A, 1)), "status": "Sent"}
    return {
        "alipay": {
            "captures": [_capture(A, 1), _capture(A, 2), _capture(A, 2, 2)],
            "refunds": [surplus | {"amount_fen": FEN}],
            "agreements": [{"agreement_no": RAIL_NO[A], "status": "NORMAL"}],
            "messages": messages["alipay"],
        },
        "wechatpay": {
            "captures": [_capture(B, 1)],
            "refunds": [back | {"amount_fen": FEN, "status": "SUCCESS"}],
            "contracts": [
                {
                    "contract_id": RAIL_NO[B],
                    "state": "1",
                    "terminated_at": TERMINATED.isoformat(),
                }
            ],
            "prenotices": [prenotice | {"day": told_on.isoformat()}],
        },
        "bankcard": {"captures": []},
        "payout": {"transfers": []},
        "jst": {"orders": [order | {"sent_at": (NOW - timedelta(days=30)).isoformat()}]},
        "sms": {"messages": messages["sms"]},
        "wechat": {"messages": messages["wechat"]},
    }
