"""
The whole story of one instalment, from every service, in Chinese.

It is read as the auditor, at one moment: the story holds together, and it can be told while
a service is down.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from deploy.audit import auditor
from deploy.running import RunningPlatform
from shared.calendar import CHINA
from shared.db import Connection, Row
from shared.money import yuan

Line = tuple[datetime, str]


class UnknownInstalment(Exception):
    """Billing has no such instalment."""


RAILS: Final = {"alipay": "支付宝", "wechatpay": "微信支付", "bankcard": "银行卡"}
CHANNELS: Final = {"sms": "短信", "mini_program": "小程序消息", "rail": "支付渠道通知"}
NOTICES: Final = {"advance": "扣款预告", "reminder": "扣款提醒", "rail": "渠道扣费前通知"}
LINES: Final = {
    "base": "基础金额",
    "discount": "优惠",
    "free_month": "免收",
    "first_month_half": "首月半价",
    "interest_free": "免息",
    "interest": "分期利息",
    "penalty": "逾期违约金",
}
ATTEMPTS: Final = {"automatic": "自动扣款", "pay_now": "主动支付"}
CHANGES: Final = {
    "paused": "暂停顺延",
    "resumed": "提前恢复",
    "amended": "协议变更",
    "settlement_lapsed": "提前结清未付，恢复原金额",
}
"""What brought new terms, as billing's history names it."""

TERMS: Final = re.compile(r"(paused|resumed|amended|settlement_lapsed): (\S+) (\d+) -> (\S+) (\d+)")

