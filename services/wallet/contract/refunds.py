"""What is asked and answered of money that goes back while an agreement goes on."""

from enum import StrEnum

from services.wallet.contract.states import RefundReason
from shared.web import Body, PositiveFen


class AskedFor(StrEnum):
    """
    Why a merchant or an operator gives money back.

    ``seven_days``: the customer's right within seven days of payment (rule CT-09), whose
    deadline is shorter (rule CT-17).
    """

    SEVEN_DAYS = RefundReason.SEVEN_DAYS.value
    AFTER_SALES = RefundReason.AFTER_SALES.value
    GOODWILL = RefundReason.GOODWILL.value


class NewRefund(Body):
    """How much of an agreement's unspent principal goes back to where it came from."""

    amount_fen: PositiveFen
    reason: AskedFor
