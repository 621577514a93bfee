"""Bank cards through a licensed aggregator: withholding, payments on its page, refunds."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from services.billing.domain.attempt import Attempt
from services.billing.domain.findings import (
    Failed,
    Finding,
    NotFound,
    Paid,
    Pending,
    Refunded,
    RefundFinding,
    RefundPending,
    RefundRefused,
    Unclear,
)
from services.billing.domain.refund import Refund
from services.billing.gateways.rail import NotOpened, NotTold, Opened, Told
from shared.rails.card import CardClient, read_time
from shared.rails.classes import FailureClass, RailCall, classify
from shared.rails.outcome import Ok, Refused, Unknown

RAIL: Final = "bankcard"

_NEVER_CAME: Final = "ORDER_NOT_FOUND"
_TRY_REFUND_LATER: Final = frozenset({FailureClass.RETRY_LATER, FailureClass.UNKNOWN})


class BankCardRail:
    """The adapter for one merchant number; ``notify_url`` is where the aggregator tells us."""

    def __init__(self, client: CardClient, *, notify_url: str) -> None:
        self.client = client
        self._notify_url = notify_url

    async def charge(self, attempt: Attempt) -> Finding:
        """Withhold; the answer may be final or "processing"."""
        outcome = await self.client.call(
            "charge",
            {
                "order_no": attempt.trade_no,
                "contract_no": attempt.rail_agreement_no,
                "amount_fen": attempt.amount_fen,
                "subject": attempt.description,
                "notify_url": self._notify_url,
            },
        )
        match outcome:
            case Ok():
                return order_finding(outcome.data, attempt)
            case Refused():
                failure = classify(RAIL, RailCall.CHARGE, outcome.code)
                if failure in {FailureClass.UNKNOWN, FailureClass.NUMBER_USED}:
                    return Unclear(outcome.code)
                return Failed(failure, outcome.code)
            case Unknown():
                return Unclear(outcome.reason.value)

    async def query(self, attempt: Attempt) -> Finding:
        """Ask for the order by our number."""
        outcome = await self.client.call("query", {"order_no": attempt.trade_no})
        match outcome:
            case Ok():
                return order_finding(outcome.data, attempt)
            case Refused(code) if code == _NEVER_CAME:
                return NotFound()
            case Refused():
                return Unclear(outcome.code)
            case Unknown():
                return Unclear(outcome.reason.value)

    async def close(self, attempt: Attempt) -> None:
        """Close an unpaid order."""
        await self.client.call("close", {"order_no": attempt.trade_no})

    async def open_payment(self, attempt: Attempt) -> Opened | NotOpened:
        """Open an order that the customer pays on the aggregator's page."""
        outcome = await self.client.call(
            "pay",
            {
                "order_no": attempt.trade_no,
                "user_no": attempt.payer_no,
                "amount_fen": attempt.amount_fen,
                "subject": attempt.description,
                "expires_at": attempt.expires_at.isoformat(),
                "notify_url": self._notify_url,
            },
        )
        match outcome:
            case Ok():
                return Opened({name: str(outcome.data[name]) for name in ("pay_token", "page_url")})
            case Refused():
                return NotOpened(outcome.code, clear=outcome.code != "ORDER_PAID")
            case Unknown():
                return NotOpened(outcome.reason.value, clear=False)

    async def refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Ask for a refund; mostly it is being processed."""
        outcome = await self.client.call(
            "refund",
            {
                "refund_no": refund.refund_no,
                "order_no": charge.trade_no,
                "amount_fen": refund.amount_fen,
                "reason": refund.reason,
                "notify_url": self._notify_url,
            },
        )
        match outcome:
            case Ok():
                return refund_finding(outcome.data)
            case Refused():
                failure = classify(RAIL, RailCall.REFUND, outcome.code)
                return RefundRefused(outcome.code, final=failure not in _TRY_REFUND_LATER)
            case Unknown():
                return RefundPending(outcome.reason.value)

    async def query_refund(self, refund: Refund, charge: Attempt) -> RefundFinding:  # noqa: ARG002
        """Ask for the refund by our number."""
        outcome = await self.client.call("query_refund", {"refund_no": refund.refund_no})
        return refund_finding(outcome.data) if isinstance(outcome, Ok) else RefundPending("unclear")

    async def tell_customer(self, rail_agreement_no: str, amount_fen: int) -> Told | NotTold:  # noqa: ARG002
        """The aggregator sends no announcement of its own."""
        return NotTold("not_offered", final=True)

    async def move_plan(self, rail_agreement_no: str, day: date) -> date | None:  # noqa: ARG002
        """The aggregator keeps no plan."""
        return None


def order_finding(fields: Mapping[str, Any], attempt: Attempt | None) -> Finding:
    """Return what the status of an order means."""
    match fields.get("status"):
        case "SUCCEEDED":
            return _paid(fields, attempt)
        case "FAILED":
            code = str(fields.get("fail_code") or "FAILED")
            failure = classify(RAIL, RailCall.CHARGE, code)
            # It has ended without money, whatever its code: never unclear.
            unknown = failure is FailureClass.UNKNOWN
            return Failed(FailureClass.RETRY_LATER if unknown else failure, code)
        case "CLOSED":
            return Failed(FailureClass.RETRY_LATER, "CLOSED")
        case "UNPAID":
            return Pending(unpaid=True)
        case "PROCESSING":
            return Pending()
        case status:
            return Unclear(f"status:{status}")


def _paid(fields: Mapping[str, Any], attempt: Attempt | None) -> Finding:
    paid_fen = fields.get("amount_fen")
    if not isinstance(paid_fen, int) or (attempt is not None and paid_fen != attempt.amount_fen):
        return Unclear("amount_differs")
    return Paid(str(fields.get("trade_no", "")), paid_fen, read_time(fields.get("paid_at")))


def refund_finding(fields: Mapping[str, Any]) -> RefundFinding:
    """Return what the status of a refund means."""
    match fields.get("status"):
        case "SUCCEEDED":
            return Refunded(read_time(fields.get("refunded_at")))
        case "FAILED":
            # The card is closed: a person must find another way.
            return RefundRefused(str(fields.get("fail_code") or "FAILED"), final=True)
        case status:
            return RefundPending(str(status))
