"""WeChat Pay: deductions (v2), announcements, payments in the mini-program and refunds (v3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from services.billing.domain.attempt import Attempt, AttemptKind
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
from shared.calendar import CHINA
from shared.rails import wechatpay_calls as calls
from shared.rails.classes import FailureClass, RailCall, classify
from shared.rails.outcome import Ok, Outcome, Refused, Unknown
from shared.rails.wechatpay import WechatPayClient
from shared.rails.wechatpay_calls import Deduction

RAIL: Final = "wechatpay"

_NEVER_CAME: Final = frozenset({"ORDERNOTEXIST", "ORDER_NOT_EXIST", "RESOURCE_NOT_EXISTS"})
_WAITING: Final = frozenset({"ACCEPT", "USERPAYING"})
_FAILED: Final = frozenset({"PAY_FAIL", "PAYERROR", "REVOKED", "CLOSED"})
_TRY_REFUND_LATER: Final = frozenset({FailureClass.RETRY_LATER, FailureClass.UNKNOWN})
_TOLD_BEFORE: Final = ("已下发", "已发送", "already")


@dataclass(frozen=True)
class NotifyUrls:
    """Where WeChat Pay tells us of each kind of thing."""

    deduction: str
    payment: str
    refund: str


class WechatPayRail:
    """The adapter for one merchant number."""

    def __init__(self, client: WechatPayClient, urls: NotifyUrls) -> None:
        """Use *client*; it is told to send news to *urls*."""
        self.client = client
        self._urls = urls

    async def charge(self, attempt: Attempt) -> Finding:
        """Ask for a deduction; the best answer is that it was accepted."""
        order = Deduction(
            out_trade_no=attempt.trade_no,
            amount_fen=attempt.amount_fen,
            description=attempt.description,
            contract_id=attempt.rail_agreement_no,
        )
        outcome = await calls.apply_deduction(self.client, order, notify_url=self._urls.deduction)
        match outcome:
            case Ok():
                return Pending()
            case Refused():
                return _refused(outcome.code)
            case Unknown():
                return Unclear(outcome.reason.value)

    async def query(self, attempt: Attempt) -> Finding:
        """Ask for the order; judged by ``trade_state`` alone."""
        if attempt.kind is AttemptKind.PAY_NOW:
            outcome = await calls.query_order(self.client, out_trade_no=attempt.trade_no)
        else:
            outcome = await calls.query_deduction(self.client, out_trade_no=attempt.trade_no)
        if isinstance(outcome, Refused) and outcome.code in _NEVER_CAME:
            return NotFound()
        if not isinstance(outcome, Ok):
            return Unclear(_reason(outcome))
        return order_finding(outcome.data, attempt)

    async def close(self, attempt: Attempt) -> None:
        """Close an unpaid order; a deduction cannot be closed, only awaited."""
        if attempt.kind is AttemptKind.PAY_NOW:
            await calls.close_order(self.client, out_trade_no=attempt.trade_no)

    async def open_payment(self, attempt: Attempt) -> Opened | NotOpened:
        """Create an order for ``wx.requestPayment``."""
        outcome = await calls.create_order(
            self.client,
            out_trade_no=attempt.trade_no,
            amount_fen=attempt.amount_fen,
            description=attempt.description,
            openid=attempt.payer_no,
            notify_url=self._urls.payment,
            time_expire=attempt.expires_at.astimezone(CHINA).isoformat(timespec="seconds"),
        )
        match outcome:
            case Ok():
                prepay_id = str(outcome.data["prepay_id"])
                return Opened(await self.client.payment_request(prepay_id))
            case Refused():
                return NotOpened(outcome.code, clear=outcome.code != "ORDERPAID")
            case Unknown():
                return NotOpened(outcome.reason.value, clear=False)

    async def refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        """Ask for a refund; mostly the answer is that it is being processed."""
        outcome = await calls.refund(
            self.client,
            out_trade_no=charge.trade_no,
            out_refund_no=refund.refund_no,
            amount_fen=refund.amount_fen,
            total_fen=charge.amount_fen,
            reason=refund.reason,
            notify_url=self._urls.refund,
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
        outcome = await calls.query_refund(self.client, out_refund_no=refund.refund_no)
        return refund_finding(outcome.data) if isinstance(outcome, Ok) else RefundPending()

    async def tell_customer(self, rail_agreement_no: str, amount_fen: int) -> Told | NotTold:
        """Let WeChat announce the deduction; a second announcement in a cycle is refused."""
        outcome = await calls.send_prenotice(
            self.client, contract_id=rail_agreement_no, amount_fen=amount_fen
        )
        match outcome:
            case Ok():
                return Told()
            case Refused():
                failure = classify(RAIL, RailCall.CHARGE, outcome.code)
                told = any(word in outcome.message for word in _TOLD_BEFORE)
                final = failure is not FailureClass.RETRY_LATER
                return NotTold(outcome.code, final=final, standing=told)
            case Unknown():
                return NotTold(outcome.reason.value, final=False)

    async def move_plan(self, rail_agreement_no: str, day: date) -> date | None:  # noqa: ARG002
        """WeChat keeps no plan."""
        return None


def order_finding(fields: Mapping[str, Any], attempt: Attempt | None) -> Finding:
    """Return what the state of a v2 or v3 order means."""
    state = str(fields.get("trade_state", ""))
    if state in {"SUCCESS", "REFUND"}:
        paid_fen = order_amount_fen(fields)
        if paid_fen is None or (attempt is not None and paid_fen != attempt.amount_fen):
            return Unclear("amount_differs")
        return Paid(str(fields.get("transaction_id", "")), paid_fen, _paid_at(fields))
    if state in _FAILED:
        return _declined(str(fields.get("err_code") or state))
    if state == "NOTPAY" or state in _WAITING:
        return Pending(unpaid=state == "NOTPAY")
    return Unclear(f"state:{state}")


def order_amount_fen(fields: Mapping[str, Any]) -> int | None:
    """Return the order's amount: ``total_fee`` of v2, ``amount.total`` of v3."""
    amount = fields.get("amount")
    found = amount.get("total") if isinstance(amount, Mapping) else fields.get("total_fee")
    text = str(found if found is not None else "")
    return int(text) if text.isdecimal() else None


