"""
The simulated WeChat Pay's bill of a day: packed UTF-8 text with a backtick before each field.

Calls that fault scripts name: ``bill`` (the question for the address; decline:NO_STATEMENT_EXIST
is a bill that is not ready), ``bill_file`` (what is in it, see ``alipay_bill``; bad_signature is
a hash of something else) and ``bill_download``.  Accounts: the merchant number, or the day as
in ``bill_date``.
"""

import gzip
import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Final

from aiohttp import web

from deploy.sandbox.bills import (
    Bill,
    Links,
    Row,
    charges_of,
    faults_of,
    ready,
    refunds_of,
    spoil,
)
from deploy.sandbox.kit import Doc, Fault, FaultKind, Sandbox, json_reply
from deploy.sandbox.kit_books import Books
from deploy.sandbox.wechatpay_shapes import local_time
from shared.money import yuan
from shared.rails.outcome import BadSignature

DETAIL: Final = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,"
    "退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY: Final = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
_ZERO: Final = "0.00"
_BOM: Final = "\ufeff"


class BillDesk:
    """Answers for bills in front of the books of one simulator."""

    def __init__(self, sandbox: Sandbox, check: Callable[[web.Request, bytes], str]) -> None:
        """Serve the downloads of *sandbox*, too; *check* tells whose request it is."""
        self._sandbox = sandbox
        self._check = check
        self._links = Links(sandbox.now)
        sandbox.app.router.add_get("/v3/billdownload/file", self._download)

    def ask(self, content: Doc) -> Doc | None:
        """Return address and hash of a day's file, ``None`` where there is none."""
        mchid, day = content["mchid"], date.fromisoformat(content["bill_date"])
        sandbox = self._sandbox
        if content["bill_type"] != "ALL" or content["tar_type"] != "GZIP":
            raise ValueError(content["bill_type"])
        if not ready(day, sandbox.now()):
            return None
        faults = faults_of(lambda: sandbox.fault("bill_file", mchid, day.isoformat()))
        made = wechat_bill(sandbox.books, mchid, day, faults)
        if made is None:
            return None
        path = f"/v3/billdownload/file?token={self._links.add(made[0])}&tartype=gzip"
        url = content["_base"] + path
        return {"hash_type": "SHA1", "hash_value": made[1], "download_url": url}

    async def _download(self, request: web.Request) -> web.StreamResponse:
        try:
            mchid = self._check(request, b"")
        except BadSignature as error:
            return json_reply({"code": "SIGN_ERROR", "message": error.detail}, status=401)

        async def act() -> web.StreamResponse:
            file = self._links.get(request.query.get("token", ""))
            if file is None:
                return json_reply({"code": "INVALID_REQUEST", "message": "token"}, status=400)
            return web.Response(body=file, content_type="application/octet-stream")

        fault = self._sandbox.fault("bill_download", mchid)
        return await self._sandbox.disturb(request, fault, act)


def wechat_bill(
    books: Books, mchid: str, day: date, faults: Sequence[Fault]
) -> tuple[bytes, str] | None:
    """
    Return the packed file of a merchant number's day and its hash, ``None`` for an empty day.

    A refund stands on the day on which it was asked for, whatever became of it.
    """
    rows = charges_of(books.all("captures"), mchid, day)
    rows += refunds_of(books, mchid, day, at="created_at", number="out_refund_no", fee_back=True)
    if not rows:
        return None
    text = written(mchid, spoil(rows, faults))
    spoilt = any(fault.kind is FaultKind.BAD_SIGNATURE for fault in faults)
    digest = hashlib.sha1(text + (b"x" if spoilt else b""), usedforsecurity=False).hexdigest()
    return gzip.compress(text, mtime=0), digest


def written(mchid: str, bill: Bill) -> bytes:
    """Return *bill* as text, unpacked."""
    return (_BOM + "\r\n".join(_lines(mchid, bill)) + "\r\n").encode()


def detail_line(mchid: str, row: Row) -> str:
    """Return one row; names of goods have commas, as shops write them."""
    if row.broken:
        return f"`{local_time(row.at.isoformat())},`wx,`{mchid}"
    refund = bool(row.refund_no)
    charged = _ZERO if refund else yuan(row.amount_fen)
    back = yuan(row.amount_fen) if refund else _ZERO
    fields = (
        local_time(row.at.isoformat()),
        "wx0000000000000001",
        mchid,
        "0",
        "",
        row.trade_no,
        row.out_trade_no,
        row.account,
        "PAP",
        "REFUND" if refund else "SUCCESS",
        "OTHERS",
        "CNY",
        charged,
        _ZERO,
        row.refund_trade_no or "0",
        row.refund_no or "0",
        back,
        _ZERO,
        "ORIGINAL" if refund else "",
        "PROCESSING" if refund else "",
        "宠粮,月付",
        "",
        f"{yuan(row.fee_fen)}000",
        "0.60%",
        charged,
        back,
        "",
    )
    return ",".join(f"`{field}" for field in fields)


def _lines(mchid: str, bill: Bill) -> Iterable[str]:
    yield DETAIL
    for row in bill.rows:
        yield detail_line(mchid, row)
    captured = sum(row.amount_fen for row in bill.rows if not row.refund_no) + bill.off_fen
    refunded = sum(row.amount_fen for row in bill.rows if row.refund_no)
    fee = sum(row.fee_fen for row in bill.rows)
    sums = (
        f"{len(bill.rows)}",
        yuan(captured),
        yuan(refunded),
        _ZERO,
        f"{yuan(fee)}000",
        yuan(captured),
        yuan(refunded),
    )
    yield SUMMARY
    yield ",".join(f"`{field}" for field in sums)
