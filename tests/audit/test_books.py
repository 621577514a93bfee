"""The real simulators' books are read in one shape."""

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from aiohttp.test_utils import TestServer

from deploy.audit.books import read_books
from deploy.sandbox.alipay import AlipaySandbox
from deploy.sandbox.aliyun_sms import AliyunSms
from deploy.sandbox.card_aggregator import CardSandbox
from deploy.sandbox.institutions import PayoutChannel
from deploy.sandbox.jushuitan import Jushuitan
from deploy.sandbox.keys import make
from deploy.sandbox.kit import Options, Sandbox
from deploy.sandbox.wechat_messages import WeChatMessages
from deploy.sandbox.wechatpay import WechatPaySandbox
from tests.audit.conftest import Platform
from tests.sandbox.harness import START


def use_alipay(alipay: AlipaySandbox) -> str:
    """One charge under an agreement, refunded; the agreement ended; one message."""
    app = {"app_id": "app"}
    signed = alipay.bank.sign(
        "2088",
        app,
        {
            "product_code": "GENERAL_WITHHOLDING",
            "personal_product_code": "GENERAL_WITHHOLDING_P",
        },
    )
    number = str(signed["agreement_no"])
    charge = {
        "out_trade_no": "YFTRADE1",
        "total_amount": "12.34",
        "subject": "月付",
        "product_code": "GENERAL_WITHHOLDING",
        "agreement_params": {"agreement_no": number},
    }
    alipay.bank.withhold(app, charge)
    back = {"out_trade_no": "YFTRADE1", "refund_amount": "2.34", "out_request_no": "R1"}
    alipay.bank.refund("app", back)
    alipay.bank.unsign(number)
    told = {"to_user_id": "2088", "user_template_id": "t", "data": '{"k": {"value": "v"}}'}
    alipay._do_message({}, told, None)
    return number


def use_wechatpay(pay: WechatPaySandbox) -> str:
    """One contract with a notice, and one payment by hand that was refunded."""
    signed = pay.bank.sign(
        "openid",
        {
            "request_serial": "1001",
            "contract_code": "C1",
            "plan_id": "1",
            "mch_id": "mch",
            "appid": "wx",
            "contract_display_account": "x",
            "notify_url": "",
        },
    )
    pay.bank.notice(signed, 1000, 7)
    order = {"mchid": "mch", "appid": "wx", "out_trade_no": "YFTRADE2"}
    asked = pay.bank.create(order | {"amount": {"total": 1000}, "payer": {"openid": "openid"}})
    pay.bank.pay("openid", asked["prepay_id"])
    back = {"out_trade_no": "YFTRADE2", "amount": {"refund": 400, "total": 1000}}
    pay.bank.refund("mch", back | {"out_refund_no": "R2"})
    pay.bank.refund("mch", back | {"out_refund_no": "R3"})
    pay.bank.finish_refund("mch/R2", "SUCCESS")
    return str(signed["contract_id"])


async def test_the_real_simulators_are_read(platform: Platform, tmp_path: Path):
    make(tmp_path, bits=1024)
    options = Options(now=START)
    alipay = AlipaySandbox(replace(options, keys=tmp_path))
    pay = WechatPaySandbox(replace(options, keys=tmp_path))
    payout = PayoutChannel(options)
    sms, wechat, jst = AliyunSms(options), WeChatMessages(options), Jushuitan(options)
    simulators: dict[str, Sandbox] = {
        "alipay": alipay,
        "wechatpay": pay,
        "bankcard": CardSandbox(replace(options, keys=tmp_path)),
        "payout": payout,
        "sms": sms,
        "wechat": wechat,
        "jst": jst,
    }
    agreement, contract = use_alipay(alipay), use_wechatpay(pay)
    sms._accept("B1", "13800000000", "s", "SMS_1", {}, "ours")
    body = {"touser": "openid", "template_id": "t", "lang": "zh_CN", "data": {}}
    wechat._accept(body | {"miniprogram_state": "formal", "data": {"thing1": {"value": "v"}}}, None)
    paid = {"transfer_no": "T1", "payee_account": "acct_1", "amount_fen": 700}
    payout._order(paid, "transfers", "pay", "transfer_no")
    await payout._succeed({"path": "transfers", "no": "T1"})
    jst._new_order({"so_id": "YFORDER", "shop_id": 1})

    async with AsyncExitStack() as stack:
        urls = {}
        for name, simulator in simulators.items():
            server = await stack.enter_async_context(TestServer(simulator.app))
            urls[name] = str(server.make_url("")).rstrip("/")
        books = await read_books(replace(platform.running, simulators=urls))

    assert books.now == START
    assert books.captures == [
        {"rail": "alipay", "number": "YFTRADE1", "amount_fen": 1234},
        {"rail": "wechatpay", "number": "YFTRADE2", "amount_fen": 1000},
    ]
    assert books.refunds == [
        {"rail": "alipay", "number": "R1", "trade_no": "YFTRADE1", "amount_fen": 234},
        {"rail": "wechatpay", "number": "R2", "trade_no": "YFTRADE2", "amount_fen": 400},
    ]
    assert [(one["number"], one["alive"]) for one in books.mandates] == [
        (agreement, False),
        (contract, True),
    ]
    assert books.mandates[0]["ended_at"] == "2026-03-02T10:00:00+08:00"
    assert books.prenotices == [{"contract": contract, "day": "2026-03-02", "amount_fen": 1000}]
    assert books.payouts == [{"number": "T1", "amount_fen": 700}]
    assert [(one["number"], one["sent_at"]) for one in books.orders] == [("YFORDER", None)]
    assert [(one["provider"], one["id"], one["out_id"]) for one in books.messages] == [
        ("sms", "B1", "ours"),
        ("wechat", "1", ""),
        ("alipay", "1", ""),
    ]
