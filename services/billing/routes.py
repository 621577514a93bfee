"""What billing answers over HTTP, and what the rails tell it."""

from datetime import datetime
from uuid import UUID

from aiohttp import web

from services.billing.contract.api import (
    AttemptView,
    Hold,
    HoldView,
    InstalmentView,
    MoveView,
    NewPayment,
    NoticeView,
    NotificationView,
    PayLinkView,
    PaymentView,
    RefundFilter,
    RefundView,
    RefusalView,
    StoryView,
    TaskFilter,
    TaskView,
)
from services.billing.deps import Deps
from services.billing.domain.errors import (
    AgreementUnknown,
    AmountDiffers,
    ChargeUnderWay,
    InstalmentUnknown,
    MandateUnknown,
    NothingToPay,
    PayLinkUnknown,
    PaymentRefused,
)
from services.billing.domain.instalment import UNPAID
from services.billing.store import instalments, refunds, tasks
from services.billing.usecases.explain_instalment import explain_instalment
from services.billing.usecases.hold_agreement import hold_agreement, release_agreement
from services.billing.usecases.pay_now import PaymentUnclear, pay_now
from services.billing.usecases.take_notification import (
    take_alipay,
    take_wechat_deduction,
    take_wechat_event,
)
from shared import webhooks
from shared.rails.alipay import NOTIFICATION_TAKEN
from shared.rails.outcome import BadSignature
from shared.rails.wechatpay_v2 import build_xml
from shared.web import Api, Call, Page, PageQuery

api: Api[Deps] = Api(title="Yuefu billing", version="1")


@api.get(
    "/v1/agreements/{agreement_id}/instalments",
    scope="billing:read",
    tags=("instalments",),
    problems=(AgreementUnknown,),
)
async def list_instalments(
    call: Call[Deps], agreement_id: UUID, query: PageQuery
) -> Page[InstalmentView]:
    """List an agreement's instalments in their order."""
    seen = query.after(int, str)
    async with call.deps.db.connection() as conn:
        rows = await instalments.page(
            conn,
            call.tenant_id,
            agreement_id,
            after_seq=seen[0] if seen else 0,
            limit=query.limit + 1,
        )
    if not rows and seen is None:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    return Page[InstalmentView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.seq, str(row.instalment_id)),
        view=InstalmentView.model_validate,
    )


@api.get(
    "/v1/instalments/{instalment_id}",
    scope="billing:read",
    tags=("instalments",),
    problems=(InstalmentUnknown,),
)
async def get_instalment(call: Call[Deps], instalment_id: UUID) -> InstalmentView:
    """Show one instalment."""
    async with call.deps.db.connection() as conn:
        found = await instalments.find(conn, call.tenant_id, instalment_id)
    return InstalmentView.model_validate(found)


@api.get(
    "/v1/instalments/{instalment_id}/explain",
    scope="billing:read",
    tags=("instalments",),
    problems=(InstalmentUnknown,),
)
async def explain(call: Call[Deps], instalment_id: UUID) -> StoryView:
    """Tell everything on record about one instalment: notices, refusals, attempts, refunds."""
    async with call.deps.db.connection() as conn:
        story = await explain_instalment(conn, call.tenant_id, instalment_id)
    return StoryView(
        instalment=InstalmentView.model_validate(story.instalment),
        notices=[NoticeView.model_validate(dict(row)) for row in story.notices],
        refusals=[RefusalView.model_validate(dict(row)) for row in story.refusals],
        attempts=[AttemptView.model_validate(one) for one in story.attempts],
        refunds=[RefundView.model_validate(one) for one in story.refunds],
        history=[MoveView.model_validate(dict(row)) for row in story.history],
    )


