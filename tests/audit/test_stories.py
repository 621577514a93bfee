"""Any id of the platform has a story, told in Chinese or as JSON."""

import asyncio
import json
from pathlib import Path
from uuid import UUID

import pytest

from deploy.stories import UnknownId, explain, story_of
from services.billing.domain.trade_no import refund_no
from shared.ids import derived_id
from tests.audit.conftest import Platform
from tests.audit.state import (
    MERCHANT,
    NOW,
    REFUND,
    SETTLEMENT,
    A,
    B,
    attempt,
    customer,
    hold,
    instalment,
    shipment,
)
from tests.audit.test_cli import write, yuefu

UNKNOWN = UUID(int=7)


@pytest.mark.parametrize(
    ("any_id", "kind"),
    [
        (attempt(A, 1), "charge"),
        (shipment(A, 1), "shipment"),
        (hold(A, 1), "hold"),
    ],
    ids=["charge", "shipment", "hold"],
)
async def test_what_hangs_on_an_instalment_tells_its_whole_story(
    platform: Platform, any_id: UUID, kind: str
):
    whole = await explain(platform.running, instalment(A, 1))

    told = await explain(platform.running, any_id)

    assert (told.kind, told.about) == (kind, any_id)
    assert str(instalment(A, 1)) in told.head[0]
    assert (told.head[1:], told.lines) == (whole.head, whole.lines)


async def test_an_agreement_is_told_with_all_its_periods_in_order(platform: Platform):
    told = await explain(platform.running, A)

    assert told.head[0] == "协议 YF2026A（幼猫月付，支付宝），履行中，共 300.00 元"
    assert [line.split(" ")[1] for line in told.head[1:]] == ["1", "2", "3"]
    moments = [moment for moment, _ in told.lines]
    assert moments == sorted(moments)
    assert any(text.startswith("第 1 期：自动扣款第 1 次") for _, text in told.lines)
    assert any(text.startswith("第 2 期：记账") for _, text in told.lines)


async def test_an_ended_agreement_tells_what_was_asked_back(platform: Platform):
    told = (await explain(platform.running, B)).text()

    assert "申请退款 100.00 元：协议终止" in told
    assert "记账：未用本金转出待退 100.00 元" in told
    assert "记账：退款已回渠道 100.00 元" in told


async def test_a_refund_is_told_from_its_request_to_the_rail(platform: Platform):
    for moved_at, before, after, actor in ((NOW, "sent", "failed", "job"),):
        await platform.db.execute(
            "INSERT INTO billing.history (thing, thing_id, instalment_id, from_state, to_state, "
            "actor, reason, moved_at) VALUES ('refund', $1, $2, $3, $4, $5, 'NOT_ENOUGH', $6)",
            REFUND,
            instalment(B, 1),
            before,
            after,
            actor,
            moved_at,
        )

    told = (await story_of(platform.db, REFUND)).text()

    no = refund_no(REFUND)
    assert told.splitlines()[0] == f"退款 {no}：100.00 元，微信支付，成功"
    assert "申请退款 100.00 元：协议终止" in told
    assert f"退款 100.00 元（{no}）：失败（定时任务，NOT_ENOUGH）" in told
    assert "记账：退款已回渠道 100.00 元（refund:wechatpay → rail:wechatpay）" in told


async def test_a_request_for_money_back_tells_its_refunds(platform: Platform):
    told = (await explain(platform.running, SETTLEMENT)).text()

    assert "申请退款 100.00 元，已退 100.00 元，微信支付" in told.splitlines()[0]
    assert f"退款 100.00 元（{refund_no(REFUND)}）：原路退回微信支付" in told


async def test_a_redemption_and_its_parts_are_told(platform: Platform):
    redemption, part = derived_id("redemption", 1), derived_id("part", 1)
    await platform.db.execute(
        "INSERT INTO wallet.redemptions (merchant_id, redemption_id, code_id, customer_id, "
        "amount_fen, bonus_fen, fee_fen, category, clerk, state, accepted_at, booked_at) "
        "VALUES ($1, $2, $2, $3, 500, 0, 5, 'food', 'clerk', 'booked', $4, $4)",
        MERCHANT,
        redemption,
        customer(A),
        NOW,
    )
    await platform.db.execute(
        "INSERT INTO wallet.redemption_parts (merchant_id, redemption_id, agreement_id, part_id, "
        "n, principal_fen, bonus_fen, fee_fen) VALUES ($1, $2, $3, $4, 1, 500, 0, 5)",
        MERCHANT,
        redemption,
        A,
        part,
    )
    await platform.db.execute(
        "INSERT INTO wallet.transfers (merchant_id, cause_id, kind, cause_kind, debit_account, "
        "credit_account, amount_fen, customer_id, agreement_id, occurred_at) VALUES "
        "($1, $2, 'spent', 'redemption', $3, 'merchant:payable', 495, $4, $5, $6)",
        MERCHANT,
        part,
        f"wallet:{customer(A)}:principal",
        customer(A),
        A,
        NOW,
    )

    told = await story_of(platform.db, redemption)

    assert told.head == [
        "核销 5.00 元（赠金 0.00 元），food，已核销",
        f"取自协议 {A}：本金 5.00 元，赠金 0.00 元",
    ]
    assert [text.split(" ")[0] for _, text in told.lines] == ["记账：门店消费", "门店收码，5.00"]
    assert await story_of(platform.db, part) == told


async def test_what_only_wallet_knows_is_told_by_its_transfers(platform: Platform):
    cause = derived_id("payout", 1)
    await platform.db.execute(
        "INSERT INTO wallet.transfers (merchant_id, cause_id, kind, cause_kind, debit_account, "
        "credit_account, amount_fen, occurred_at) VALUES ($1, $2, 'payout', 'payout', "
        "'merchant:payable', 'supervised', 500, $3)",
        MERCHANT,
        cause,
        NOW,
    )

    told = await story_of(platform.db, cause)

    assert (told.kind, len(told.lines)) == ("cause", 1)
    assert "5.00 元（merchant:payable → supervised）" in told.lines[0][1]


async def test_an_unknown_id_is_named(platform: Platform):
    with pytest.raises(UnknownId, match=f"没有这个编号：{UNKNOWN}"):
        await explain(platform.running, UNKNOWN)


async def test_the_command_prints_json(platform: Platform, tmp_path: Path):
    file = write(tmp_path, platform.running)

    answer = await asyncio.to_thread(
        yuefu, "explain", str(REFUND), "--json", "--platform", str(file)
    )

    assert answer.exit_code == 0
    told = json.loads(answer.output)
    assert (told["kind"], told["id"]) == ("refund", str(REFUND))
    assert [line["at"] for line in told["lines"]] == sorted(line["at"] for line in told["lines"])
