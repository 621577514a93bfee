"""What providers call: verified over the raw body, kept as it came, answered in their form."""

from aiohttp import web

from services.signing.deps import Deps
from services.signing.routes.table import api
from services.signing.usecases import hear_provider
from services.signing.usecases.hear_provider import Heard
from shared.rails.alipay import NOTIFICATION_TAKEN as ALIPAY_TAKEN
from shared.rails.card import NOTIFICATION_TAKEN as CARD_TAKEN
from shared.rails.wechatpay_v2 import NOTIFICATION_REFUSED as WECHAT_REFUSED
from shared.rails.wechatpay_v2 import NOTIFICATION_TAKEN as WECHAT_TAKEN
from shared.web import Call

_ESIGN_TAKEN = '{"code":"200","msg":"success"}'


@api.webhook("/webhooks/alipay", summary="Alipay: mandates signed and unsigned")
async def alipay(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take a notification; anything but ``success`` makes Alipay send it again."""
    heard = await hear_provider.hear_alipay(call.deps, raw, dict(request.headers))
    if heard is Heard.REJECTED:
        return web.Response(status=401, text="failure")
    return web.Response(text=ALIPAY_TAKEN)


@api.webhook("/webhooks/wechatpay/contracts", summary="WeChat Pay: contracts added and deleted")
async def wechatpay(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take a notification, v2 XML."""
    heard = await hear_provider.hear_wechatpay(call.deps, raw, dict(request.headers))
    if heard is Heard.REJECTED:
        return web.Response(status=401, body=WECHAT_REFUSED, content_type="text/xml")
    return web.Response(body=WECHAT_TAKEN, content_type="text/xml")


@api.webhook("/webhooks/bankcard/contracts", summary="Card aggregator: contracts signed and ended")
async def bankcard(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take a notification; anything but SUCCESS makes the aggregator send it again."""
    heard = await hear_provider.hear_bankcard(call.deps, raw, request.headers)
    if heard is Heard.REJECTED:
        return web.json_response({"code": "SIGN_ERROR"}, status=401)
    return web.json_response(CARD_TAKEN)


@api.webhook("/webhooks/esign", summary="e-contract provider: flows moved on")
async def esign(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take a callback; it only says that the flow should be read again."""
    heard = await hear_provider.hear_esign(
        call.deps, raw, headers=dict(request.headers), query=dict(request.query)
    )
    if heard is Heard.REJECTED:
        return web.Response(status=401, text='{"code":"401"}', content_type="application/json")
    return web.Response(text=_ESIGN_TAKEN, content_type="application/json")
