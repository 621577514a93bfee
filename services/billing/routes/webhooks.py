"""What the rails tell us, and what of it fits nothing of ours."""

from datetime import datetime
from uuid import UUID

from aiohttp import web

from services.billing.contract.api import (
    NotificationView,
)
from services.billing.deps import Deps
from services.billing.routes.table import api
from services.billing.usecases.take_notification import (
    take_alipay,
    take_bankcard,
    take_wechat_deduction,
    take_wechat_event,
)
from shared import webhooks
from shared.rails.alipay import NOTIFICATION_TAKEN
from shared.rails.card import NOTIFICATION_TAKEN as CARD_TAKEN
from shared.rails.outcome import BadSignature
from shared.rails.wechatpay_v2 import build_xml
from shared.web import Call, Page, PageQuery


@api.get("/v1/unplaced-notifications", scope="ops:read", tags=("operations",))
async def list_unplaced(call: Call[Deps], query: PageQuery) -> Page[NotificationView]:
    """List the rails' notifications that fit nothing of ours, for a person to look at."""
    async with call.deps.db.connection() as conn:
        rows = await webhooks.unplaced(
            conn, limit=query.limit + 1, after=query.after(datetime, UUID)
        )
    return Page[NotificationView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.received_at, row.webhook_id),
        view=lambda row: NotificationView(
            webhook_id=row.webhook_id,
            provider=row.provider,
            delivery_key=row.delivery_key,
            received_at=row.received_at,
            reason=row.reason,
            body=row.body.decode("utf-8", "replace"),
        ),
    )


def _alipay_failure() -> web.Response:
    return web.Response(text="fail", status=500)


def _wechat_v2_failure() -> web.Response:
    return _xml("FAIL", "try again", status=500)


def _wechat_v3_failure() -> web.Response:
    return web.json_response({"code": "FAIL", "message": "try again"}, status=500)


def _card_failure() -> web.Response:
    return web.json_response({"code": "FAIL"}, status=500)


@api.webhook("/webhooks/alipay", summary="Alipay trade notifications", failure=_alipay_failure)
async def hear_alipay(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take a trade notification; only the exact word ``success`` ends its resends."""
    try:
        await take_alipay(call.deps, request.headers, raw)
    except BadSignature:
        return web.Response(text="fail", status=401)
    return web.Response(text=NOTIFICATION_TAKEN)


@api.webhook(
    "/webhooks/wechatpay/papay",
    summary="WeChat Pay deduction results (v2)",
    failure=_wechat_v2_failure,
)
async def hear_wechat_deduction(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take the result of a deduction."""
    try:
        await take_wechat_deduction(call.deps, request.headers, raw)
    except BadSignature:
        return _xml("FAIL", "signature", status=401)
    return _xml("SUCCESS", "OK")


@api.webhook(
    "/webhooks/wechatpay/pay", summary="WeChat Pay payments (v3)", failure=_wechat_v3_failure
)
async def hear_wechat_payment(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take the news of a payment that a customer made."""
    return await _wechat_event(call, request, raw)


@api.webhook(
    "/webhooks/wechatpay/refund", summary="WeChat Pay refunds (v3)", failure=_wechat_v3_failure
)
async def hear_wechat_refund(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take the news of a refund."""
    return await _wechat_event(call, request, raw)


@api.webhook(
    "/webhooks/bankcard", summary="Card aggregator: orders and refunds", failure=_card_failure
)
async def hear_bankcard(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take the news of a charge, a payment or a refund."""
    try:
        await take_bankcard(call.deps, request.headers, raw)
    except BadSignature:
        return web.json_response({"code": "SIGN_ERROR"}, status=401)
    return web.json_response(CARD_TAKEN)


async def _wechat_event(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    try:
        await take_wechat_event(call.deps, request.headers, raw)
    except BadSignature:
        return web.json_response({"code": "FAIL", "message": "signature"}, status=401)
    return web.Response(status=204)


def _xml(code: str, message: str, *, status: int = 200) -> web.Response:
    body = build_xml({"return_code": code, "return_msg": message})
    return web.Response(body=body, status=status, content_type="text/xml", charset="utf-8")
