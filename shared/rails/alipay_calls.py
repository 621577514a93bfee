"""The Alipay methods this platform uses, each as one function; amounts go in as fen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import orjson

from shared.money import yuan
from shared.rails.alipay import AlipayClient
from shared.rails.outcome import Outcome

_Value = TypeVar("_Value")

BRIEF_SCORE_PRODUCT = "w1010100000000002733"
"""Fixed ``product_code`` of zhima.credit.score.brief.get."""


@dataclass(frozen=True)
class PeriodRule:
    """The limits a customer signs: when, how much at once, how often, how much in all."""

    execute_day: date
    single_amount_fen: int
    months: int = 1
    total_amount_fen: int | None = None
    total_payments: int | None = None


@dataclass(frozen=True)
class SignPage:
    """What ``alipay.user.agreement.page.sign`` is asked for; codes come from the contract."""

    external_agreement_no: str
    sign_scene: str
    product_code: str
    personal_product_code: str
    period_rule: PeriodRule | None
    external_logon_id: str = ""
    identity: Mapping[str, str] | None = None
    access_channel: str = "ALIPAYAPP"


@dataclass(frozen=True)
class Withholding:
    """One deduction under an agreement; ``out_trade_no`` is its idempotency key."""

    out_trade_no: str
    amount_fen: int
    subject: str
    agreement_no: str
    product_code: str
    timeout_express: str = "1h"
    passback_params: str = ""


async def sign_page_string(
    client: AlipayClient, page: SignPage, *, notify_url: str, app_auth_token: str = ""
) -> str:
    """Return ``signStr`` for ``my.paySignCenter``; there is deliberately no ``return_url``."""
    content: dict[str, Any] = {
        "personal_product_code": page.personal_product_code,
        "product_code": page.product_code,
        "access_params": {"channel": page.access_channel},
        "sign_scene": page.sign_scene,
        "external_agreement_no": page.external_agreement_no,
    }
    if page.external_logon_id:
        content["external_logon_id"] = page.external_logon_id
    if page.identity:
        content["identity_params"] = dict(page.identity)
    if page.period_rule is not None:
        content["period_rule_params"] = _period_rule(page.period_rule)
    return await client.mini_program_string(
        "alipay.user.agreement.page.sign",
        content,
        notify_url=notify_url,
        app_auth_token=app_auth_token,
    )


async def query_agreement(
    client: AlipayClient,
    *,
    agreement_no: str = "",
    external_agreement_no: str = "",
    sign_scene: str = "",
    personal_product_code: str = "",
    app_auth_token: str = "",
) -> Outcome:
    """Ask for an agreement by Alipay's number, or by ours with its scene and product."""
    content = _agreement(agreement_no, external_agreement_no, sign_scene, personal_product_code)
    return await client.call("alipay.user.agreement.query", content, app_auth_token=app_auth_token)


async def unsign(
    client: AlipayClient, *, agreement_no: str, notify_url: str, app_auth_token: str = ""
) -> Outcome:
    """End an agreement; refused with AGREEMENT_HAS_UNSIGNED or USER_AGREEMENT_NOT_EXIST = done."""
    return await client.call(
        "alipay.user.agreement.unsign",
        {"agreement_no": agreement_no},
        notify_url=notify_url,
        app_auth_token=app_auth_token,
    )


async def move_plan(
    client: AlipayClient, *, agreement_no: str, day: date, memo: str = "", app_auth_token: str = ""
) -> Outcome:
    """Move the next deduction to *day*: later than planned, day 1-28 under a month rule."""
    content = {"agreement_no": agreement_no, "deduct_time": day.isoformat(), "memo": memo}
    return await client.call(
        "alipay.user.agreement.executionplan.modify",
        _filled(content),
        app_auth_token=app_auth_token,
    )


async def withhold(
    client: AlipayClient, order: Withholding, *, notify_url: str, app_auth_token: str = ""
) -> Outcome:
    """
    Deduct; the same order again is idempotent, other content under its number is refused.

    ``Ok`` is payment only if no ``async_payment_mode`` other than ``SYNC_DIRECT_PAY`` is named.
    """
    content = {
        "out_trade_no": order.out_trade_no,
        "total_amount": yuan(order.amount_fen),
        "subject": order.subject,
        "product_code": order.product_code,
        "agreement_params": {"agreement_no": order.agreement_no},
        "timeout_express": order.timeout_express,
        "passback_params": order.passback_params,
    }
    return await client.call(
        "alipay.trade.pay", _filled(content), notify_url=notify_url, app_auth_token=app_auth_token
    )


async def query_trade(
    client: AlipayClient, *, out_trade_no: str, app_auth_token: str = ""
) -> Outcome:
    """Ask what became of a trade; refused with TRADE_NOT_EXIST = Alipay never received it."""
    return await client.call(
        "alipay.trade.query", {"out_trade_no": out_trade_no}, app_auth_token=app_auth_token
    )


async def close_trade(
    client: AlipayClient, *, out_trade_no: str, app_auth_token: str = ""
) -> Outcome:
    """Close an unpaid trade, so that it cannot be paid later."""
    return await client.call(
        "alipay.trade.close", {"out_trade_no": out_trade_no}, app_auth_token=app_auth_token
    )


