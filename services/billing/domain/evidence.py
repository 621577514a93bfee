"""Rows of the record as files of an evidence bundle: JSON for machines, CSV for people."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from shared.calendar import CHINA
from shared.evidence_bundle import File, as_json
from shared.money import yuan

Rows = Sequence[Mapping[str, Any]]

ELSEWHERE: Final = (
    ("wallet", "GET /v1/agreements/{agreement_id}/ledger", "money of this agreement, to the fen"),
    ("wallet", "GET /v1/customers/{customer_id}/transfers", "transfers of the pet wallet"),
    ("signing", "GET /v1/agreements/{agreement_id}/document.pdf", "the document as signed"),
    ("signing", "GET /v1/agreements/{agreement_id}/evidence", "sealed evidence of the signature"),
    ("notify", "GET /v1/messages/{message_id}", "words and receipts of a message named here"),
    ("fulfillment", "GET /v1/shipments/{shipment_id}", "parcels and their tracking"),
)
"""What other services keep: no service reads another's records, so it is fetched there."""

TITLES: Final[Mapping[str, str]] = {
    "agreement": "协议",
    "mandates": "代扣授权",
    "schedule": "期数计划",
    "schedule_lines": "每期金额构成",
    "notices": "扣款提醒与送达凭证",
    "gate_refusals": "扣款闸门未放行",
    "attempts": "扣款记录",
    "queries": "结果查询",
    "refunds": "退款",
    "dunning_cases": "逾期跟进",
    "contacts": "联系记录",
    "message_proofs": "消息送达凭证",
    "tasks": "人工任务",
    "claims": "困难申请与扣款异议",
    "shipments_seen": "履约记录",
    "history": "状态变更",
}

HEADINGS: Final[Mapping[str, str]] = {
    "about": "事由", "accepted_at": "受理时间", "action": "处理", "actor": "操作方",
    "agreement_id": "协议ID", "agreement_no": "协议编号", "amount_fen": "金额(元)",
    "answer": "答复", "answer_due_at": "答复期限", "answered_at": "答复时间",
    "answered_by": "答复人", "assignee": "负责人", "attempt_id": "扣款ID",
    "attempt_no": "第几次", "auto_ship": "自动发货", "calls": "未接通次数",
    "cancelled": "已取消", "case_id": "跟进ID", "cause": "消息事由", "cause_id": "事由ID",
    "ceiling_fen": "授权上限(元)", "channel": "通道", "channels": "通道",
    "charge_at": "扣款时刻", "charge_day": "扣款日", "charge_id": "入账扣款ID",
    "charge_on": "扣款日期", "claim_id": "诉求ID", "close_reason": "结束原因",
    "closed_at": "结束时间", "contact_id": "联系ID", "created_at": "创建时间",
    "customer_id": "客户ID", "deliver_by": "承诺送达日", "delivered_at": "送达时间",
    "demanded_on": "书面催告日", "description": "说明", "detail": "详情",
    "direction": "方向", "due_at": "期限", "due_on": "约定日期", "ended_at": "结束时间",
    "escalated_at": "升级时间", "evidence": "证据", "extended_until": "延期至",
    "failed_periods": "连续失败期数", "failure_class": "失败类别", "failure_code": "失败代码",
    "flagged_at": "风险标记时间", "from_state": "原状态", "fully_paid_at": "付清时间",
    "granted_at": "授权时间", "hold_fen": "每期商品款(元)", "holds": "暂停原因",
    "instalment_id": "期ID", "kind": "类型", "ladder": "跟进规则", "legal_type": "法律类型",
    "line_no": "序号", "made_at": "时间", "made_by": "联系人员", "mandate_id": "授权ID",
    "merchant_id": "商家ID", "merchant_version": "商家规则版本", "message_id": "消息ID",
    "moved_at": "时间", "note": "说明", "notice_id": "提醒ID", "offer_periods": "暂停期数",
    "offer_to_day": "延期到", "offer_until": "方案有效期", "on_day": "扣款日",
    "opened_at": "开始时间", "opened_by": "登记人", "outcome": "结果",
    "overdue_since": "未付起始日", "paid_at": "付款时间", "payee_no": "收款账号",
    "periods": "总期数", "pet_id": "宠物ID", "plan_name": "套餐", "preset": "规则",
    "preset_version": "规则版本", "product": "代扣产品", "promised_on": "承诺付款日",
    "queries": "查询次数", "rail": "支付渠道", "rail_agreement_no": "渠道协议号",
    "rail_trade_no": "渠道订单号", "reason": "原因", "reasons": "原因",
    "recorded_by": "记录人", "refund_id": "退款ID", "refund_no": "退款单号",
    "refused_at": "时间", "requested_at": "提出时间", "result": "处理结果",
    "send_by": "最迟发送", "seq": "期", "settled_at": "完成时间",
    "settlement_id": "结算ID", "signed_at": "签订时间", "state": "状态", "surplus": "重复收款",
    "task_id": "任务ID", "thing": "对象", "thing_id": "对象ID", "to_state": "新状态",
    "total_fen": "总金额(元)", "trade_no": "商户订单号", "tries": "次数",
    "valid_until": "授权有效期",
}  # fmt: skip
"""Headings of the tables for people; a column without one is a mistake, and a test finds it."""


def files_of(sections: Mapping[str, Rows]) -> list[File]:
    """Return two files for each section: the rows as JSON and as a Chinese table."""
    files = []
    for name, rows in sections.items():
        files.append(File(f"{name}.json", as_json([_plain(row) for row in rows]), len(rows)))
        files.append(File(f"csv/{TITLES[name]}.csv", _table(rows), len(rows)))
    return files


def about(agreement: Mapping[str, Any], *, made_at: datetime) -> dict[str, Any]:
    """Return what the manifest says of the agreement, and where the rest is fetched."""
    ids = {name: str(agreement[name]) for name in ("agreement_id", "merchant_id", "customer_id")}
    return {
        **ids,
        "agreement_no": agreement["agreement_no"],
        "made_at": made_at.astimezone(UTC).isoformat(),
        "made_by": "billing",
        "elsewhere": [
            {"service": service, "fetch": path, "what": what} for service, path, what in ELSEWHERE
        ],
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as_json(value) for name, value in row.items()}


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bool | int | list | dict) or value is None:
        return value
    return str(value)


def _table(rows: Rows) -> bytes:
    """Return rows as CSV that spreadsheets open: UTF-8 with a mark, China's time, yuan."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if rows:
        writer.writerow([HEADINGS[name] for name in rows[0]])
    writer.writerows([[_as_text(name, value) for name, value in row.items()] for row in rows])
    return text.getvalue().encode("utf-8-sig")


def _as_text(name: str, value: Any) -> str:
    match value:
        case None:
            text = ""
        case bool():
            text = "是" if value else "否"
        case int() if name.endswith("_fen"):
            return yuan(value)  # also below zero
        case datetime():
            text = f"{value.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
        case list():
            text = "；".join(map(str, value))
        case _:
            text = str(value)
    return _unarmed(text)


def _unarmed(text: str) -> str:
    """Keep a spreadsheet from reading a text as a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
