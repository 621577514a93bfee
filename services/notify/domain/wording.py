"""
What customers read, in Chinese, as data.

No marketing, no word of credit (carriers refuse those in notifications); a notice
before a charge states date, hour, amount, payee, period, the balance it needs, what
happens when it fails, and how to stop (rule WH-04).  Codes are those of the sandbox;
an operator replaces them by the approved ones (``NOTIFY_TEMPLATE_CODES``).
"""

from typing import Final

from services.notify.contract.states import Channel
from services.notify.domain.template import Field, Param, ParamKind, Template

_KINDS: Final = {
    "amount": (ParamKind.AMOUNT, 14),
    "total": (ParamKind.AMOUNT, 14),
    "first_amount": (ParamKind.AMOUNT, 14),
    "seq": (ParamKind.COUNT, 4),
    "periods": (ParamKind.COUNT, 4),
    "days": (ParamKind.COUNT, 3),
    "first_charge": (ParamKind.DATE, 12),
    "from_day": (ParamKind.DATE, 12),
    "to_day": (ParamKind.DATE, 12),
    "ship": (ParamKind.DATE, 12),
    "wait_until": (ParamKind.DATE, 12),
    "cooling_end": (ParamKind.MOMENT, 20),
    "charge": (ParamKind.MOMENT, 20),
    "collected": (ParamKind.MOMENT, 20),
    "pay": (ParamKind.LINK, 32),
    "tracking_no": (ParamKind.CODE, 32),
    "service_phone": (ParamKind.CODE, 17),
    "merchant": (ParamKind.TEXT, 20),
    "plan": (ParamKind.TEXT, 20),
    "rail": (ParamKind.TEXT, 8),
    "carrier": (ParamKind.TEXT, 12),
    "items": (ParamKind.TEXT, 30),
    "stage": (ParamKind.TEXT, 6),
    "next": (ParamKind.TEXT, 40),
}
"""Every parameter there is: how its fact becomes text, and how long that may be."""

_HELP: Final = "客服${service_phone}。"