async def create_trade(
    client: AlipayClient,
    *,
    out_trade_no: str,
    amount_fen: int,
    subject: str,
    buyer_id: str,
    notify_url: str,
    time_expire: str,
    app_auth_token: str = "",
) -> Outcome:
    """
    Create a trade the buyer pays himself; ``trade_no`` goes to ``my.tradePay``.

    *time_expire* is the moment of its end as Alipay writes time, so that the same trade asked
    for again does not live longer.
    """
    content = {
        "out_trade_no": out_trade_no,
        "total_amount": yuan(amount_fen),
        "subject": subject,
        "time_expire": time_expire,
        **_user(buyer_id, "buyer_id", "buyer_open_id"),
    }
    return await client.call(
        "alipay.trade.create", content, notify_url=notify_url, app_auth_token=app_auth_token
    )


async def refund(
    client: AlipayClient,
    *,
    out_trade_no: str,
    out_request_no: str,
    amount_fen: int,
    reason: str = "",
    app_auth_token: str = "",
) -> Outcome:
    """
    Refund to the original route; the same request number refunds once.

    After ``Unknown`` repeat with the same parameters; a new number could refund twice.
    ``fund_change`` = ``N`` in the answer is not proof of failure: query.
    """
    content = {
        "out_trade_no": out_trade_no,
        "refund_amount": yuan(amount_fen),
        "out_request_no": out_request_no,
        "refund_reason": reason,
    }
    return await client.call("alipay.trade.refund", _filled(content), app_auth_token=app_auth_token)


async def query_refund(
    client: AlipayClient, *, out_trade_no: str, out_request_no: str, app_auth_token: str = ""
) -> Outcome:
    """Ask for a refund; done only if ``refund_status`` is ``REFUND_SUCCESS``."""
    return await client.call(
        "alipay.trade.fastpay.refund.query",
        {"out_trade_no": out_trade_no, "out_request_no": out_request_no},
        app_auth_token=app_auth_token,
    )


async def brief_score(
    client: AlipayClient,
    *,
    transaction_id: str,
    cert_no: str,
    name: str,
    threshold: int,
) -> Outcome:
    """
    Ask whether a person's score reaches *threshold* (350-950): ``is_admittance`` Y, N or N/A.

    The same *transaction_id* within 86,400 s gives the first answer again and costs nothing.
    """
    content = {
        "transaction_id": transaction_id,
        "product_code": BRIEF_SCORE_PRODUCT,
        "cert_type": "IDENTITY_CARD",
        "cert_no": cert_no,
        "name": name,
        "admittance_score": threshold,
    }
    return await client.call("zhima.credit.score.brief.get", content)


async def start_certify(
    client: AlipayClient, *, outer_order_no: str, name: str, cert_no: str, biz_code: str = "FACE"
) -> Outcome:
    """Begin an identity check inside Alipay; answers ``certify_id``."""
    content = {
        "outer_order_no": outer_order_no,
        "biz_code": biz_code,
        "identity_param": {
            "identity_type": "CERT_INFO",
            "cert_type": "IDENTITY_CARD",
            "cert_name": name,
            "cert_no": cert_no,
        },
        "merchant_config": {"return_url": ""},
    }
    return await client.call("alipay.user.certify.open.initialize", content)


async def certify_page(client: AlipayClient, *, certify_id: str) -> str:
    """Return the page's URL for ``startBizService``; it is opened, never called."""
    query = await client.sdk_string("alipay.user.certify.open.certify", {"certify_id": certify_id})
    return f"{client.config.gateway_url}?{query}"


async def query_certify(client: AlipayClient, *, certify_id: str) -> Outcome:
    """Ask for an identity check: ``passed`` T or F; only this result counts."""
    return await client.call("alipay.user.certify.open.query", {"certify_id": certify_id})


async def send_template_message(
    client: AlipayClient,
    *,
    user_id: str,
    template_id: str,
    page: str,
    keywords: Sequence[str],
    form_id: str = "",
) -> Outcome:
    """Send a mini-program message; *keywords* fill keyword1, keyword2, ..., 50 characters each."""
    data = {f"keyword{n}": {"value": text} for n, text in enumerate(keywords, 1)}
    content = {
        "user_template_id": template_id,
        "page": page,
        "form_id": form_id,
        "data": orjson.dumps(data).decode(),
        **_user(user_id, "to_user_id", "to_open_id"),
    }
    return await client.call("alipay.open.app.mini.templatemessage.send", _filled(content))


def _period_rule(rule: PeriodRule) -> dict[str, Any]:
    content: dict[str, Any] = {
        "period_type": "MONTH",
        "period": rule.months,
        "execute_time": rule.execute_day.isoformat(),
        "single_amount": yuan(rule.single_amount_fen),
    }
    if rule.total_amount_fen is not None:
        content["total_amount"] = yuan(rule.total_amount_fen)
    if rule.total_payments is not None:
        content["total_payments"] = rule.total_payments
    return content


def _agreement(number: str, external_no: str, scene: str, product: str) -> dict[str, str]:
    if number:
        return {"agreement_no": number}
    return _filled(
        {
            "external_agreement_no": external_no,
            "sign_scene": scene,
            "personal_product_code": product,
        }
    )


def _user(user: str, by_id: str, by_open_id: str) -> dict[str, str]:
    # User ids are 16 digits that begin with 2088; everything else is an open id.
    is_id = len(user) == len("2088000000000001") and user.startswith("2088") and user.isdigit()
    return {by_id if is_id else by_open_id: user}


def _filled(content: dict[str, _Value]) -> dict[str, _Value]:
    return {key: value for key, value in content.items() if value != ""}


async def bill_url(client: AlipayClient, *, day: date) -> Outcome:
    """
    Ask for ``bill_download_url`` of the day's trades; it is valid for 30 seconds.

    BILL_NOT_EXIST: not ready, or a day without trades.
    """
    return await client.call(
        "alipay.data.dataservice.bill.downloadurl.query",
        {"bill_type": "trade", "bill_date": day.isoformat()},
    )
