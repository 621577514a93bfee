"""A provider calls: kept once with our verdict, and applied in the same transaction."""

from collections.abc import Mapping
from enum import StrEnum

from services.signing.deps import Deps
from services.signing.domain.errors import CallbackUnsigned, MandateUnknown
from services.signing.domain.mandate import Told
from services.signing.store import documents, mandates
from services.signing.usecases.grant_mandate import hear_of_mandate
from services.signing.usecases.sign_document import ask_soon
from shared import webhooks
from shared.webhooks import Verdict


class Heard(StrEnum):
    """What became of a call."""

    TAKEN = "taken"
    REJECTED = "rejected"


async def hear_alipay(deps: Deps, raw: bytes, headers: Mapping[str, str]) -> Heard:
    """Take a notification of Alipay's; a repeated one changes nothing."""
    try:
        notice = deps.alipay_mandates.open(raw)
    except CallbackUnsigned:
        return await _reject(deps, "alipay", raw, headers)
    await _hear_mandate(
        deps, "alipay", raw, headers, notice.delivery_key, notice.external_no, notice.told
    )
    return Heard.TAKEN


async def hear_wechatpay(deps: Deps, raw: bytes, headers: Mapping[str, str]) -> Heard:
    """Take a notification of WeChat Pay's about a contract; a repeated one changes nothing."""
    try:
        notice = deps.wechat_mandates.open(raw)
    except CallbackUnsigned:
        return await _reject(deps, "wechatpay", raw, headers)
    await _hear_mandate(
        deps, "wechatpay", raw, headers, notice.delivery_key, notice.external_no, notice.told
    )
    return Heard.TAKEN


async def hear_bankcard(deps: Deps, raw: bytes, headers: Mapping[str, str]) -> Heard:
    """Take a notification of the card aggregator's about a contract; repeats change nothing."""
    try:
        notice = deps.card_mandates.open(headers, raw)
    except CallbackUnsigned:
        return await _reject(deps, "bankcard", raw, headers)
    await _hear_mandate(
        deps, "bankcard", raw, headers, notice.delivery_key, notice.external_no, notice.told
    )
    return Heard.TAKEN


async def hear_esign(
    deps: Deps, raw: bytes, *, headers: Mapping[str, str], query: Mapping[str, str]
) -> Heard:
    """Take a callback of the e-contract provider; the job reads the flow at once."""
    try:
        provider_flow_id = deps.esign.open(headers, query, raw)
    except CallbackUnsigned:
        return await _reject(deps, "esign", raw, headers)
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        flow = await documents.find_flow(conn, provider_flow_id)
        await webhooks.keep(
            conn,
            provider="esign",
            delivery_key=webhooks.body_key(raw),
            headers=headers,
            body=raw,
            now=now,
            verdict=Verdict.ACCEPTED if flow else Verdict.UNPLACED,
            reason=None if flow else "no flow of ours",
        )
        if flow is not None:
            await ask_soon(conn, flow, now=now)
    return Heard.TAKEN


async def _hear_mandate(
    deps: Deps,
    provider: str,
    raw: bytes,
    headers: Mapping[str, str],
    delivery_key: str,
    external_no: str,
    told: Told | None,
) -> None:
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        try:
            mandate = await mandates.find(conn, external_no)
            placed = told is not None
        except MandateUnknown:
            placed = False
        new = await webhooks.keep(
            conn,
            provider=provider,
            delivery_key=delivery_key,
            headers=headers,
            body=raw,
            now=now,
            verdict=Verdict.ACCEPTED if placed else Verdict.UNPLACED,
            reason=None if placed else "no mandate of ours, or nothing about one",
        )
        if new and placed and told is not None:
            await hear_of_mandate(conn, mandate.mandate_id, told, now=now)


async def _reject(deps: Deps, provider: str, raw: bytes, headers: Mapping[str, str]) -> Heard:
    async with deps.db.transaction() as conn:
        await webhooks.keep(
            conn,
            provider=provider,
            delivery_key=webhooks.body_key(raw),
            headers=headers,
            body=raw,
            now=deps.clock.now(),
            verdict=Verdict.REJECTED,
            reason="signature or form do not hold",
        )
    return Heard.REJECTED
