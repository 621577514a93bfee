"""Errors in closed days of bills: the check that finds each, what it names, and the error."""

from typing import Final

from services.billing.domain.trade_no import trade_no
from shared.calendar import day_in_china
from tests.audit.state import MERCHANT, A, charged_at

DAY: Final = f"alipay {day_in_china(charged_at(A, 1))}"
TRADE: Final = trade_no(A, 1, 1)

BILLS: Final = (
    (
        "closed bill days = matched lines",
        f"{DAY} {MERCHANT}",
        "UPDATE billing.reconciliations SET fee_fen = fee_fen + 1",
    ),
    (
        "closed bill days are explained",
        DAY,
        (
            "INSERT INTO billing.bill_tickets (day_id, kind, what, cause, number, opened_at) "
            "SELECT day_id, 'missing_here', 'charge', 'unknown_number', 'YF', now() "
            "FROM billing.bill_days"
        ),
    ),
    (
        "closed bill days are explained",
        DAY,
        "UPDATE billing.bill_days SET lines = 2",
    ),
    (
        "bill lines = charges and refunds",
        TRADE,
        "UPDATE billing.bill_lines SET amount_fen = amount_fen + 1",
    ),
    ("bill lines = charges and refunds", TRADE, "DELETE FROM billing.bill_lines"),
)
