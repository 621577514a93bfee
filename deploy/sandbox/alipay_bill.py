"""
The simulated Alipay's bill of a day: a ZIP with names in GBK and two CSV files in GB18030.

Calls that fault scripts name: ``bill`` (the question for the address; decline:BILL_NOT_EXIST is
a bill that is not ready), ``bill_file`` (what is in it: missing_line, broken_row,
unknown_number, duplicate, wrong_amount, wrong_total, bad_signature for a damaged file) and
``bill_download``.  Accounts: the app id, or the day as in ``bill_date``.
"""

import io
import zipfile
from collections.abc import Iterable, Sequence
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
from deploy.sandbox.kit import Doc, Fault, FaultKind, Sandbox
from deploy.sandbox.kit_books import Books
from shared.money import yuan
from shared.rails.alipay import rail_time

DETAIL: Final = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,"
    "对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,"
    "商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,"
    "退款批次号/请求号,服务费（元）,分润（元）,备注"
)
SUMMARY: Final = (
    "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,"
    "商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）"
)
_ZERO: Final = "0.00"
_RULE: Final = "-" * 30


class _GbkInfo(zipfile.ZipInfo):
    """A member whose name is written in GBK and not marked, as Alipay's are."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's name
        return self.filename.encode("gbk"), self.flag_bits


class BillDesk:
    """Answers for bills in front of the books of one simulator."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Serve the downloads of *sandbox*, too."""
        self._sandbox = sandbox
        self._links = Links(sandbox.now)
        sandbox.app.router.add_get("/downloadBillFile.resource", self._download)

    def ask(self, merchant: str, content: Doc, base: str) -> Doc | None:
        """Return the address of a day's file below *base*, ``None`` where there is none."""
        day, sandbox = date.fromisoformat(content["bill_date"]), self._sandbox
        if content["bill_type"] != "trade":
            raise ValueError(content["bill_type"])
        if not ready(day, sandbox.now()):
            return None
        faults = faults_of(lambda: sandbox.fault("bill_file", merchant, day.isoformat()))
        file = alipay_bill(sandbox.books, merchant, day, faults)
        if file is None:
            return None
        path = f"/downloadBillFile.resource?fileType=csv.zip&token={self._links.add(file)}"
        return {"bill_download_url": base + path, "bill_file_code": "SUCCESS"}

    async def _download(self, request: web.Request) -> web.StreamResponse:
        async def act() -> web.StreamResponse:
            file = self._links.get(request.query.get("token", ""))
            if file is None:
                return web.Response(status=403, text="invalid token")
            return web.Response(body=file, content_type="application/octet-stream")

        return await self._sandbox.disturb(request, self._sandbox.fault("bill_download"), act)


def alipay_bill(books: Books, merchant: str, day: date, faults: Sequence[Fault]) -> bytes | None:
    """Return the file of a merchant's day, ``None`` when nothing happened on it."""
    rows = charges_of(books.all("captures"), merchant, day)
    rows += refunds_of(books, merchant, day, at="at", number="out_request_no", fee_back=False)
    if not rows:
        return None
    packed = archive(merchant, day, spoil(rows, faults))
    if any(fault.kind is FaultKind.BAD_SIGNATURE for fault in faults):
        return packed[: len(packed) // 2]
    return packed


def archive(merchant: str, day: date, bill: Bill) -> bytes:
    """Return *bill* as it is downloaded."""
    stem = f"{merchant}_{day:%Y%m%d}"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as whole:
        for name, lines in (
            (f"{stem}_业务明细(汇总).csv", _summary(merchant, day, bill)),
            (f"{stem}_业务明细.csv", _detail(merchant, day, bill)),
        ):
            info = _GbkInfo(name, (day.year, day.month, day.day, 9, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            whole.writestr(info, "\r\n".join(lines).encode("gb18030") + b"\r\n")
    return packed.getvalue()


def detail_line(row: Row) -> str:
    """Return one row of the detail file."""
    if row.broken:
        return f"{row.trade_no}\t,{row.out_trade_no}\t,交易\t,金额不明"
    refund = bool(row.refund_no)
    amount = yuan(-row.amount_fen if refund else row.amount_fen)
    moment = rail_time(row.at)
    fields = [
        row.trade_no,
        row.out_trade_no,
        "退款" if refund else "交易",
        "宠物月付",
        moment,
        moment,
        *[""] * 4,
        "*宠主(138****0000)",
        amount,
        amount,
        *[_ZERO] * 5,
        "",
        _ZERO,
        _ZERO,
        row.refund_no,
        yuan(-row.fee_fen),
        _ZERO,
        "",
    ]
    return ",".join(f"{field}\t" for field in fields)


def _detail(merchant: str, day: date, bill: Bill) -> Iterable[str]:
    yield from _head(merchant, day)
    yield f"#{_RULE}业务明细列表{_RULE}"
    yield DETAIL
    for row in bill.rows:
        yield detail_line(row)
    yield f"#{_RULE}业务明细列表结束{_RULE}"
    yield f"#导出时间：[{day:%Y年%m月%d日} 09:00:00]"


def _summary(merchant: str, day: date, bill: Bill) -> Iterable[str]:
    refunds = [row for row in bill.rows if row.refund_no]
    charges = [row for row in bill.rows if not row.refund_no]
    net = sum(row.amount_fen for row in charges) - sum(row.amount_fen for row in refunds)
    net += bill.off_fen
    fee = -sum(row.fee_fen for row in bill.rows)
    sums = [str(len(charges)), str(len(refunds)), yuan(net), yuan(net), *[_ZERO] * 3]
    sums += [yuan(fee), _ZERO, yuan(net + fee)]
    yield from _head(merchant, day)
    yield f"#{_RULE}业务汇总列表{_RULE}"
    yield SUMMARY
    yield ",".join(f"{field}\t" for field in ("0001", "线上", *sums))
    yield ",".join(f"{field}\t" for field in ("合计", "", *sums))
    yield f"#{_RULE}业务汇总列表结束{_RULE}"


def _head(merchant: str, day: date) -> Iterable[str]:
    yield "#支付宝业务明细查询"
    yield f"#账号：[{merchant}]"
    yield f"#起始日期：[{day:%Y年%m月%d日} 00:00:00]   终止日期：[{day:%Y年%m月%d日} 23:59:59]"
