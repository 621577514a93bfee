"""Alipay: withholding under an agreement, payments in the mini-program, refunds, plan dates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
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
from shared.rails import alipay_calls as calls
from shared.rails.alipay import AlipayClient, AlipayNotification, amount_fen, rail_time, read_time
from shared.rails.alipay_calls import Withholding
from shared.rails.classes import FailureClass, RailCall, classify
from shared.rails.outcome import Ok, Outcome, Refused, Unknown

RAIL: Final = "alipay"

_PAID: Final = frozenset({"TRADE_SUCCESS", "TRADE_FINISHED"})
_SYNC_MODES: Final = frozenset({"", "SYNC_DIRECT_PAY"})
_TRY_REFUND_LATER: Final = frozenset({FailureClass.RETRY_LATER, FailureClass.UNKNOWN})


@dataclass(frozen=True)
class TradeNews:
    """What a trade notification says; ``refund_no`` where it is about a refund."""

    app_id: str
    seller_id: str
    trade_no: str
    amount_fen: int | None
    finding: Finding
    refund_no: str


class AlipayRail:
    """The adapter; ``notify_url`` is where Alipay tells us of trades."""

    def __init__(
        self, client: AlipayClient, *, notify_url: str, product_codes: Mapping[str, str]
    ) -> None:
        """*product_codes* gives Alipay's code of each of our products, by contract."""
        self.client = client
        self._notify_url = notify_url
        self._product_codes = product_codes

    async def charge(self, attempt: Attempt) -> Finding:
        """Withhold; ``10000`` without an asynchronous mode is payment."""
        order = Withholding(
            out_trade_no=attempt.trade_no,
            amount_fen=attempt.amount_fen,
            subject=attempt.description,
            agreement_no=attempt.rail_agreement_no,
            product_code=self._product_codes[attempt.product],
            timeout_express="1h",
        )
        outcome = await calls.withhold(self.client, order, notify_url=self._notify_url)
        if not isinstance(outcome, Ok):
            return _not_ok(outcome)
        if outcome.data.get("async_payment_mode", "") not in _SYNC_MODES:
            return Pending()
        return _paid(outcome.data, attempt, time_field="gmt_payment")

    async def query(self, attempt: Attempt) -> Finding:
        """Ask for the trade by our number."""
        outcome = await calls.query_trade(self.client, out_trade_no=attempt.trade_no)
        if isinstance(outcome, Refused) and outcome.code == "TRADE_NOT_EXIST":
            return NotFound()
        if not isinstance(outcome, Ok):
            return Unclear(_reason(outcome))
        return trade_finding(outcome.data, attempt, time_field="send_pay_date")

    async def close(self, attempt: Attempt) -> None:
        """Close the unpaid trade."""
        await calls.close_trade(self.client, out_trade_no=attempt.trade_no)

    async def open_payment(self, attempt: Attempt) -> Opened | NotOpened:
        """Create a trade for ``my.tradePay``."""
        outcome = await calls.create_trade(
            self.client,
            out_trade_no=attempt.trade_no,
            amount_fen=attempt.amount_fen,
            subject=attempt.description,
            buyer_id=attempt.payer_no,
            notify_url=self._notify_url,
            time_expire=rail_time(attempt.expires_at),
        )
        match outcome:
            case Ok():
                return Opened({"tradeNO": str(outcome.data["trade_no"])})
            case Refused():
                return NotOpened(outcome.code, clear=outcome.code != "TRADE_HAS_SUCCESS")
            case Unknown():
                return NotOpened(outcome.reason.value, clear=False)

    async def refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Refund; only ``fund_change=Y`` proves it at once."""
        outcome = await calls.refund(
            self.client,
            out_trade_no=charge.trade_no,
            out_request_no=refund.refund_no,
            amount_fen=refund.amount_fen,
            reason=refund.reason,
        )
        match outcome:
            case Ok() if outcome.data.get("fund_change") == "Y":
                return Refunded(_time(outcome.data.get("gmt_refund_pay")))
            case Ok():
                return await self.query_refund(refund, charge)
            case Refused():
                failure = classify(RAIL, RailCall.REFUND, outcome.code)
                return RefundRefused(outcome.code, final=failure not in _TRY_REFUND_LATER)
            case Unknown():
                return RefundPending(outcome.reason.value)

    async def query_refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Ask for the refund; anything but ``REFUND_SUCCESS`` is not done."""
        outcome = await calls.query_refund(
            self.client, out_trade_no=charge.trade_no, out_request_no=refund.refund_no
        )
        if isinstance(outcome, Ok) and outcome.data.get("refund_status") == "REFUND_SUCCESS":
            return Refunded(_time(outcome.data.get("gmt_refund_pay")))
        return RefundPending("not_done")

    async def tell_customer(self, rail_agreement_no: str, amount_fen: int) -> Told | NotTold:  # noqa: ARG002
        """Alipay sends no announcement of its own."""
        return NotTold("not_offered", final=True)

    async def move_plan(self, rail_agreement_no: str, day: date) -> date | None:
        """Move the plan date; a refusal may mean that it stands there already, so ask."""
        outcome = await calls.move_plan(self.client, agreement_no=rail_agreement_no, day=day)
        if isinstance(outcome, Ok):
            return date.fromisoformat(str(outcome.data["deduct_time"])[:10])
        asked = await calls.query_agreement(self.client, agreement_no=rail_agreement_no)
        if isinstance(asked, Ok) and asked.data.get("next_deduct_time"):
            return date.fromisoformat(str(asked.data["next_deduct_time"])[:10])
        return None


