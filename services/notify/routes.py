"""What notify answers over HTTP: messages, templates, preferences; and the providers' pushes."""

import hmac
from datetime import UTC, datetime
from uuid import UUID

from aiohttp import web

from services.notify.contract.api import (
    ChannelChoice,
    ChannelChoiceView,
    MessageDetailView,
    MessageFilter,
    MessageView,
    MoveView,
    PreferencesBody,
    PreferencesView,
    PreviewBody,
    PreviewView,
    TemplateList,
    TemplateView,
)
from services.notify.contract.states import Channel, Scope
from services.notify.deps import Deps
from services.notify.domain.errors import (
    ContactUnknown,
    MessageUnknown,
    ParamsInvalid,
    TemplateUnknown,
)
from services.notify.domain.template import render, sms_parts
from services.notify.gateways import aliyun_sms, wechat_message
from services.notify.store import messages
from services.notify.usecases.set_preferences import Choices, set_preferences
from services.notify.usecases.take_push import refuse_push, take_push
from services.notify.usecases.take_receipts import take_receipts
from services.notify.usecases.take_replies import take_replies
from shared.web import Api, Call, Page
from shared.webhooks import StaleDelivery, require_fresh

api: Api[Deps] = Api(title="Yuefu notify", version="1")


@api.get("/v1/messages", scope="notify:read", tags=("messages",))
async def list_messages(call: Call[Deps], query: MessageFilter) -> Page[MessageView]:
    """List the merchant's messages, newest first."""
    async with call.deps.db.connection() as conn:
        rows = await messages.page(
            conn,
            call.tenant_id,
            customer_id=query.customer_id,
            cause_id=query.cause_id,
            agreement_id=query.agreement_id,
            state=query.state,
            limit=query.limit + 1,
            before=query.after(datetime, UUID),
        )
    return Page[MessageView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.queued_at, row.message_id),
        view=MessageView.model_validate,
    )


@api.get(
    "/v1/messages/{message_id}",
    scope="notify:read",
    tags=("messages",),
    problems=(MessageUnknown,),
)
async def get_message(call: Call[Deps], message_id: UUID) -> MessageDetailView:
    """Show a message with all its moves: what was sent, to whom, when it was taken."""
    async with call.deps.db.connection() as conn:
        message = await messages.get(conn, call.tenant_id, message_id)
        if message is None:
            raise MessageUnknown("No such message here.", message_id=str(message_id))
        moves = await messages.history(conn, call.tenant_id, message_id)
    return MessageDetailView(
        message=MessageView.model_validate(message),
        history=[MoveView(**move) for move in moves],
    )


@api.get("/v1/templates", scope="notify:read", tags=("templates",))
async def list_templates(call: Call[Deps]) -> TemplateList:
    """List the wording in use, with the parameters each text takes."""
    book = call.deps.templates
    return TemplateList(items=[TemplateView.model_validate(book[key]) for key in sorted(book)])


@api.post(
    "/v1/templates/{key}/preview",
    scope="notify:read",
    tags=("templates",),
    idempotent=False,
    problems=(TemplateUnknown, ParamsInvalid),
)
async def preview_template(call: Call[Deps], key: str, body: PreviewBody) -> PreviewView:
    """Show what a customer would read; nothing is sent."""
    template = call.deps.templates.get((key, body.channel))
    if template is None:
        raise TemplateUnknown("No such template.", channel=body.channel.value)
    rendered = render(template, body.facts)
    return PreviewView(
        key=key,
        channel=body.channel,
        version=template.version,
        text=rendered.text,
        characters=len(rendered.text),
        sms_parts=sms_parts(rendered.text) if body.channel is Channel.SMS else None,
    )


@api.put(
    "/v1/customers/{customer_id}/preferences",
    scope="notify:write",
    tags=("preferences",),
    problems=(ContactUnknown,),
)
async def put_preferences(
    call: Call[Deps], customer_id: UUID, body: PreferencesBody
) -> PreferencesView:
    """Set what a customer wants to hear; repeating it changes nothing."""
    wanted = _choices(Channel.SMS, body.sms) | _choices(Channel.MINI_PROGRAM, body.mini_program)
    async with call.deps.db.transaction() as conn:
        stand = await set_preferences(conn, call.tenant_id, customer_id, wanted, call.deps)
    return PreferencesView(
        customer_id=customer_id,
        sms=_stands(Channel.SMS, stand),
        mini_program=_stands(Channel.MINI_PROGRAM, stand),
    )


@api.webhook("/webhooks/aliyun/{token}/sms-report")
async def sms_reported(
    call: Call[Deps], request: web.Request, raw: bytes, token: str
) -> web.Response:
    """Take delivery receipts of SMS; Aliyun does not sign, the address is the secret."""
    await _require_token(call.deps, request, raw, token)
    await take_push(
        call.deps,
        "aliyun",
        raw,
        request.headers,
        read=aliyun_sms.read_receipts,
        apply=take_receipts,
    )
    return web.json_response(aliyun_sms.TAKEN)


@api.webhook("/webhooks/aliyun/{token}/sms-up")
async def sms_replied(
    call: Call[Deps], request: web.Request, raw: bytes, token: str
) -> web.Response:
    """Take what customers wrote back."""
    await _require_token(call.deps, request, raw, token)
    await take_push(
        call.deps,
        "aliyun-replies",
        raw,
        request.headers,
        read=aliyun_sms.read_replies,
        apply=take_replies,
    )
    return web.json_response(aliyun_sms.TAKEN)


@api.webhook("/webhooks/wechat/messages", method="GET")
async def wechat_checks(call: Call[Deps], request: web.Request) -> web.Response:
    """Prove to WeChat that this address is ours."""
    await _require_signature(call.deps, request, b"")
    return web.Response(text=request.query.get("echostr", ""))


@api.webhook("/webhooks/wechat/messages")
async def wechat_told(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Take delivery results of subscription messages (plain mode)."""
    await _require_signature(call.deps, request, raw)
    await take_push(
        call.deps,
        "wechat",
        raw,
        request.headers,
        read=wechat_message.read_receipts,
        apply=take_receipts,
    )
    return web.Response(text=wechat_message.TAKEN)


async def _require_token(deps: Deps, request: web.Request, raw: bytes, token: str) -> None:
    if not hmac.compare_digest(token.encode(), deps.keys.webhook_token.encode()):
        raise await refuse_push(deps, "aliyun", raw, request.headers, reason="token")


async def _require_signature(deps: Deps, request: web.Request, raw: bytes) -> None:
    if not wechat_message.is_signed(request.query, deps.keys.wechat_push_token):
        raise await refuse_push(deps, "wechat", raw, request.headers, reason="signature")
    try:
        sent_at = datetime.fromtimestamp(int(request.query["timestamp"]), UTC)
        require_fresh(sent_at, now=deps.clock.now())
    except (ValueError, OverflowError, OSError, KeyError, StaleDelivery) as error:
        raise await refuse_push(deps, "wechat", raw, request.headers, reason="stale") from error


def _choices(channel: Channel, choice: ChannelChoice) -> dict[tuple[Channel, Scope], bool]:
    pairs = ((Scope.MARKETING, choice.marketing), (Scope.SERVICE, choice.service))
    return {(channel, scope): wanted for scope, wanted in pairs if wanted is not None}


def _stands(channel: Channel, stand: Choices) -> ChannelChoiceView:
    return ChannelChoiceView(
        marketing=stand[channel, Scope.MARKETING], service=stand[channel, Scope.SERVICE]
    )
