"""What rails tell us: verified over the raw body, compared with our own records, applied once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from services.billing.deps import Deps
from services.billing.domain.attempt import Attempt, AttemptState
from services.billing.domain.findings import Failed, Finding, Paid, RefundFinding
from services.billing.domain.history import Actor
from services.billing.domain.task import TaskKind
from services.billing.gateways.alipay import read_trade
from services.billing.gateways.bankcard import order_finding as card_order
from services.billing.gateways.bankcard import refund_finding as card_refund
from services.billing.gateways.wechatpay import order_finding, refund_finding
from services.billing.store import agreements, attempts, refunds
from services.billing.usecases import announce
from services.billing.usecases.send_refunds import settle_refund
from services.billing.usecases.settle_charge import Learned, settle_charges
from shared import webhooks
from shared.db import Connection
from shared.rails.outcome import BadSignature
from shared.webhooks import Verdict

log = structlog.get_logger()

AMOUNT_DIFFERS: Final = "amount_differs"


@dataclass(frozen=True, slots=True)
class _News:
    """One notification in our own words."""

    provider: str
    key: str
    trade_no: str
    ours: bool
    """It names our own account at the rail."""
    charge: Finding | None = None
    amount_fen: int | None = None
    refund_no: str = ""
    refund: RefundFinding | None = None
    refund_fen: int | None = None


async def take_alipay(deps: Deps, headers: Mapping[str, str], body: bytes) -> None:
    """
    Apply a trade notification; kept, whatever it says.

    Raises:
        BadSignature: It is not Alipay's; kept as rejected.
    """
    try:
        note = deps.alipay.open_notification(body)
    except BadSignature as error:
        await _reject(deps, "alipay", headers, body, error)
        raise
    key = ":".join(note.inbox_key) if all(note.inbox_key) else webhooks.body_key(body)
    try:
        trade = read_trade(note)
        refund_fen = note.amount_fen("refund_fee")
    except ValueError:
        await _apply(deps, _News("alipay", key, "", ours=False), headers, body)
        return
    news = _News(
        "alipay",
        key,
        trade.trade_no if note.kind == "trade_status_sync" else "",
        ours=trade.app_id == deps.alipay.config.app_id,
        charge=trade.finding,
        amount_fen=trade.amount_fen,
        refund_no=trade.refund_no,
        refund_fen=refund_fen,
    )
    await _apply(deps, news, headers, body, seller=trade.seller_id)


async def take_wechat_deduction(deps: Deps, headers: Mapping[str, str], body: bytes) -> None:
    """
    Apply a v2 deduction result; it has no id, so its content tells repeats.

    Raises:
        BadSignature: It is not WeChat Pay's; kept as rejected.
    """
    try:
        fields = deps.wechatpay.open_v2_notification(body)
    except BadSignature as error:
        await _reject(deps, "wechatpay-v2", headers, body, error)
        raise
    number, state = fields.get("out_trade_no", ""), fields.get("trade_state", "")
    await _apply(
        deps,
        _News(
            "wechatpay-v2",
            f"{fields.get('mch_id')}:{number}:{state}" if number else webhooks.body_key(body),
            number,
            ours=fields.get("mch_id") == deps.wechatpay.config.mchid,
            charge=order_finding(fields, None),
        ),
        headers,
        body,
    )


async def take_wechat_event(deps: Deps, headers: Mapping[str, str], body: bytes) -> None:
    """
    Apply a v3 callback about a payment or a refund.

    Raises:
        BadSignature: It is not WeChat Pay's, or too old; kept as rejected.
    """
    try:
        event = deps.wechatpay.open_v3_notification(headers, body)
    except BadSignature as error:
        await _reject(deps, "wechatpay-v3", headers, body, error)
        raise
    resource = event.resource
    is_refund = event.event_type.startswith("REFUND.")
    amount = resource.get("amount")
    news = _News(
        "wechatpay-v3",
        event.event_id,
        str(resource.get("out_trade_no", "")),
        ours=resource.get("mchid") == deps.wechatpay.config.mchid,
        charge=None if is_refund else order_finding(resource, None),
        refund_no=str(resource.get("out_refund_no", "")) if is_refund else "",
        refund=refund_finding(resource) if is_refund else None,
        refund_fen=_int(amount, "refund"),
    )
    await _apply(deps, news, headers, body)


async def take_bankcard(deps: Deps, headers: Mapping[str, str], body: bytes) -> None:
    """
    Apply the card aggregator's news of an order or a refund.

    Raises:
        BadSignature: It is not the aggregator's, or too old; kept as rejected.
    """
    try:
        note = deps.bankcard.open_notification(headers, body)
    except BadSignature as error:
        await _reject(deps, "bankcard", headers, body, error)
        raise
    is_refund, data = note.kind == "REFUND", note.data
    news = _News(
        "bankcard",
        note.notify_id,
        str(data.get("order_no", "")),
        ours=note.merchant_no == deps.bankcard.config.merchant_no,
        charge=None if is_refund else card_order(data, None),
        refund_no=str(data.get("refund_no", "")) if is_refund else "",
        refund=card_refund(data) if is_refund else None,
        refund_fen=_int(data, "amount_fen") if is_refund else None,
    )
    await _apply(deps, news, headers, body)


async def _apply(
    deps: Deps, news: _News, headers: Mapping[str, str], body: bytes, *, seller: str = ""
) -> None:
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        attempt = await attempts.find_by_trade_no(conn, news.trade_no) if news.trade_no else None
        reason = _misfit(news, attempt, seller)
        fresh = await webhooks.keep(
            conn,
            provider=news.provider,
            delivery_key=news.key,
            headers=headers,
            body=body,
            now=now,
            verdict=Verdict.ACCEPTED if reason is None else Verdict.UNPLACED,
            reason=reason,
        )
        if not fresh:
            return
        if attempt is not None and reason is None:
            await _settle(conn, deps, news, attempt, now=now)
        elif attempt is not None and reason == AMOUNT_DIFFERS:
            await _ask_person(conn, attempt, now=now)
    if reason is not None:
        log.warning("notification.unplaced", provider=news.provider, reason=reason)


def _misfit(news: _News, attempt: Attempt | None, seller: str) -> str | None:
    """Return why a verified notification cannot be applied, None if it can."""
    if not news.ours:
        return "not_our_account"
    if attempt is None:
        return "unknown_trade"
    known_sellers = {"", attempt.payee_no, news.key.partition(":")[0]}
    if seller not in known_sellers:
        return "foreign_payee"
    paid_fen = news.charge.amount_fen if isinstance(news.charge, Paid) else news.amount_fen
    if paid_fen is not None and paid_fen != attempt.amount_fen:
        return AMOUNT_DIFFERS
    return None


async def _settle(
    conn: Connection, deps: Deps, news: _News, attempt: Attempt, *, now: datetime
) -> None:
    # Only proofs settle: what is undecided a query will ask about in its own time.  Most
    # notifications repeat what the answer said already, and success is for ever.
    known = attempt.state is AttemptState.SUCCEEDED
    if isinstance(news.charge, Paid | Failed) and not known:
        await settle_charges(
            conn, [Learned(attempt, news.charge)], deps, now=now, actor=Actor.NOTIFICATION
        )
    refund = await refunds.find_by_no(conn, news.refund_no) if news.refund_no else None
    if refund is None:
        return
    if news.refund is None or news.refund_fen not in {None, refund.amount_fen}:
        # Alipay tells the sum of all refunds of a trade: ask for this one by itself.
        await refunds.ask_now(conn, refund.refund_id, now=now)
        return
    await settle_refund(conn, refund, news.refund, now=now, actor=Actor.NOTIFICATION)


async def _ask_person(conn: Connection, attempt: Attempt, *, now: datetime) -> None:
    agreement = await agreements.lock(conn, attempt.agreement_id)
    await announce.open_task(
        conn,
        TaskKind.AMOUNT_DIFFERS,
        attempt.attempt_id,
        agreement,
        attempt.instalment_id,
        detail=attempt.trade_no,
        now=now,
    )


async def _reject(
    deps: Deps, provider: str, headers: Mapping[str, str], body: bytes, error: BadSignature
) -> None:
    async with deps.db.transaction() as conn:
        await webhooks.keep(
            conn,
            provider=provider,
            delivery_key="",
            headers=headers,
            body=body,
            now=deps.clock.now(),
            verdict=Verdict.REJECTED,
            reason=error.code,
        )


def _int(amount: object, name: str) -> int | None:
    found: Any = amount.get(name) if isinstance(amount, Mapping) else None
    return found if isinstance(found, int) else None
