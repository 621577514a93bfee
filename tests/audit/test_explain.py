"""The story of one instalment, told in Chinese from every service's rows."""

from datetime import timedelta
from uuid import UUID

import pytest

from deploy.explain import UnknownInstalment, explain_instalment, story
from services.billing.domain.trade_no import refund_no, trade_no
from tests.audit.conftest import Platform
from tests.audit.state import MERCHANT, REFUND, A, B, charged_at, instalment, shipment

UNKNOWN = UUID(int=7)


async def test_an_instalment_is_told_from_notice_to_wallet(platform: Platform):
    told = await explain_instalment(platform.running, instalment(A, 1))

    assert told.splitlines() == [
        "协议 YF2026A（幼猫月付，支付宝）",
        "第 1/3 期，100.00 元，已付",
        "约定扣款日 2026-05-15",
        "",
        *_told("2026-05-08 10:00:00  扣款预告（2026-05-15 扣 100.00 元）："),
        *_told("2026-05-12 10:00:00  扣款提醒（2026-05-15 扣 100.00 元）："),
        f"2026-05-15 09:00:00  自动扣款第 1 次：支付宝 100.00 元，交易号 {trade_no(A, 1, 1)}",
        "2026-05-15 09:00:00  自动扣款第 1 次：结果不明（扣款任务，paid）",
        "2026-05-15 09:00:00  自动扣款第 1 次：渠道收款 100.00 元，渠道单号 R11",
        "2026-05-15 09:00:00  冻结 60.00 元，用于本期发货",
        "2026-05-17 09:00:00  冻结 60.00 元：已使用",
        *_booked(told),
    ]
    assert len(_booked(told)) == 3


def _told(notice: str) -> list[str]:
    return [
        f"{notice}发起",
        f"{notice}小程序消息已由服务商受理（送出凭证）",
        f"{notice}小程序消息已送达",
        f"{notice}短信已由服务商受理（送出凭证）",
        f"{notice}短信已送达",
    ]


def _booked(told: str) -> list[str]:
    return [line for line in told.splitlines() if "记账" in line]


async def test_money_that_went_back_is_told(platform: Platform):
    told = await explain_instalment(platform.running, instalment(B, 1))

    assert "渠道扣费前通知（2026-05-10 扣 100.00 元）：支付渠道通知已由服务商受理" in told
    assert f"退款 100.00 元（{refund_no(REFUND)}）：原路退回微信支付，terminated" in told
    assert f"退款 100.00 元（{refund_no(REFUND)}）：成功" in told
    assert "冻结 60.00 元：已解冻" in told


async def test_refusals_of_the_gate_and_the_way_of_the_parcel_are_told(platform: Platform):
    moment = charged_at(A, 1)
    at = {"merchant_id": MERCHANT, "shipment_id": shipment(A, 1), "at": moment}
    await platform.db.execute(
        "INSERT INTO billing.gate_refusals (instalment_id, merchant_id, refused_at, reasons, "
        "action) VALUES ($1, $2, $3, '{charged_today,risk_paused}', 'wait')",
        instalment(A, 1),
        MERCHANT,
        moment - timedelta(minutes=15),
    )
    await platform.db.execute(
        "INSERT INTO fulfillment.shipment_history (merchant_id, shipment_id, at, actor, "
        "from_state, to_state, reason) VALUES ($1, $2, $3, 'job', 'accepted', 'out_of_stock', 'x')",
        *at.values(),
    )
    await platform.db.execute(
        "INSERT INTO fulfillment.parcels (merchant_id, shipment_id, sent_at, parcel_id, carrier, "
        "tracking_no, token, state, news_at) "
        "VALUES ($1, $2, $3, $2, 'zhongtong', '7812', 't', 'moving', $3)",
        *at.values(),
    )
    await platform.db.execute(
        "INSERT INTO fulfillment.tracks (merchant_id, parcel_id, at, node_key, code, told, "
        "heard_at) VALUES ($1, $2, $3, 'k', '0', '已揽收', $3)",
        *at.values(),
    )

    told = await story(platform.db, instalment(A, 1))

    assert "2026-05-15 08:45:00  扣款闸门未放行：charged_today、risk_paused；处理：wait" in told
    assert "2026-05-15 09:00:00  发货单：缺货（x）" in told
    assert "2026-05-15 09:00:00  包裹：zhongtong 7812 已从云仓发出" in told
    assert "2026-05-15 09:00:00  物流：已揽收" in told


async def test_an_instalment_to_come_has_no_story_yet(platform: Platform):
    told = await explain_instalment(platform.running, instalment(A, 3))

    assert told.splitlines()[1:] == [
        "第 3/3 期，100.00 元，未到期",
        "约定扣款日 2026-07-15",
        "",
        "还没有发生任何事。",
    ]


async def test_an_unknown_instalment_is_named(platform: Platform):
    with pytest.raises(UnknownInstalment, match=f"没有这一期：{UNKNOWN}"):
        await explain_instalment(platform.running, UNKNOWN)


async def test_new_terms_of_an_instalment_are_told_with_what_brought_them(platform: Platform):
    for reason in ("paused: 2026-07-15 10000 -> 2026-08-15 10000", *AMENDED):
        await platform.db.execute(
            "INSERT INTO billing.history (thing, thing_id, instalment_id, from_state, to_state, "
            "actor, reason, moved_at) VALUES ('instalment', $1, $1, 'scheduled', 'scheduled', "
            "'signing', $2, $3)",
            instalment(A, 3),
            reason,
            charged_at(A, 1),
        )

    told = await story(platform.db, instalment(A, 3))

    assert "本期：暂停顺延，2026-07-15 改为 2026-08-15，100.00 元" in told
    assert "本期：协议变更，2026-08-15 改为 2026-08-28，100.00 元改为 90.00 元" in told


AMENDED = ("amended: 2026-08-15 10000 -> 2026-08-28 9000",)
