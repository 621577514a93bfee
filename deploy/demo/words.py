"""What the demo says, in Chinese and in English."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Language(StrEnum):
    """The languages of the story."""

    ZH = "zh"
    EN = "en"


_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "switch": (
        "以中文讲述；DEMO_LANG=en make demo 改用英文。",
        "Told in English; DEMO_LANG=zh make demo tells it in Chinese.",
    ),
    "stage": ("商户入驻、建店、上架、发布套餐", "Merchants, stores, goods and plans"),
    "signing": ("{n} 位客户通过小程序网关签约", "{n} customers sign through the gateway's API"),
    "progress": (
        "第 {month:>2}/{months} 月  {day}  已收款 {charges} 笔  已发包裹 {parcels} 个",
        "month {month:>2}/{months}  {day}  {charges} charges collected  {parcels} parcels sent",
    ),
    "killed": ("{service} 在忙碌时被强制终止（{day}）", "{service} was killed while busy ({day})"),
    "auditing": ("全平台对账", "Auditing the whole platform"),
    "refused_rail": (
        "个体工商户申请微信代扣：被拒（{code}）",
        "An individual business asks for WeChat withholding: refused ({code})",
    ),
    "lives": ("── 每个人的一年 ──", "── Everybody's year ──"),
    "refused_first": (
        "{rail} 每月 {day} 日扣款：被拒（{code}）",
        "charge day {day} on {rail}: refused ({code})",
    ),
    "ok": ("如期", "as expected"),
    "not_ok": ("不符：{why}", "NOT as expected: {why}"),
    "books": ("── 账目 ──", "── The books ──"),
    "audit": ("── 对账 ──", "── The audit ──"),
    "report": ("报告：{path}", "Report: {path}"),
    "kept": ("平台仍在运行；Ctrl-C 停止。", "The platform stays up; Ctrl-C stops it."),
    "took": (
        "用时 {seconds:.0f} 秒，时钟走了 {steps} 步",
        "took {seconds:.0f} s, {steps} steps of the clock",
    ),
    "all_ok": ("全部相符。", "Everything agrees."),
    "failed": ("有不符之处，见上。", "Something disagrees, see above."),
    "row_agreements": ("协议", "agreements"),
    "row_charges": (
        "收款笔数 / 失败次数 / 查明结果不明的扣款",
        "charges collected / failed tries / unclear ones resolved",
    ),
    "row_rails": ("渠道实收 − 退款 = 净额（元）", "captured − refunded at the rails = net (yuan)"),
    "row_wallet": (
        "钱包入账 − 退款 = 净额（元）",
        "credited − refunded in the wallet = net (yuan)",
    ),
    "row_doubles": ("重复扣款", "double captures"),
    "row_shipments": ("发货单", "shipments"),
    "row_notices": (
        "应发提醒 / 有凭证 / 无凭证扣款",
        "notices owed / proven / charges without proof",
    ),
    "row_messages": ("消息 / 重复", "messages / duplicates"),
    # what happened
    "signed": (
        "签约：{plan}，{periods} 期，每期 {amount}",
        "signed: {plan}, {periods} periods of {amount}",
    ),
    "activated": ("冷静期结束，协议生效", "cooling-off over, the agreement is active"),
    "cancelled": ("冷静期内取消", "cancelled within the cooling-off time"),
    "terminated": ("提前解约（{reason}）", "terminated early ({reason})"),
    "completed": ("全部付清并发出，协议完成", "all paid and shipped, the agreement is completed"),
    "revoked": ("客户在支付渠道解除代扣", "the customer revoked the mandate at the rail"),
    "mandate_closed": ("代扣授权已关闭，渠道确认", "mandate closed, confirmed by the rail"),
    "collected": ("第 {seq} 期收款 {amount}", "period {seq} paid, {amount}"),
    "collected_now": ("第 {seq} 期自助付款 {amount}", "period {seq} paid by link, {amount}"),
    "collected_run": (
        "第 {first}–{last} 期按期收款，每期 {amount}，末期 {day}",
        "periods {first}–{last} paid in time, {amount} each, the last on {day}",
    ),
    "failed_try": ("第 {seq} 期第 {n} 次扣款失败（{why}）", "period {seq}: try {n} failed ({why})"),
    "unclear": ("第 {seq} 期扣款应答丢失，查询渠道", "period {seq}: no answer, the rail is asked"),
    "exhausted": (
        "第 {seq} 期自动扣款停止，等待自助付款",
        "period {seq}: automatic tries end, only the customer can pay",
    ),
    "overdue": ("第 {seq} 期逾期 {days} 天，{rung}", "period {seq} is {days} days late: {rung}"),
    "settled": ("第 {seq} 期欠款结清", "period {seq}: what was overdue is paid"),
    "postponed": (
        "第 {seq} 期改到 {day} 扣款（{why}），重新提醒",
        "period {seq} moves to {day} ({why}), with new notices",
    ),
    "refunded": ("退回 {amount}（原路）", "{amount} refunded to its route"),
    "out_of_stock": ("第 {seq} 期缺货：{sku}，{what}", "period {seq}: {sku} out of stock, {what}"),
    "substituted": ("改发 {sku}", "{sku} goes instead"),
    "waits": ("等待补货", "it waits for new stock"),
    "shipment_cancelled": ("第 {seq} 期未发包裹取消", "period {seq}: the parcel is called off"),
    "delivered_run": ("{n} 个包裹送达，最后一个 {day}", "{n} parcels delivered, the last on {day}"),
    "dispatched_first": (
        "第 {seq} 期首个包裹发出：{items}",
        "period {seq}: first parcel leaves with {items}",
    ),
    "contents_changed": (
        "第 {seq} 期包裹换成：{items}",
        "period {seq}: the parcel now holds {items}",
    ),
    "grew": (
        "宠物成长：{before} → {after}，包裹随之更换",
        "the pet grows: {before} → {after}, its parcels change",
    ),
    "flagged": (
        "连续两期未收到款，暂停自动扣款",
        "two periods in a row without money: automatic charges rest",
    ),
}

_RAILS: Final = {"alipay": ("支付宝", "Alipay"), "wechatpay": ("微信支付", "WeChat Pay")}


def say(language: Language, text: str, **facts: object) -> str:
    """Return *text* with its facts, in *language*."""
    return _TEXTS[text][0 if language is Language.ZH else 1].format(**facts)


def rail_name(language: Language, rail: str) -> str:
    """Return how people call a rail."""
    return _RAILS[rail][0 if language is Language.ZH else 1]
