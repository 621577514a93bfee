"""
The story behind any id of the platform, from every service's rows.

An id names an instalment, an agreement, a charge, a refund, a request for money back, a
redemption, a shipment, a hold, or whatever wallet booked for.  Read as the auditor, at one
moment, in Chinese; also as JSON, for programs.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from deploy.audit import auditor
from deploy.explain import (
    RAILS,
    Line,
    Story,
    booked,
    instalment_lines,
    instalment_story,
    state_of,
    why,
)
from deploy.running import RunningPlatform
from shared.db import Connection, Row
from shared.ids import derived_id
from shared.money import yuan


class UnknownId(Exception):
    """No service knows anything of this id."""


AGREEMENTS: Final = {
    "cooling_off": "冷静期",
    "active": "履行中",
    "cancelled": "已取消",
    "terminated": "已终止",
    "completed": "已完成",
}
REASONS: Final = {
    "cancelled": "冷静期取消",
    "terminated": "协议终止",
    "seven_days": "七日无理由退款",
    "after_sales": "售后退款",
    "goodwill": "商家退款",
}
REDEMPTIONS: Final = {"booked": "已核销", "short": "余额不足，未扣款", "returned": "已退货"}

Teller = Callable[[Connection, UUID], Awaitable[Story | None]]


async def explain(running: RunningPlatform, any_id: UUID) -> Story:
    """
    Return the story behind an id.

    Raises:
        UnknownId: Nothing is known of it.
    """
    async with auditor(running.auditor_dsn) as conn:
        return await story_of(conn, any_id)


async def story_of(conn: Connection, any_id: UUID) -> Story:
    """
    Return the story behind an id as *conn* sees it.

    Raises:
        UnknownId: Nothing is known of it.
    """
    for tell in TELLERS:
        found = await tell(conn, any_id)
        if found is not None:
            return found
    raise UnknownId(
        f"没有这个编号：{any_id}（不是期、协议、扣款、退款、结算、核销、发货单、冻结或记账原因）"
    )


async def _instalment(conn: Connection, any_id: UUID) -> Story | None:
    known = await conn.fetchval(
        "SELECT true FROM billing.instalments WHERE instalment_id = $1", any_id
    )
    return await instalment_story(conn, any_id) if known else None


async def _of_instalment(conn: Connection, any_id: UUID) -> Story | None:
    """Return the story of the instalment that a charge, a shipment or a hold belongs to."""
    row = await conn.fetchrow(
        """
        SELECT 'charge' AS kind, '扣款' AS what, instalment_id
          FROM billing.attempts WHERE attempt_id = $1
         UNION ALL
        SELECT 'shipment', '发货单', instalment_id
          FROM fulfillment.shipments WHERE shipment_id = $1
         UNION ALL
        SELECT 'hold', '冻结', instalment_id FROM wallet.holds WHERE hold_id = $1
         LIMIT 1
        """,
        any_id,
    )
    if row is None or await _instalment(conn, row["instalment_id"]) is None:
        return None
    whole = await instalment_story(conn, row["instalment_id"])
    head = [f"{row['what']} {any_id} 属于期 {row['instalment_id']}：", *whole.head]
    return Story(row["kind"], any_id, head, whole.lines)


async def _agreement(conn: Connection, any_id: UUID) -> Story | None:
    one = await conn.fetchrow("SELECT * FROM billing.agreements WHERE agreement_id = $1", any_id)
    if one is None:
        return None
    periods = await conn.fetch(
        """
        SELECT instalment_id, seq, due_on, amount_fen, state FROM billing.instalments
         WHERE agreement_id = $1 ORDER BY seq
        """,
        any_id,
    )
    lines: list[Line] = [(one["signed_at"], "协议签署")]
    for row in periods:
        told = await instalment_lines(conn, row["instalment_id"])
        lines += [(moment, f"第 {row['seq']} 期：{text}") for moment, text in told]
    lines += await _moves(conn, "agreement", any_id, "协议")
    lines += await _requests(conn, any_id)
    head = [
        (
            f"协议 {one['agreement_no']}（{one['plan_name']}，{RAILS[one['rail']]}），"
            f"{AGREEMENTS.get(one['state'], one['state'])}，共 {yuan(one['total_fen'])} 元"
        ),
        *(
            f"第 {row['seq']} 期 {row['due_on']} {yuan(row['amount_fen'])} 元，"
            f"{state_of(row['state'])}（{row['instalment_id']}）"
            for row in periods
        ),
    ]
    return Story("agreement", any_id, head, _in_order(lines))


async def _requests(conn: Connection, agreement_id: UUID) -> list[Line]:
    rows = await conn.fetch(
        "SELECT * FROM wallet.settlements WHERE agreement_id = $1 ORDER BY seq", agreement_id
    )
    lines = [_asked(row) for row in rows]
    return lines + await booked(conn, [row["settlement_id"] for row in rows])


def _asked(row: Row) -> Line:
    reason = REASONS.get(row["reason"], row["reason"])
    return row["requested_at"], f"申请退款 {yuan(row['amount_fen'])} 元：{reason}"


async def _refund(conn: Connection, any_id: UUID) -> Story | None:
    one = await conn.fetchrow("SELECT * FROM billing.refunds WHERE refund_id = $1", any_id)
    if one is None:
        return None
    lines = await _refund_lines(conn, one)
    if one["settlement_id"]:
        asked = await conn.fetchrow(
            "SELECT * FROM wallet.settlements WHERE settlement_id = $1", one["settlement_id"]
        )
        lines += [_asked(asked)] if asked else []
        lines += await booked(conn, [one["settlement_id"]])
    head = [
        (
            f"退款 {one['refund_no']}：{yuan(one['amount_fen'])} 元，{RAILS[one['rail']]}，"
            f"{state_of(one['state'])}"
        ),
        f"退自扣款 {one['attempt_id']}（期 {one['instalment_id']}）",
    ]
    return Story("refund", any_id, head, _in_order(lines))


async def _refund_lines(conn: Connection, one: Row) -> list[Line]:
    name = f"退款 {yuan(one['amount_fen'])} 元（{one['refund_no']}）"
    opened = (one["created_at"], f"{name}：原路退回{RAILS[one['rail']]}，{one['reason']}")
    moves = await _moves(conn, "refund", one["refund_id"], name)
    tasks = await conn.fetch(
        """
        SELECT kind, opened_at, due_at, closed_at, outcome, recorded_by FROM billing.tasks
         WHERE agreement_id = $1 AND detail LIKE $2 || ' %'
        """,
        one["agreement_id"],
        one["refund_no"],
    )
    lines: list[Line] = [opened, *moves, *await booked(conn, [one["refund_id"]])]
    for task in tasks:
        lines.append(
            (task["opened_at"], f"转人工跟进（{task['kind']}），{task['due_at']:%Y-%m-%d} 前")
        )
        if task["closed_at"]:
            said = why(task["recorded_by"] or "", task["outcome"] or "")
            lines.append((task["closed_at"], f"人工跟进结束{said}"))
    return lines


async def _settlement(conn: Connection, any_id: UUID) -> Story | None:
    one = await conn.fetchrow("SELECT * FROM wallet.settlements WHERE settlement_id = $1", any_id)
    if one is None:
        return None
    lines = [_asked(one), *await booked(conn, [any_id])]
    if one["failed_at"]:
        lines.append((one["failed_at"], f"退款失败：{one['failure']}"))
    refunds = await conn.fetch("SELECT * FROM billing.refunds WHERE settlement_id = $1", any_id)
    for row in refunds:
        lines += await _refund_lines(conn, row)
    head = [
        (
            f"申请退款 {yuan(one['amount_fen'])} 元，已退 {yuan(one['refunded_fen'])} 元，"
            f"{RAILS[one['rail']]}（协议 {one['agreement_id']}）"
        )
    ]
    return Story("settlement", any_id, head, _in_order(lines))


async def _redemption(conn: Connection, any_id: UUID) -> Story | None:
    one = await conn.fetchrow("SELECT * FROM wallet.redemptions WHERE redemption_id = $1", any_id)
    if one is None:
        return None
    parts = await conn.fetch(
        "SELECT * FROM wallet.redemption_parts WHERE redemption_id = $1 ORDER BY n", any_id
    )
    causes = [row["part_id"] for row in parts]
    returns = [derived_id("return", part_id) for part_id in causes]
    lines = await booked(conn, [*causes, *returns])
    lines.append((one["accepted_at"], f"门店收码，{yuan(one['amount_fen'])} 元"))
    if one["booked_at"] != one["accepted_at"]:
        lines.append((one["booked_at"], "离线核销上传入账"))
    if one["returned_at"]:
        text = f"退货 {yuan(one['returned_fen'])} 元{why('', one['return_reason'] or '')}"
        lines.append((one["returned_at"], text))
    head = [
        (
            f"核销 {yuan(one['amount_fen'])} 元（赠金 {yuan(one['bonus_fen'])} 元），"
            f"{one['category']}，{REDEMPTIONS[one['state']]}"
        ),
        *(
            f"取自协议 {row['agreement_id']}：本金 {yuan(row['principal_fen'])} 元，"
            f"赠金 {yuan(row['bonus_fen'])} 元"
            for row in parts
        ),
    ]
    return Story("redemption", any_id, head, _in_order(lines))


async def _part(conn: Connection, any_id: UUID) -> Story | None:
    found = await conn.fetchval(
        "SELECT redemption_id FROM wallet.redemption_parts WHERE part_id = $1", any_id
    )
    return await _redemption(conn, found) if found else None


async def _cause(conn: Connection, any_id: UUID) -> Story | None:
    lines = await booked(conn, [any_id])
    return Story("cause", any_id, [f"记账原因 {any_id}"], lines) if lines else None


async def _moves(conn: Connection, thing: str, thing_id: UUID, name: str) -> list[Line]:
    rows = await conn.fetch(
        """
        SELECT moved_at, to_state, actor, reason FROM billing.history
         WHERE thing_id = $1 AND thing = $2 AND from_state <> '' ORDER BY history_id
        """,
        thing_id,
        thing,
    )
    return [
        (
            row["moved_at"],
            (
                f"{name}：{AGREEMENTS.get(row['to_state'], state_of(row['to_state']))}"
                f"{why(row['actor'], row['reason'])}"
            ),
        )
        for row in rows
    ]


def _in_order(lines: list[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line[0])


TELLERS: Final[Sequence[Teller]] = (
    _instalment,
    _agreement,
    _of_instalment,
    _refund,
    _settlement,
    _redemption,
    _part,
    _cause,
)
"""Who is asked about an id, in this order; the first who knows it tells."""