@api.post(
    "/v1/instalments/{instalment_id}/pay-link",
    scope="billing:write",
    tags=("payments",),
    problems=(InstalmentUnknown, NothingToPay),
)
async def make_pay_link(call: Call[Deps], instalment_id: UUID) -> PayLinkView:
    """Return the link by which the customer can pay this instalment: early, due or overdue."""
    async with call.deps.db.connection() as conn:
        found = await instalments.find(conn, call.tenant_id, instalment_id)
    if found.state not in UNPAID:
        raise NothingToPay("Nothing is to be paid here.", state=found.state.value)
    return PayLinkView(
        instalment_id=found.instalment_id,
        amount_fen=found.amount_fen,
        state=found.state.value,
        token=found.pay_token,
        pay_url=call.deps.terms.pay_url_base + found.pay_token,
    )


@api.post(
    "/v1/pay-links/{token}/payments",
    scope="billing:write",
    status=201,
    tags=("payments",),
    problems=(
        PayLinkUnknown,
        NothingToPay,
        AmountDiffers,
        ChargeUnderWay,
        MandateUnknown,
        PaymentRefused,
        PaymentUnclear,
    ),
)
async def start_payment(call: Call[Deps], token: str, body: NewPayment) -> PaymentView:
    """Open a payment of the whole instalment and return what the mini-program needs."""
    async with call.deps.db.connection() as conn:
        found = await instalments.find_by_token(conn, token)
    if call.caller.tenant_id not in {None, found.merchant_id}:
        raise PayLinkUnknown("No such payment link.")
    payment = await pay_now(call.deps, token, amount_fen=body.amount_fen)
    return PaymentView(
        attempt_id=payment.attempt.attempt_id,
        instalment_id=payment.attempt.instalment_id,
        trade_no=payment.attempt.trade_no,
        rail=payment.attempt.rail,
        amount_fen=payment.attempt.amount_fen,
        expires_at=payment.attempt.expires_at,
        client=payment.client,
    )


@api.put(
    "/v1/agreements/{agreement_id}/hold",
    scope="billing:write",
    tags=("agreements",),
    problems=(AgreementUnknown,),
)
async def put_hold(call: Call[Deps], agreement_id: UUID, body: Hold) -> HoldView:
    """Let no automatic charge of this agreement start for now."""
    async with call.deps.db.transaction() as conn:
        after = await hold_agreement(
            conn, call.tenant_id, agreement_id, body.reason, clock=call.deps.clock
        )
    return HoldView(agreement_id=agreement_id, holds=list(after.holds))


@api.post(
    "/v1/agreements/{agreement_id}/hold/release",
    scope="billing:write",
    tags=("agreements",),
    problems=(AgreementUnknown,),
)
async def release_hold(call: Call[Deps], agreement_id: UUID, body: Hold) -> HoldView:
    """Take one reason away; without any, charges go on, with notices of their own."""
    async with call.deps.db.transaction() as conn:
        after = await release_agreement(
            conn, call.tenant_id, agreement_id, body.reason, clock=call.deps.clock
        )
    return HoldView(agreement_id=agreement_id, holds=list(after.holds))


@api.get("/v1/refunds", scope="billing:read", tags=("refunds",))
async def list_refunds(call: Call[Deps], query: RefundFilter) -> Page[RefundView]:
    """List refunds, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await refunds.page(
            conn,
            call.tenant_id,
            agreement_id=query.agreement_id,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[RefundView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.created_at, row.refund_id),
        view=RefundView.model_validate,
    )


@api.get("/v1/tasks", scope="billing:read", tags=("tasks",))
async def list_tasks(call: Call[Deps], query: TaskFilter) -> Page[TaskView]:
    """List what the merchant's staff must follow up, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await tasks.page(
            conn,
            call.tenant_id,
            waiting_only=query.waiting_only,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[TaskView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.opened_at, row.task_id),
        view=TaskView.model_validate,
    )


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


async def _wechat_event(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    try:
        await take_wechat_event(call.deps, request.headers, raw)
    except BadSignature:
        return web.json_response({"code": "FAIL", "message": "signature"}, status=401)
    return web.Response(status=204)


def _xml(code: str, message: str, *, status: int = 200) -> web.Response:
    body = build_xml({"return_code": code, "return_msg": message})
    return web.Response(body=body, status=status, content_type="text/xml", charset="utf-8")
