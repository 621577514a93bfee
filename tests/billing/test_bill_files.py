"""Bills in the rails' own encodings, whole and broken in every way the table names."""

import gzip
import io
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.sandbox import alipay_bill, card_bill, wechatpay_bill
from deploy.sandbox.bills import Bill, Row
from services.billing.domain.bill import (
    BROKEN_MAX,
    BillFault,
    BillLine,
    BillRow,
    BillUnusable,
    BrokenRow,
    LineKind,
    RowBroken,
    RowFault,
    Tally,
)
from services.billing.gateways.alipay_bill import AlipayBills
from services.billing.gateways.bankcard_bill import BankCardBills
from services.billing.gateways.bill_source import BillSource, amount_fen
from services.billing.gateways.wechatpay_bill import WechatPayBills
from shared.rails.alipay import AlipayConfig
from shared.rails.wechatpay import WechatPayConfig

DAY, MCHID, APP = date(2026, 12, 1), "1900000001", "2021000000000001"
CASES = yaml.safe_load((Path(__file__).parents[1] / "data/bad_bills.yaml").read_text())
KEYS = {
    "name",
    "rail",
    "text",
    "with",
    "fault",
    "rows",
    "add",
    "encoding",
    "garbage",
    "cut",
    "no_totals",
}
AT = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
ROWS = (
    Row("42001", "YFA0000001", "payer", 19900, 119, AT),
    Row("42002", "YFA0000002", "payer", 5, 0, AT),
    Row("42001", "YFA0000001", "payer", 5000, -30, AT, refund_no="R1", refund_trade_no="50001"),
)


class Account:
    """A client that knows its own account and calls nobody."""

    def __init__(self, rail: str) -> None:
        self.config: Any = (
            AlipayConfig("", APP)
            if rail == "alipay"
            else WechatPayConfig("", MCHID, "wx1", "S", "k", "k")
        )


SOURCES: dict[str, Any] = {
    "alipay": AlipayBills,
    "wechatpay": WechatPayBills,
    "bankcard": BankCardBills,
}


def source(rail: str) -> BillSource:
    made: BillSource = SOURCES[rail](Account(rail))
    return made


def written(rail: str, rows: tuple[Row, ...] = ROWS) -> bytes:
    if rail == "alipay":
        return alipay_bill.archive(APP, DAY, Bill(rows))
    if rail == "bankcard":
        return card_bill.written(Bill(rows))
    return gzip.compress(wechatpay_bill.written(MCHID, Bill(rows)))


def read(rail: str, content: bytes, tmp_path: Path) -> tuple[list[BillRow], Tally]:
    file = tmp_path / "bill"
    file.write_bytes(content)
    rows = list(source(rail).read(file))
    tally = Tally()
    for row in rows:
        tally.take(row)
    tally.check()
    return rows, tally


def spoilt(case: dict[str, Any]) -> bytes:
    rail = case["rail"]
    whole = written(rail)
    if case.get("cut"):
        return whole[: len(whole) // 2]
    if rail == "bankcard":
        return _spoil(whole, case, "utf-8")
    if rail == "wechatpay":
        return gzip.compress(_spoil(gzip.decompress(whole), case, "utf-8-sig"))
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(whole), metadata_encoding="gbk") as old,
        zipfile.ZipFile(made, "w") as new,
    ):
        for name in old.namelist():
            detail = "汇总" not in name
            if not detail and case.get("no_totals"):
                continue
            content = old.read(name)
            new.writestr(name, _spoil(content, case, "gb18030") if detail else content)
    return made.getvalue()


def _spoil(content: bytes, case: dict[str, Any], encoding: str) -> bytes:
    text = content.decode(encoding)
    if "text" in case:
        assert case["text"] in text
        text = text.replace(case["text"], case["with"], 1)
    lines = text.splitlines()
    if case.get("add"):
        first = next(n for n, line in enumerate(lines) if "YFA0000001" in line)
        lines.insert(first, lines[first].replace("YFA0000001", "YFA0000009"))
    if case.get("no_totals"):
        lines = lines[: {"wechatpay": -2, "bankcard": -1}.get(case["rail"])]
    made = "\r\n".join(lines).encode(case.get("encoding", encoding))
    return made.replace(b"YFA0000002", b"\xff\xff\xff") if case.get("garbage") else made


def test_the_table_is_what_it_was():
    assert len(CASES) == 48
    assert [case for case in CASES if not KEYS.issuperset(case)] == []
    assert len({case["name"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_bill_is_read_refused_or_loses_single_rows_as_the_table_says(case, tmp_path):
    content = spoilt(case)
    if "fault" in case:
        with pytest.raises(BillUnusable) as refused:
            read(case["rail"], content, tmp_path)
        assert refused.value.fault.value == case["fault"]
        return

    rows, tally = read(case["rail"], content, tmp_path)

    broken = [row.fault.value for row in rows if isinstance(row, BrokenRow)]
    assert broken == case.get("rows", [])
    assert tally.lines + tally.broken == len(ROWS)
    assert tally.missing_fen == (19900 if broken else 0)


@pytest.mark.parametrize("rail", list(SOURCES))
def test_every_field_of_a_line_is_read(rail, tmp_path):
    rows, tally = read(rail, written(rail), tmp_path)

    first, _, refund = [row for row in rows if isinstance(row, BillLine)]
    assert first == BillLine(1, LineKind.CHARGE, "YFA0000001", None, "42001", 19900, 119, AT)
    assert (refund.kind, refund.trade_no, refund.refund_no) == (
        LineKind.REFUND,
        "YFA0000001",
        "R1",
    )
    assert (refund.amount_fen, refund.fee_fen) == (5000, -30)
    assert (tally.charges, tally.refunds) == (2, 1)
    assert (tally.captured_fen, tally.refunded_fen, tally.fee_fen) == (19905, 5000, 89)


def test_a_name_of_goods_with_commas_and_backticks_splits_nothing(tmp_path):
    text = gzip.decompress(written("wechatpay")).replace("宠粮,月付".encode(), b"a`,b,c`")
    rows, _ = read("wechatpay", gzip.compress(text), tmp_path)

    assert [row for row in rows if isinstance(row, BrokenRow)] == []


def test_too_many_broken_rows_are_a_broken_bill(tmp_path):
    rows = tuple(Row(f"{n}", f"YFB{n:07d}", "", 1, 0, AT, broken=True) for n in range(200))
    with pytest.raises(BillUnusable) as refused:
        read("alipay", written("alipay", rows), tmp_path)

    assert refused.value.fault is BillFault.TOO_MANY_BROKEN
    assert BROKEN_MAX < 200


def test_rows_are_yielded_and_never_held_together(tmp_path):
    file = tmp_path / "bill"
    file.write_bytes(written("wechatpay"))
    rows = iter(source("wechatpay").read(file))

    assert isinstance(next(rows), BillLine)


@pytest.mark.parametrize(
    ("text", "fen"),
    [("0", 0), ("1", 100), ("1.5", 150), ("0.60000", 60), ("0.005", 1), ("-0.12", -12)],
)
def test_amounts_in_yuan_become_fen(text, fen):
    assert amount_fen(text) == fen


@pytest.mark.parametrize("text", ["", " ", "1.", ".5", "1e3", "¥1.00", "1,000.00", "--1", "１"])
def test_what_is_no_amount_is_no_amount(text):
    with pytest.raises(RowBroken) as refused:
        amount_fen(text)

    assert refused.value.fault is RowFault.AMOUNT
