"""
The wording of the agreement, version by version: clauses in order, key ones in bold.

A signed document names its version; an old version stays as it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from services.signing.contract import LineKind, Rail, SignedInstalment
from services.signing.domain.application import Applicant, Pet
from services.signing.domain.merchant import Merchant, Store
from services.signing.domain.plan import PlanVersion
from services.signing.domain.schedule import charged, periods_of
from shared.calendar import CHINA
from shared.money import yuan

TEMPLATE_VERSION: Final = "2026-12"

TITLE: Final = "宠物用品月付服务（预付消费）协议"

_RAIL_NAMES: Final = {Rail.ALIPAY: "支付宝", Rail.WECHATPAY: "微信支付", Rail.BANKCARD: "银行卡"}
_STAGES: Final = {
    "kitten": "幼猫",
    "puppy": "幼犬",
    "junior": "成长期",
    "adult": "成年",
    "senior": "老年",
}
_SIZES: Final = {"small": "小型", "medium": "中型", "large": "大型"}


LINES: Final = {
    LineKind.BASE: "基础金额",
    LineKind.DISCOUNT: "优惠",
    LineKind.FREE_MONTH: "免收",
    LineKind.FIRST_MONTH_HALF: "首月半价",
    LineKind.INTEREST_FREE: "免息",
    LineKind.INTEREST: "分期利息",
    LineKind.PENALTY: "逾期违约金",
}
"""What a line of an instalment is called."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause; a key clause is printed in bold and shown to the customer by itself."""

    key: str
    title: str
    paragraphs: tuple[str, ...]
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything an agreement says."""

    agreement_no: str
    merchant: Merchant
    store: Store
    payee_no: str
    plan: PlanVersion
    rail: Rail
    charge_day: int
    applicant: Applicant
    pet: Pet
    instalments: Sequence[SignedInstalment]
    rate_percent: Decimal
    written_at: datetime
    substitutes_agreed: bool


def clauses(terms: Terms) -> list[Clause]:
    """Return the clauses of the agreement in the order they are printed."""
    return [
        _parties(terms),
        _pet(terms),
        _money(terms),
        _use(terms),
        _withholding(terms),
        _delivery(terms),
        _cooling_off(terms),
        _termination(),
        _penalty(),
        _refund(),
        _health(),
        _pet_end(),
        _data(),
        _disputes(),
    ]


def key_clauses(terms: Terms) -> list[str]:
    """Return the keys of the clauses that must each be shown before signing."""
    return [clause.key for clause in clauses(terms) if clause.is_key]


def written_on(terms: Terms) -> str:
    """Return the moment the text was made, as a person in China reads it."""
    return terms.written_at.astimezone(CHINA).strftime("%Y年%m月%d日 %H:%M")


def _parties(terms: Terms) -> Clause:
    merchant, applicant = terms.merchant, terms.applicant
    return Clause(
        "parties",
        "一、协议双方",
        (
            f"甲方（商家）：{merchant.legal_name}（店名：{merchant.display_name}）",
            f"统一社会信用代码：{merchant.licence_no}  客服电话：{merchant.service_phone}",
            f"签约门店：{terms.store.name}（{terms.store.city}{terms.store.address}）",
            f"乙方（顾客）：{applicant.name}  居民身份证号码：{applicant.id_number}",
            f"联系电话：{applicant.phone}",
            (
                f""
                f"收货地址：{applicant.province}{applicant.city}{applicant.district}{applicant.address}"
            ),
        ),
    )


def _pet(terms: Terms) -> Clause:
    pet = terms.pet
    allergies = "、".join(pet.allergies) or "无"
    return Clause(
        "pet",
        "二、宠物情况",
        (
            (
                f"名字：{pet.name}  品种：{pet.breed}  体型：{_SIZES.get(pet.size, pet.size)}  "
                f"出生日期：{pet.born_on:%Y年%m月%d日}"
            ),
            f"过敏原：{allergies}  健康状况：{pet.health}",
        ),
    )


def _money(terms: Terms) -> Clause:
    plan = terms.plan
    others = (
        "无手续费，除本条载明的逾期违约金外无其他费用"
        if plan.overdue_penalty
        else ("无手续费，无其他费用")
    )
    return Clause(
        "money",
        "三、套餐、金额与期数",
        (
            f"套餐：{plan.name}（第 {plan.version} 版）  一次付清价 {yuan(plan.cash_price_fen)} 元",
            f"{_each(terms)}，共 {plan.periods} 期，合计 {yuan(plan.payable_fen)} 元。",
            *_given(terms),
            f"年化利率（单利与复利取高）{_percent(terms.rate_percent)} %，{others}。",
            _late(terms),
            f"赠品：{plan.gifts or '无'}",
        ),
        is_key=True,
    )


def _each(terms: Terms) -> str:
    amounts = [one.amount_fen for one in periods_of(terms.instalments)]
    if len(set(amounts)) == 1:
        return f"每期金额 {yuan(amounts[0])} 元"
    if len(set(amounts[:-1])) == 1:
        return f"每期金额 {yuan(amounts[0])} 元，末期 {yuan(amounts[-1])} 元"
    return "各期金额见附表一"


def _given(terms: Terms) -> list[str]:
    """Say what the plan gives and asks beside even amounts; nothing for most plans."""
    said, first = [], terms.instalments[0]
    if first.seq == 0:
        said.append(
            f"首付款 {yuan(first.amount_fen)} 元，由乙方于 {first.due_on:%Y年%m月%d日} 前"
            "自行支付，不自动扣款。"
        )
    sums = {
        kind: sum(
            -line.amount_fen
            for one in terms.instalments
            for line in one.lines
            if line.kind is kind and line.amount_fen < 0
        )
        for kind in LineKind
    }
    free = [f"{one.seq}" for one in periods_of(terms.instalments) if one.amount_fen == 0]
    if free:
        said.append(f"第 {'、'.join(free)} 期免收，到期不扣款，照常发放。")
    said += [
        f"{LINES[kind]}合计 {yuan(given_fen)} 元，逐期见附表一。"
        for kind, given_fen in sums.items()
        if given_fen
    ]
    bonus_fen = sum(part.bonus_fen for part in terms.plan.parts)
    if bonus_fen:
        said.append(f"甲方让利 {yuan(bonus_fen)} 元，以赠送金额计入宠物钱包，赠送金额不退现金。")
    return said


def _late(terms: Terms) -> str:
    penalty = terms.plan.overdue_penalty
    if penalty is None:
        return "逾期不收违约金，不计利息。"
    per_day = Decimal(penalty.rate_ppm_per_day) / 100
    cap = Decimal(penalty.cap_per_mille) / 10
    return (
        f"逾期超过 {penalty.grace_days} 日的，自次日起按逾期本金每日万分之 {_percent(per_day)} "
        f"计收逾期违约金，不计复利，付清即止，累计不超过逾期本金的 {_percent(cap)} %，"
        "且与利息合计不超过合同成立时一年期贷款市场报价利率的四倍；延期券有效期内不计收。"
    )


def _percent(rate: Decimal) -> str:
    return f"{rate.normalize():f}"


def _use(terms: Terms) -> Clause:
    return Clause(
        "use_of_money",
        "四、款项用途",
        (
            f"每期款项到账后全额计入乙方在甲方的“宠物钱包”，限用于：{terms.plan.use_of_money}。",
            "余额不清零、可跨月累积，不可转让；乙方可随时查询余额与明细。",
        ),
        is_key=True,
    )


def _withholding(terms: Terms) -> Clause:
    debits = charged(terms.instalments)
    first, last = debits[0], debits[-1]
    clamp = "（当月无此日的，为当月最后一日）" if terms.charge_day > 28 else ""  # noqa: PLR2004
    return Clause(
        "withholding",
        "五、自动扣款",
        (
            (
                f"扣款渠道：{_RAIL_NAMES[terms.rail]}  收款方：{terms.merchant.legal_name}"
                f"（收款账号 {terms.payee_no}）"
            ),
            (
                f"扣款日：每月 {terms.charge_day} 日{clamp}，9:00 至 18:00 之间；"
                f"首期 {first.due_on:%Y年%m月%d日}，末期 {last.due_on:%Y年%m月%d日}。"
                "每期日期与金额见附表。"
            ),
            (
                "扣款前 5 日与前 48 小时各提醒一次；扣款失败的，24 小时内至多再试两次，"
                "当期不再扣款，乙方可自行补缴。"
            ),
            (
                "乙方可随时在小程序“我的-扣款授权”或支付渠道内关闭自动扣款，立即生效，不收费用，"
                "不构成违约；关闭后可按期手动支付或办理解约。"
            ),
        ),
        is_key=True,
    )


def _delivery(terms: Terms) -> Clause:
    plan = terms.plan
    if not plan.auto_ship:
        return Clause("delivery", "六、消费方式", ("乙方凭宠物钱包余额到店或在商城自选商品。",))
    substitutes = (
        "乙方同意缺货时以附表所列同价或更低价的替代商品发货。"
        if terms.substitutes_agreed
        else "缺货时不使用替代商品，等待补货后发货。"
    )
    lines = [
        f"{_STAGES.get(bundle.stage, bundle.stage)}："
        + "、".join(f"{item.name or item.sku} × {item.quantity}" for item in bundle.items)
        for bundle in plan.bundles
    ]
    return Clause(
        "delivery",
        "六、每期发货",
        (
            (
                f"每期扣款成功后由云仓代甲方发货，每期商品价 {yuan(plan.bundle_fen)} 元，自宠物钱包"
                "支付；发货前一日提醒乙方。"
            ),
            "按宠物成长阶段发货（换阶段提前提醒，乙方可另选）：",
            *lines,
            substitutes,
        ),
    )


def _cooling_off(terms: Terms) -> Clause:
    del terms
    return Clause(
        "cooling_off",
        "七、冷静期",
        (
            (
                "自签约完成起 48 小时内，乙方可无理由取消本协议，已付款项全额退还，不收任何费用。"
                "冷静期内不扣款、不发货。"
            ),
        ),
        is_key=True,
    )


def _termination() -> Clause:
    return Clause(
        "termination",
        "八、解约",
        (
            (
                "乙方可随时在线申请解约，确认前展示应退金额与违约金；解约后立即停止扣款，"
                "24 小时内关闭支付渠道的扣款授权。"
            ),
            "甲方停业、迁址、单方变更价格、品种或质量，或逾期 7 日以上未发货的，乙方可免责解约。",
        ),
        is_key=True,
    )


def _penalty() -> Clause:
    return Clause(
        "penalty",
        "九、违约金",
        (
            (
                "冷静期后乙方因个人意愿提前解约的，违约金取以下两项中较低者："
                "（1）未付金额的 10 %；（2）甲方逐项举证的实际损失的 130 %。"
                "甲方不能举证的，违约金为 0。"
            ),
            "宠物患病、死亡、走失或甲方原因解约的，不收违约金。",
        ),
        is_key=True,
    )


def _refund() -> Clause:
    return Clause(
        "refund",
        "十、退款",
        (
            (
                "解约后，宠物钱包内未使用的本金按原支付路径退还，不收手续费，"
                "自解约之日起至迟 15 日内到账；"
                "首次付款之日起 7 日内申请的，5 日内到账。赠送金额不退现金。"
            ),
        ),
    )


def _health() -> Clause:
    return Clause(
        "health",
        "十一、健康保障",
        (
            (
                "自甲方交付宠物之日起 7 日内患病的，乙方可免责解约，全额退还未使用本金；"
                "30 日内确诊猫瘟或犬瘟热的，甲方免费更换同等宠物，或由乙方选择解约。"
            ),
        ),
        is_key=True,
    )


def _pet_end() -> Clause:
    return Clause(
        "pet_events",
        "十二、宠物走失或死亡",
        (
            (
                "宠物走失或死亡的，乙方提交照片、诊断书或报警回执之一即可免责解约，立即停止扣款，"
                "未使用本金按实结算退还。"
            ),
        ),
        is_key=True,
    )


def _data() -> Clause:
    return Clause(
        "data",
        "十三、个人信息",
        (
            (
                "身份核验、信用查询与人脸核验分别取得乙方单独同意，仅用于本次签约；"
                "不保存人脸影像。乙方可查询、复制、更正、删除个人信息。"
            ),
        ),
    )


def _disputes() -> Clause:
    return Clause(
        "disputes",
        "十四、其他",
        (
            (
                "本协议以数据电文形式订立，经双方电子签名且乙方完成扣款授权后生效；"
                "双方可随时下载已签署文本。"
            ),
            (
                "变更价格、商品或期限须经乙方重新签署。争议由双方协商，"
                "协商不成的，可向消费者协会投诉"
                "或向乙方住所地人民法院起诉。对条款有两种以上解释的，作有利于乙方的解释。"
            ),
        ),
    )