_SMS: Final = {
    "agreement.signed": (
        "套餐签订成功",
        "${merchant}：您已签订${plan}，共${periods}期、合计${total}元，首次扣款日${first_charge}，"
        "金额${first_amount}元。${cooling_end}前可无理由取消，已付款项全额退回。"
        "协议与办理入口见小程序“我的套餐”，" + _HELP,
    ),
    "agreement.activated": (
        "套餐已生效",
        "${merchant}：您的${plan}已生效，将按约定日期扣款并发货。变更或终止可在小程序办理，"
        + _HELP,
    ),
    "agreement.cancelled": (
        "套餐已取消",
        "${merchant}：您的${plan}已取消，不再扣款和发货，已付款项将原路全额退回。" + _HELP,
    ),
    "agreement.terminated": (
        "套餐已终止",
        "${merchant}：您的${plan}已提前终止，自动扣款已停止，未使用的余额将按约定原路退回。"
        "结算明细见小程序，" + _HELP,
    ),
    "agreement.completed": (
        "套餐已完成",
        "${merchant}：您的${plan}已全部履行完毕，自动扣款随之结束，感谢您的信任。" + _HELP,
    ),
    "mandate.revoked": (
        "扣款授权已解除",
        "${merchant}：您的${plan}自动扣款授权已解除，今后不会自动扣款。如非本人操作或希望继续，"
        "请在小程序办理，" + _HELP,
    ),
    "mandate.closed": (
        "扣款授权已关闭",
        "${merchant}：您的${plan}自动扣款授权已在支付平台关闭，不会再发生扣款。" + _HELP,
    ),
    "notice.advance": (
        "扣款提前通知",
        "${merchant}：${plan}第${seq}/${periods}期${amount}元，将于${charge}后通过${rail}自动扣款，"
        "收款方${merchant}。请保证余额不少于${amount}元；未成功的24小时内最多再试2次。"
        "如需延期、终止或取消扣款，可在小程序“我的套餐”办理，" + _HELP,
    ),
    "notice.reminder": (
        "扣款提醒",
        "${merchant}提醒：${plan}第${seq}/${periods}期${amount}元，将于${charge}后通过${rail}扣款，"
        "收款方${merchant}。请保证余额不少于${amount}元；未成功的24小时内最多再试2次。"
        "如需延期、终止或取消扣款，请在扣款前于小程序“我的套餐”办理，" + _HELP,
    ),
    "charge.collected": (
        "扣款成功",
        "${merchant}：${plan}第${seq}/${periods}期已于${collected}通过${rail}收款${amount}元，"
        "存入您的宠物钱包。明细见小程序，" + _HELP,
    ),
    "charge.failed": (
        "扣款未成功",
        "${merchant}：${plan}第${seq}/${periods}期${amount}元扣款未成功，${next}。您也可打开小程序，"
        "用付款码${pay}自行支付。付款前该期暂缓发货，不计利息，" + _HELP,
    ),
    "charge.exhausted": (
        "请自行支付本期",
        "${merchant}：${plan}第${seq}/${periods}期${amount}元多次扣款未成功，不再自动尝试。"
        "请打开小程序，用付款码${pay}支付；付款前该期暂缓发货，不计利息。如有困难可申请延期，"
        + _HELP,
    ),
    "instalment.overdue.reminder": (
        "待付款提醒",
        "${merchant}：${plan}第${seq}/${periods}期${amount}元尚未支付，可打开小程序用付款码${pay}支付，"
        "付款后恢复发货。如对金额有异议或有困难，请联系我们，" + _HELP,
    ),
    "instalment.overdue.extension": (
        "延期券已发放",
        "${merchant}：已为您的${plan}第${seq}/${periods}期${amount}元发放7天延期券，期间不产生任何费用。"
        "可打开小程序用付款码${pay}支付，" + _HELP,
    ),
    "instalment.overdue.lawful_procedure": (
        "套餐待处理",
        "${merchant}：${plan}第${seq}/${periods}期${amount}元已${days}天未支付，套餐已暂停。"
        "您可用付款码${pay}支付，或在小程序申请终止并结算；如有异议或困难请联系我们，" + _HELP,
    ),
    "instalment.settled": (
        "付款已收到",
        "${merchant}：已收到${plan}第${seq}/${periods}期${amount}元，套餐恢复正常。" + _HELP,
    ),
    "instalment.postponed": (
        "扣款日已调整",
        "${merchant}：${plan}第${seq}/${periods}期扣款日由${from_day}调整为${to_day}，金额${amount}元，"
        "届时会再次提醒。" + _HELP,
    ),
    "refund.succeeded": (
        "退款成功",
        "${merchant}：您的${plan}退款${amount}元已由${rail}原路退回，到账时间以支付平台为准。"
        + _HELP,
    ),
    "shipment.reminder_due": (
        "明日发货提醒",
        "${merchant}：${plan}第${seq}期将于${ship}发货：${items}。如需修改地址请今日内在小程序办理，"
        + _HELP,
    ),
    "shipment.dispatched": (
        "包裹已发出",
        "${merchant}：${plan}第${seq}期已发货，${carrier}单号${tracking_no}，请留意收货。" + _HELP,
    ),
    "shipment.delivered": (
        "包裹已签收",
        "${merchant}：${plan}第${seq}期包裹已签收，单号${tracking_no}。如有破损或缺少请在小程序申请售后，"
        + _HELP,
    ),
    "shipment.substituted": (
        "商品替换通知",
        "${merchant}：${plan}第${seq}期有商品缺货，已按您同意的清单替换为同价或更低价商品发货。"
        + _HELP,
    ),
    "shipment.waiting": (
        "发货延后通知",
        "${merchant}：${plan}第${seq}期有商品缺货，预计${wait_until}前发货，如不愿等待可在小程序申请退款，"
        + _HELP,
    ),
    "shipment.cancelled": (
        "发货已取消",
        "${merchant}：${plan}第${seq}期包裹已取消发货，对应金额已退回您的宠物钱包。" + _HELP,
    ),
    "shipment.lost": (
        "包裹查找中",
        "${merchant}：${plan}第${seq}期包裹运输异常，单号${tracking_no}，我们正在向快递核实并会尽快处理。"
        + _HELP,
    ),
    "stage.changed": (
        "成长阶段更新",
        "${merchant}：您的爱宠进入${stage}阶段，${plan}的商品将从下一期起相应调整，每期金额不变。"
        + _HELP,
    ),
    "instalment.overdue.topup": (
        "充值提醒",
        "${merchant}：${plan}第${seq}/${periods}期${amount}元尚未充值到您的宠物钱包，本期暂不发货，"
        "您不欠任何费用。可打开小程序用付款码${pay}充值，也可在“我的套餐”申请延期、暂停或终止，"
        + _HELP,
    ),
    "instalment.overdue.demand": (
        "付款通知",
        "${merchant}：${plan}第${seq}/${periods}期${amount}元已到期${days}天未付。请在收到本通知后15天内用付款码${pay}支付；"
        "对金额有异议、有困难或希望调解，可在小程序提出，我们会先与您协商，" + _HELP,
    ),
}