def refund_finding(fields: Mapping[str, Any]) -> RefundFinding:
    """Return what the state of a refund means (``status``, in callbacks ``refund_status``)."""
    state = str(fields.get("status") or fields.get("refund_status") or "")
    match state:
        case "SUCCESS":
            return Refunded(_rfc_time(fields.get("success_time")))
        case "CLOSED":
            return RefundRefused(state, final=True)
        case "ABNORMAL":
            # The customer's card is gone: a person must find another way.
            return RefundRefused(state, final=True)
        case _:
            return RefundPending(state)


def _declined(code: str) -> Finding:
    # The order has ended without money, whatever its code: never unclear.
    failure = classify(RAIL, RailCall.CHARGE, code)
    return Failed(FailureClass.RETRY_LATER if failure is FailureClass.UNKNOWN else failure, code)


def _refused(code: str) -> Finding:
    failure = classify(RAIL, RailCall.CHARGE, code)
    if failure in {FailureClass.UNKNOWN, FailureClass.NUMBER_USED}:
        return Unclear(code)
    return Failed(failure, code)


def _reason(outcome: Outcome) -> str:
    return outcome.reason.value if isinstance(outcome, Unknown) else getattr(outcome, "code", "ok")


def _paid_at(fields: Mapping[str, Any]) -> datetime | None:
    text = str(fields.get("time_end") or "")
    if text.isdecimal():
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=CHINA)
        return moment.astimezone(UTC)
    return _rfc_time(fields.get("success_time"))


def _rfc_time(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