STATES: Final = {
    "scheduled": "未到期",
    "noticed": "已提醒",
    "due": "待扣款",
    "collecting": "扣款中",
    "overdue": "已逾期",
    "paid": "已付",
    "partly_refunded": "部分退款",
    "refunded": "已退款",
    "waived": "已免除",
    "cancelled": "已取消",
    "prepared": "已登记",
    "sent": "已发出",
    "unknown": "结果不明",
    "succeeded": "成功",
    "failed": "失败",
    "placed": "冻结中",
    "captured": "已使用",
    "released": "已解冻",
    "planned": "已计划",
    "reminded": "已预告",
    "pushed": "已推仓",
    "accepted": "已接受",
    "out_of_stock": "缺货",
    "cancelling": "取消中",
    "dispatched": "已发出",
    "delivered": "已签收",
    "returned": "已退回",
    "lost": "丢失",
    "closed": "已完结",
    "waiting": "等待退款",
    "queued": "排队中",
    "submitted": "已提交",
    "suppressed": "未发送",
}
TRANSFERS: Final = {
    "collected": "收款入宠物钱包",
    "held": "冻结本期货款",
    "released": "解冻货款",
    "captured": "货款结给商家",
    "captured_fee": "平台服务费",
    "captured_supply": "供应商货款",
    "penalty_kept": "逾期违约金归商家",
    "bonus_granted": "商家赠金入宠物钱包",
    "bonus_held": "冻结本期货款（赠金）",
    "bonus_released": "解冻货款（赠金）",
    "bonus_captured": "货款结给商家（赠金）",
    "bonus_captured_fee": "平台服务费（赠金）",
    "bonus_captured_supply": "供应商货款（赠金）",
    "bonus_lapsed": "未用赠金失效",
    "penalty": "解约违约金",
    "refund_requested": "未用本金转出待退",
    "refunded": "退款已回渠道",
    "spent": "门店消费",
    "spent_bonus": "门店消费（赠金）",
    "spent_fee": "门店消费平台服务费",
    "returned": "门店退货退回本金",
    "returned_bonus": "门店退货退回赠金",
    "returned_fee": "门店退货退回服务费",
}
ACTORS: Final = {
    "billing_run": "扣款任务",
    "query": "查询",
    "notification": "渠道通知",
    "customer": "客户",
    "signing": "签约",
    "wallet": "钱包",
    "staff": "员工",
    "job": "定时任务",
}


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one thing: what it is, and what happened to it in order of time."""

    kind: str
    about: UUID
    head: list[str]
    lines: list[Line]

    def text(self) -> str:
        """Return the story for a person, moments as in China."""
        told = [
            f"{moment.astimezone(CHINA):%Y-%m-%d %H:%M:%S}  {text}" for moment, text in self.lines
        ]
        return "\n".join([*self.head, "", *(told or ["还没有发生任何事。"])])

    def as_dict(self) -> dict[str, Any]:
        """Return the story for a program, moments as in UTC."""
        return {
            "kind": self.kind,
            "id": str(self.about),
            "head": self.head,
            "lines": [
                {"at": moment.astimezone(UTC).isoformat(), "text": text}
                for moment, text in self.lines
            ],
        }


async def explain_instalment(running: RunningPlatform, instalment_id: UUID) -> str:
    """
    Tell everything that happened to one instalment, in order of time, dates as in China.

    Raises:
        UnknownInstalment: There is none of this id.
    """
    async with auditor(running.auditor_dsn) as conn:
        return await story(conn, instalment_id)


async def story(conn: Connection, instalment_id: UUID) -> str:
    """
    Tell the story as *conn* sees it.

    Raises:
        UnknownInstalment: There is none of this id.
    """
    return (await instalment_story(conn, instalment_id)).text()


async def instalment_story(conn: Connection, instalment_id: UUID) -> Story:
    """
    Return the story of one instalment as *conn* sees it.

    Raises:
        UnknownInstalment: There is none of this id.
    """
    row = await conn.fetchrow(
        """
        SELECT i.*, a.agreement_no, a.plan_name, a.rail, a.state AS agreement_state, a.auto_ship
          FROM billing.instalments i JOIN billing.agreements a USING (agreement_id)
         WHERE i.instalment_id = $1
        """,
        instalment_id,
    )
    if row is None:
        raise UnknownInstalment(f"没有这一期：{instalment_id}")
    made_of = await conn.fetch(
        """
        SELECT kind, amount_fen, note FROM billing.instalment_lines
         WHERE instalment_id = $1 ORDER BY line_no
        """,
        instalment_id,
    )
    lines = await instalment_lines(conn, instalment_id)
    return Story("instalment", instalment_id, list(_head(row, made_of)), lines)


async def instalment_lines(conn: Connection, instalment_id: UUID) -> list[Line]:
    """Return what happened to one instalment in every service, in order of time."""
    lines = [
        *await _notices(conn, instalment_id),
        *await _refusals(conn, instalment_id),
        *await _attempts(conn, instalment_id),
        *await _moves(conn, instalment_id),
        *await _transfers(conn, instalment_id),
        *await _shipment(conn, instalment_id),
        *await _refunds(conn, instalment_id),
        *await _messages(conn, instalment_id),
    ]
    return sorted(lines, key=lambda line: line[0])


def _head(one: Row, made_of: list[Row]) -> Iterator[str]:
    yield f"协议 {one['agreement_no']}（{one['plan_name']}，{RAILS[one['rail']]}）"
    amount, state = yuan(one["amount_fen"]), state_of(one["state"])
    name = f"第 {one['seq']}/{one['periods']} 期" if one["seq"] else "首付款"
    yield f"{name}，{amount} 元，{state}"
    if len(made_of) > 1:
        yield "金额构成：" + "，".join(_part(line) for line in made_of)
    if one["bonus_fen"]:
        yield f"商家让利 {yuan(one['bonus_fen'])} 元，计入宠物钱包赠金"
    moved = "" if one["charge_on"] == one["due_on"] else f"，改为 {one['charge_on']} 扣款"
    yield f"约定扣款日 {one['due_on']}{moved}"


def _part(line: Row) -> str:
    return f"{LINES[line['kind']]} {yuan(line['amount_fen'])} 元"


async def _notices(conn: Connection, instalment_id: UUID) -> list[Line]:
    rows = await conn.fetch(
        """
        SELECT n.kind, n.charge_on, n.amount_fen, n.requested_at, n.answer, n.state, n.channels,
               p.channel, p.accepted_at, p.delivered_at
          FROM billing.notices n LEFT JOIN billing.notice_proofs p USING (notice_id)
         WHERE n.instalment_id = $1 ORDER BY n.requested_at, p.channel
        """,
        instalment_id,
    )
    lines: dict[tuple[datetime, str], None] = {}
    for row in rows:
        what = f"{NOTICES[row['kind']]}（{row['charge_on']} 扣 {yuan(row['amount_fen'])} 元）"
        lines[row["requested_at"], f"{what}：发起"] = None
        by = CHANNELS.get(row["channel"] or "", "")
        if row["accepted_at"]:
            lines[row["accepted_at"], f"{what}：{by}已由服务商受理（送出凭证）"] = None
        if row["delivered_at"] and row["kind"] != "rail":
            lines[row["delivered_at"], f"{what}：{by}已送达"] = None
        if row["state"] == "superseded":
            lines[row["requested_at"], f"{what}：因改期或变更作废"] = None
        if row["state"] == "refused":
            lines[row["requested_at"], f"{what}：渠道未受理，{row['answer']}"] = None
    return list(lines)


async def _refusals(conn: Connection, instalment_id: UUID) -> list[Line]:
    rows = await conn.fetch(
        """
        SELECT refused_at, reasons, action FROM billing.gate_refusals
         WHERE instalment_id = $1 ORDER BY refusal_id
        """,
        instalment_id,
    )
    return [
        (row["refused_at"], f"扣款闸门未放行：{'、'.join(row['reasons'])}；处理：{row['action']}")
        for row in rows
    ]


async def _moves(conn: Connection, instalment_id: UUID) -> list[Line]:
    rows = await conn.fetch(
        """
        SELECT moved_at, to_state, actor, reason FROM billing.history
         WHERE instalment_id = $1 AND thing = 'instalment' ORDER BY history_id
        """,
        instalment_id,
    )
    return [
        (
            row["moved_at"],
            _changed(row) or f"本期：{state_of(row['to_state'])}{why(row['actor'], row['reason'])}",
        )
        for row in rows
    ]


def _changed(row: Row) -> str:
    """Return what new terms brought, empty if this move brought none."""
    found = TERMS.fullmatch(row["reason"])
    if found is None:
        return ""
    before_on, before_fen, on, fen = found.groups()[1:]
    paid = f"{yuan(int(before_fen))} 元" if before_fen == fen else ""
    amounts = paid or f"{yuan(int(before_fen))} 元改为 {yuan(int(fen))} 元"
    return f"本期：{CHANGES[found[1]]}，{before_on} 改为 {on}，{amounts}"


async def _attempts(conn: Connection, instalment_id: UUID) -> list[Line]:
    rows = await conn.fetch(
        """
        SELECT attempt_id, attempt_no, kind, rail, trade_no, amount_fen, penalty_fen, state,
               created_at,
               queries, surplus, rail_trade_no, paid_at, failure_class, failure_code, settled_at
          FROM billing.attempts WHERE instalment_id = $1 ORDER BY attempt_no
        """,
        instalment_id,
    )
    moves = await conn.fetch(
        """
        SELECT thing_id, moved_at, to_state, actor, reason FROM billing.history
         WHERE instalment_id = $1 AND thing = 'attempt' ORDER BY history_id
        """,
        instalment_id,
    )
    names = {row["attempt_id"]: f"{ATTEMPTS[row['kind']]}第 {row['attempt_no']} 次" for row in rows}
    lines = [_opened(row) for row in rows]
    lines += [
        (
            move["moved_at"],
            (
                f"{names.get(move['thing_id'], '扣款')}：{state_of(move['to_state'])}"
                f"{why(move['actor'], move['reason'])}"
            ),
        )
        for move in moves
    ]
    return lines + [line for row in rows for line in _outcome(row, names[row["attempt_id"]])]


def _opened(row: Row) -> Line:
    late = f"（含逾期违约金 {yuan(row['penalty_fen'])} 元）" if row["penalty_fen"] else ""
    text = (
        f"{ATTEMPTS[row['kind']]}第 {row['attempt_no']} 次：{RAILS[row['rail']]} "
        f"{yuan(row['amount_fen'])} 元{late}，交易号 {row['trade_no']}"
    )
    return row["created_at"], text


def _outcome(row: Row, name: str) -> Iterator[Line]:
    queried = f"，查询 {row['queries']} 次" if row["queries"] else ""
    if row["state"] == "succeeded":
        surplus = "；本期已付过，将原路退回" if row["surplus"] else ""
        yield (
            row["paid_at"] or row["settled_at"],
            (
                f"{name}：渠道收款 {yuan(row['amount_fen'])} 元，渠道单号 {row['rail_trade_no']}"
                f"{queried}{surplus}"
            ),
        )
    elif row["state"] == "failed":
        reason = "、".join(filter(None, (row["failure_class"], row["failure_code"])))
        yield row["settled_at"], f"{name}：未扣成（{reason}）{queried}"


async def booked(conn: Connection, cause_ids: Iterable[UUID]) -> list[Line]:
    """Return what wallet booked for some causes, and in whose statement it stands."""
    rows = await conn.fetch(
        """
        SELECT t.kind, t.debit_account, t.credit_account, t.amount_fen, t.occurred_at, s.from_day
          FROM wallet.transfers t
          LEFT JOIN wallet.statement_lines l USING (merchant_id, cause_id, kind)
          LEFT JOIN wallet.statements s USING (merchant_id, statement_id)
         WHERE t.cause_id = ANY($1::uuid[]) ORDER BY t.occurred_at, t.cause_id, t.kind
        """,
        list(cause_ids),
    )
    return [
        (
            row["occurred_at"],
            (
                f"记账：{TRANSFERS.get(row['kind'], row['kind'])} {yuan(row['amount_fen'])} 元"
                f"（{row['debit_account']} → {row['credit_account']}）"
                + (f"，列入 {row['from_day']} 结算单" if row["from_day"] else "")
            ),
        )
        for row in rows
    ]


async def _transfers(conn: Connection, instalment_id: UUID) -> list[Line]:
    refunds = await conn.fetch(
        "SELECT refund_id FROM billing.refunds WHERE instalment_id = $1", instalment_id
    )
    lines = await booked(conn, [instalment_id, *(row["refund_id"] for row in refunds)])
    holds = await conn.fetch(
        "SELECT amount_fen, state, placed_at, closed_at FROM wallet.holds WHERE instalment_id = $1",
        instalment_id,
    )
    for hold in holds:
        what = f"冻结 {yuan(hold['amount_fen'])} 元"
        lines.append((hold["placed_at"], f"{what}，用于本期发货"))
        if hold["closed_at"]:
            lines.append((hold["closed_at"], f"{what}：{state_of(hold['state'])}"))
    return lines


async def _shipment(conn: Connection, instalment_id: UUID) -> list[Line]:
    moves = await conn.fetch(
        """
        SELECT h.at, h.to_state, h.reason, s.ship_on, s.order_no
          FROM fulfillment.shipments s
          JOIN fulfillment.shipment_history h USING (merchant_id, shipment_id)
         WHERE s.instalment_id = $1 ORDER BY h.n
        """,
        instalment_id,
    )
    lines = [
        (row["at"], f"发货单：{state_of(row['to_state'])}{why('', row['reason'] or '')}")
        for row in moves
    ]
    tracks = await conn.fetch(
        """
        SELECT p.carrier, p.tracking_no, p.sent_at, t.at, t.told
          FROM fulfillment.shipments s
          JOIN fulfillment.parcels p USING (merchant_id, shipment_id)
          LEFT JOIN fulfillment.tracks t USING (merchant_id, parcel_id)
         WHERE s.instalment_id = $1 ORDER BY t.at
        """,
        instalment_id,
    )
    sent = {
        (row["sent_at"], f"包裹：{row['carrier']} {row['tracking_no']} 已从云仓发出")
        for row in tracks
    }
    told = [(row["at"], f"物流：{row['told']}") for row in tracks if row["at"]]
    return [*lines, *sent, *told]


async def _refunds(conn: Connection, instalment_id: UUID) -> list[Line]:
    rows = await conn.fetch(
        """
        SELECT refund_no, rail, amount_fen, reason, state, created_at, settled_at, failure_code
          FROM billing.refunds WHERE instalment_id = $1 ORDER BY created_at
        """,
        instalment_id,
    )
    lines: list[Line] = []
    for row in rows:
        what = f"退款 {yuan(row['amount_fen'])} 元（{row['refund_no']}）"
        lines.append((row["created_at"], f"{what}：原路退回{RAILS[row['rail']]}，{row['reason']}"))
        if row["settled_at"]:
            said = why("", row["failure_code"] or "")
            lines.append((row["settled_at"], f"{what}：{state_of(row['state'])}{said}"))
    return lines


async def _messages(conn: Connection, instalment_id: UUID) -> list[Line]:
    """Return what the customer was told of it besides the notices, which have their own lines."""
    rows = await conn.fetch(
        """
        SELECT cause, channel, state, queued_at, accepted_at, delivered_at, failure
          FROM notify.messages
         WHERE instalment_id = $1 AND cause NOT LIKE 'notice.%' ORDER BY queued_at
        """,
        instalment_id,
    )
    return [
        (
            row["accepted_at"] or row["queued_at"],
            (
                f"{CHANNELS[row['channel']]}（{row['cause']}）：{state_of(row['state'])}"
                f"{why('', row['failure'] or '')}"
            ),
        )
        for row in rows
    ]


def state_of(state: str) -> str:
    """Return the Chinese name of a state, or the state."""
    return STATES.get(state, state)


def why(actor: str, reason: str) -> str:
    """Return who did it and why, in brackets; empty where neither is known."""
    said = "，".join(filter(None, (ACTORS.get(actor, actor), reason)))
    return f"（{said}）" if said else ""
