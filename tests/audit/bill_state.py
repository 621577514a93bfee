"""One closed day of a rail's bill, with the line of one charge."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.billing.domain.bill_day import day_id_of
from shared.calendar import day_in_china

FEE = 60


def day_of(charge: dict[str, Any]) -> UUID:
    return day_id_of(charge["rail"], "app", day_in_china(charge["paid_at"]))


def bill_rows(charge: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    paid_at: datetime = charge["paid_at"]
    day, at = day_in_china(paid_at), paid_at + timedelta(days=1)
    sums = {"charges": 1, "refunds": 0, "captured_fen": charge["amount_fen"], "refunded_fen": 0}
    common = {"day_id": day_of(charge), "fee_fen": FEE}
    yield (
        "billing.bill_days",
        common
        | sums
        | {
            "rail": charge["rail"],
            "account_no": "app",
            "day": day,
            "state": "closed",
            "lines": 1,
            "matched_to": 1,
            "compared": True,
            "opened_at": at,
            "closed_at": at,
        },
    )
    yield (
        "billing.bill_lines",
        common
        | {
            "line_no": 1,
            "kind": "charge",
            "trade_no": charge["trade_no"],
            "rail_no": charge["rail_trade_no"],
            "amount_fen": charge["amount_fen"],
            "at": paid_at,
            "outcome": "matched",
            "merchant_id": charge["merchant_id"],
            "attempt_id": charge["attempt_id"],
        },
    )
    yield (
        "billing.reconciliations",
        common
        | sums
        | {
            "reconciliation_id": day_of(charge),
            "merchant_id": charge["merchant_id"],
            "rail": charge["rail"],
            "day": day,
            "surplus_captured_fen": 0,
            "surplus_refunded_fen": 0,
            "closed_at": at,
        },
    )