def read_trade(notification: AlipayNotification) -> TradeNews:
    """
    Return what a verified trade notification says.

    Raises:
        ValueError: An amount or a time in it cannot be read.
    """
    fields = notification.fields
    return TradeNews(
        app_id=fields.get("app_id", ""),
        seller_id=fields.get("seller_id", ""),
        trade_no=fields.get("out_trade_no", ""),
        amount_fen=notification.amount_fen("total_amount"),
        finding=trade_finding(fields, None, time_field="gmt_payment"),
        refund_no=fields.get("out_biz_no", "") if fields.get("gmt_refund") else "",
    )


def trade_finding(
    fields: Mapping[str, Any], attempt: Attempt | None, *, time_field: str
) -> Finding:
    """Return what the status of a trade means; a closed one with a payment time was refunded."""
    status = fields.get("trade_status", "")
    if status in _PAID or (status == "TRADE_CLOSED" and fields.get(time_field)):
        return _paid(fields, attempt, time_field=time_field)
    if status == "TRADE_CLOSED":
        return Failed(FailureClass.RETRY_LATER, "TRADE_CLOSED")
    if status == "WAIT_BUYER_PAY":
        return Pending(unpaid=True)
    return Unclear(f"status:{status}")


def _paid(fields: Mapping[str, Any], attempt: Attempt | None, *, time_field: str) -> Finding:
    try:
        paid_fen = amount_fen(fields, "total_amount")
        paid_at = _time(fields.get(time_field))
    except ValueError:
        return Unclear("odd_amount")
    if paid_fen is None or (attempt is not None and paid_fen != attempt.amount_fen):
        return Unclear("amount_differs")
    return Paid(str(fields.get("trade_no", "")), paid_fen, paid_at)


def _not_ok(outcome: Outcome) -> Finding:
    if not isinstance(outcome, Refused):
        return Unclear(_reason(outcome))
    failure = classify(RAIL, RailCall.CHARGE, outcome.code)
    if failure in {FailureClass.UNKNOWN, FailureClass.NUMBER_USED}:
        return Unclear(outcome.code)
    return Failed(failure, outcome.code)


def _reason(outcome: Outcome) -> str:
    return outcome.reason.value if isinstance(outcome, Unknown) else getattr(outcome, "code", "ok")


def _time(text: object) -> datetime | None:
    return read_time(str(text)).astimezone(UTC) if text else None
