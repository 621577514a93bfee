"""A statement as rows of a sheet, in the words of the merchant's bookkeeper."""

from dataclasses import fields
from typing import Final

from services.wallet.contract.merchant_states import StatementPeriod
from services.wallet.contract.states import TransferKind as K
from services.wallet.domain.statement import Figures, Statement
from services.wallet.domain.transfer import Transfer
from shared.calendar import CHINA
from shared.money import yuan

FIGURE_NAMES: Final = {
    "collected_fen": "本期收款",
    "delivered_fen": "已履约金额",
    "platform_fee_fen": "平台服务费",
    "supply_cost_fen": "供应链成本",
    "rail_fee_fen": "支付手续费(商家承担)",
    "penalty_fen": "违约金收入",
    "reward_fen": "续约奖励及供应链返利",
    "promotion_fen": "商家赠金抵扣",
    "advance_drawn_fen": "垫资到账",
    "advance_interest_fen": "垫资利息",
    "advance_repaid_fen": "归还垫资",
    "kept_fen": "转入保证金",
    "refunded_fen": "退款",
    "settled_fen": "渠道清算入监管账户",
    "paid_out_fen": "已出款",
}
KIND_NAMES: Final = {
    K.COLLECTED: "收款",
    K.HELD: "冻结",
    K.RELEASED: "解冻",
    K.CAPTURED: "发货结转-商家",
    K.CAPTURED_FEE: "发货结转-平台服务费",
    K.CAPTURED_SUPPLY: "发货结转-供应链",
    K.PENALTY: "解约违约金",
    K.REFUND_REQUESTED: "申请退款",
    K.REFUNDED: "退款",
    K.PENALTY_KEPT: "逾期违约金",
    K.BONUS_GRANTED: "赠金发放",
    K.BONUS_HELD: "赠金冻结",
    K.BONUS_RELEASED: "赠金解冻",
    K.BONUS_CAPTURED: "赠金结转-商家",
    K.BONUS_CAPTURED_FEE: "赠金结转-平台服务费",
    K.BONUS_CAPTURED_SUPPLY: "赠金结转-供应链",
    K.BONUS_LAPSED: "赠金失效",
    K.SPENT: "到店核销",
    K.SPENT_BONUS: "到店核销-赠金",
    K.SPENT_FEE: "到店核销-平台服务费",
    K.RETURNED: "核销退回",
    K.RETURNED_BONUS: "核销退回-赠金",
    K.RETURNED_FEE: "核销退回-平台服务费",
    K.SETTLED: "渠道清算",
    K.SETTLED_BACK: "渠道倒扣",
    K.RAIL_FEE: "渠道手续费",
    K.FEE_BORNE: "手续费由商家承担",
    K.PAYOUT: "出款",
    K.PAYOUT_FAILED: "出款失败退回",
    K.SUPPLIER_PAID: "支付供应商",
    K.GUARANTEE_KEPT: "缴存保证金",
    K.GUARANTEE_FREED: "释放保证金",
    K.GUARANTEE_USED: "动用保证金",
    K.ADVANCE_DRAWN: "垫资到账",
    K.ADVANCE_INTEREST: "垫资利息",
    K.ADVANCE_REPAID: "归还垫资",
    K.ADVANCE_SETTLED: "垫资还款划付",
    K.RENEWAL_BONUS: "续约奖励",
    K.SUPPLY_REBATE: "供应链返利",
    K.PROMOTION_BORNE: "赠金由商家承担",
}
HEADINGS: Final = (
    "时间",
    "类型",
    "业务编号",
    "协议编号",
    "借方科目",
    "贷方科目",
    "金额(元)",
    "流水号",
)
_PERIODS: Final = {StatementPeriod.DAY: "日结算单", StatementPeriod.MONTH: "月结算单"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

Rows = list[tuple[str, ...]]


def head_rows(statement: Statement) -> Rows:
    """Return the rows above the lines: what it is, every figure in yuan, and the digest."""
    figures = [
        (FIGURE_NAMES[field.name], yuan(getattr(statement.figures, field.name)))
        for field in fields(Figures)
    ]
    span = f"{statement.from_day.isoformat()} 至 {statement.to_day.isoformat()}"
    return [
        (_PERIODS[statement.period], span),
        ("期初应付(元)", yuan(statement.opening_fen)),
        *figures,
        ("期末应付(元)", yuan(statement.payable_fen)),
        ("明细笔数", str(statement.transfers)),
        ("校验码", statement.digest),
        (),
        HEADINGS,
    ]


def line_row(line: Transfer) -> tuple[str, ...]:
    """Return one transfer as a row; no cell can be read as a formula."""
    moment = line.occurred_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
    cells = (
        moment,
        KIND_NAMES[line.kind],
        str(line.cause_id),
        str(line.agreement_id or ""),
        line.debit_account,
        line.credit_account,
        yuan(line.amount_fen),
        line.trade_no or "",
    )
    return tuple(harmless(cell) for cell in cells)


def harmless(cell: str) -> str:
    """Return *cell* so that a spreadsheet shows it and never computes it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def file_name(statement: Statement, ending: str) -> str:
    """Return what a download is called."""
    return f"statement-{statement.period}-{statement.from_day.isoformat()}.{ending}"
