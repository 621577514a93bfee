"""What the simulated rails know of the customers before the platform starts: their mandates."""

from collections.abc import Sequence
from pathlib import Path

from deploy.chaos.cast import DUE, SIGNED_AT, Customer
from deploy.sandbox import keys
from deploy.sandbox.kit_books import Books, Doc
from shared.rails.alipay import rail_time

ALIPAY_PRODUCTS = {
    "alipay_general": ("GENERAL_WITHHOLDING", "GENERAL_WITHHOLDING_P"),
    "alipay_cycle": ("CYCLE_PAY_AUTH", "CYCLE_PAY_AUTH_P"),
}


def lay_mandates(directory: Path, customers: Sequence[Customer]) -> None:
    """Write the mandates of *customers* into the books of both rails in *directory*."""
    keys.make(directory / "keys")
    (directory / "sandbox").mkdir(parents=True, exist_ok=True)
    app_id = keys.secret(directory / "keys", "alipay_app_id")
    alipay = Books(directory / "sandbox" / "alipay.sqlite")
    wechat = Books(directory / "sandbox" / "wechatpay.sqlite")
    for one in customers:
        if one.rail == "alipay":
            alipay.put("agreements", one.rail_agreement_no, _agreement(one, app_id))
        else:
            wechat.put("contracts", one.rail_agreement_no, _contract(one, directory / "keys"))
    alipay.close()
    wechat.close()


def external_no(customer: Customer) -> str:
    """Return our own number of the mandate at the rail."""
    return f"M{customer.agreement_no}"


def _agreement(one: Customer, app_id: str) -> Doc:
    product, personal = ALIPAY_PRODUCTS[one.product]
    cycle = one.product == "alipay_cycle"
    rule: Doc = {"months": 0, "next_day": "", "single_fen": None}
    if cycle:
        rule = {
            "months": 1,
            "next_day": DUE.isoformat(),
            "single_fen": one.amount_fen,
            "total_fen": None,
            "total_payments": None,
        }
    return {
        "agreement_no": one.rail_agreement_no,
        "external_agreement_no": external_no(one),
        "user_id": one.payer_no,
        "app_id": app_id,
        "merchant": app_id,
        "product_code": product,
        "personal_product_code": personal,
        "sign_scene": "INDUSTRY|SUPERMARKET",
        "status": "NORMAL",
        "sign_time": rail_time(SIGNED_AT),
        "paid_fen": 0,
        "paid_count": 0,
        **rule,
    }


def _contract(one: Customer, directory: Path) -> Doc:
    return {
        "contract_id": one.rail_agreement_no,
        "contract_code": external_no(one),
        "plan_id": keys.secret(directory, "wechat_plan_id"),
        "mch_id": keys.secret(directory, "wechat_mchid"),
        "appid": keys.secret(directory, "wechat_appid"),
        "account": one.payer_no,
        "request_serial": str(100_001 + one.number),
        "display_account": "宠物月付",
        "notify_url": "",
        "state": "0",
        "signed_at": SIGNED_AT.isoformat(),
        "terminated_at": "",
        "termination_mode": "0",
        "notice": None,
    }