_SUBJECT: Final = Field("套餐", "thing1", "${plan}")
_PERIOD: Final = Field("期数", "thing2", "第${seq}/${periods}期")
_AMOUNT: Final = Field("金额", "amount3", "${amount}元")
_NUMBER: Final = Field("运单号", "character_string4", "${tracking_no}")


def _note(text: str) -> Field:
    return Field("说明", "thing9", text)


_MINI: Final[dict[str, tuple[str, tuple[Field, ...]]]] = {
    "agreement.signed": (
        "pages/plan/index",
        (
            _SUBJECT,
            Field("总金额", "amount3", "${total}元"),
            Field("首次扣款日", "date4", "${first_charge}"),
            Field("可取消至", "time5", "${cooling_end}"),
            _note("期满前可无理由取消并全额退款"),
        ),
    ),
    "agreement.activated": ("pages/plan/index", (_SUBJECT, _note("套餐已生效，按约定扣款发货"))),
    "agreement.cancelled": ("pages/plan/index", (_SUBJECT, _note("已取消，款项原路全额退回"))),
    "agreement.terminated": ("pages/plan/index", (_SUBJECT, _note("已终止，余额按约定原路退回"))),
    "agreement.completed": ("pages/plan/index", (_SUBJECT, _note("套餐已全部履行完毕"))),
    "mandate.revoked": ("pages/plan/index", (_SUBJECT, _note("自动扣款授权已解除"))),
    "mandate.closed": ("pages/plan/index", (_SUBJECT, _note("自动扣款授权已关闭，不再扣款"))),
    "notice.advance": (
        "pages/plan/upcoming",
        (
            _SUBJECT,
            _PERIOD,
            _AMOUNT,
            Field("扣款时间", "time4", "${charge}"),
            Field("收款方", "thing5", "${merchant}"),
            _note("余额不足会重试2次，可在此取消"),
        ),
    ),
    "notice.reminder": (
        "pages/plan/upcoming",
        (
            _SUBJECT,
            _PERIOD,
            _AMOUNT,
            Field("扣款时间", "time4", "${charge}"),
            Field("收款方", "thing5", "${merchant}"),
            _note("请备足余额，可在此延期或取消"),
        ),
    ),
    "charge.collected": (
        "pages/wallet/index",
        (
            _SUBJECT,
            _PERIOD,
            _AMOUNT,
            Field("时间", "time4", "${collected}"),
            _note("已存入宠物钱包"),
        ),
    ),
    "charge.failed": (
        "pages/pay/index?code=${pay}",
        (_SUBJECT, _PERIOD, _AMOUNT, _note("扣款未成功，点此支付，不计利息")),
    ),
    "charge.exhausted": (
        "pages/pay/index?code=${pay}",
        (_SUBJECT, _PERIOD, _AMOUNT, _note("不再自动扣款，请点此支付")),
    ),
    "instalment.overdue.reminder": (
        "pages/pay/index?code=${pay}",
        (_SUBJECT, _PERIOD, _AMOUNT, _note("尚未支付，付款后恢复发货")),
    ),
    "instalment.overdue.extension": (
        "pages/pay/index?code=${pay}",
        (_SUBJECT, _PERIOD, _AMOUNT, _note("已发7天延期券，期间无费用")),
    ),
    "instalment.overdue.topup": (
        "pages/pay/index?code=${pay}",
        (_SUBJECT, _PERIOD, _AMOUNT, _note("尚未充值，可充值或申请延期")),
    ),
    "instalment.overdue.demand": (
        "pages/pay/index?code=${pay}",
        (_SUBJECT, _PERIOD, _AMOUNT, _note("请15天内支付，有异议可协商")),
    ),
    "instalment.overdue.lawful_procedure": (
        "pages/pay/index?code=${pay}",
        (_SUBJECT, _PERIOD, _AMOUNT, _note("已${days}天未付，可支付或终止结算")),
    ),
    "instalment.settled": ("pages/plan/index", (_SUBJECT, _PERIOD, _AMOUNT, _note("已收到付款"))),
    "instalment.postponed": (
        "pages/plan/upcoming",
        (
            _SUBJECT,
            _PERIOD,
            _AMOUNT,
            Field("原扣款日", "date4", "${from_day}"),
            Field("新扣款日", "date5", "${to_day}"),
        ),
    ),
    "refund.succeeded": (
        "pages/wallet/index",
        (_SUBJECT, _AMOUNT, Field("退回渠道", "thing4", "${rail}"), _note("已原路退回")),
    ),
    "shipment.reminder_due": (
        "pages/parcel/index",
        (_SUBJECT, Field("内容", "thing2", "${items}"), Field("发货日", "date4", "${ship}")),
    ),
    "shipment.dispatched": (
        "pages/parcel/index",
        (_SUBJECT, Field("快递", "thing2", "${carrier}"), _NUMBER, _note("包裹已发出，请留意收货")),
    ),
    "shipment.delivered": (
        "pages/parcel/index",
        (_SUBJECT, _NUMBER, _note("已签收，如有问题可申请售后")),
    ),
    "shipment.substituted": (
        "pages/parcel/index",
        (_SUBJECT, _note("缺货，已按您同意的清单替换发货")),
    ),
    "shipment.waiting": (
        "pages/parcel/index",
        (_SUBJECT, Field("预计发货", "date4", "${wait_until}"), _note("缺货延后，可申请退款")),
    ),
    "shipment.cancelled": ("pages/parcel/index", (_SUBJECT, _note("已取消发货，金额退回宠物钱包"))),
    "shipment.lost": ("pages/parcel/index", (_SUBJECT, _NUMBER, _note("运输异常，正在核实"))),
    "stage.changed": (
        "pages/pet/index",
        (_SUBJECT, Field("阶段", "thing2", "${stage}"), _note("下期起商品相应调整，金额不变")),
    ),
}


def _params(text: str) -> tuple[Param, ...]:
    return tuple(Param(name, *_KINDS[name]) for name in _KINDS if f"${{{name}}}" in text)


def _sms(number: int, key: str) -> Template:
    title, text = _SMS[key]
    return Template(
        key=key,
        channel=Channel.SMS,
        version=1,
        title=title,
        text=text,
        params=_params(text),
        codes={"aliyun": f"SMS_{900000000 + number}"},
    )


def _mini(key: str) -> Template:
    page, fields = _MINI[key]
    name = f"yuefu-{key.replace('.', '-').replace('_', '-')}-1"
    return Template(
        key=key,
        channel=Channel.MINI_PROGRAM,
        version=1,
        title=_SMS[key][0],
        page=page,
        fields=fields,
        params=_params(page + "".join(line.value for line in fields)),
        codes={"wechat": name, "alipay": name},
    )


TEMPLATES: Final = (
    *(_sms(number, key) for number, key in enumerate(_SMS, 1)),
    *(_mini(key) for key in _MINI),
)
"""Every template, newest version; what was used before stays in the database."""
