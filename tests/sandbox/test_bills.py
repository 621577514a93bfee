"""The simulated rails' bills: real forms, fees, refunds, late rows, and links that expire."""

import gzip
import hashlib
import io
import zipfile
from datetime import date, datetime, timedelta

import pytest

from deploy.sandbox.alipay_bill import alipay_bill
from deploy.sandbox.bills import Links, Row, bill_day, ready, spoil
from deploy.sandbox.kit import Fault, FaultKind
from deploy.sandbox.kit_books import Books
from deploy.sandbox.wechatpay_bill import wechat_bill
from shared.calendar import at_in_china

DAY = date(2026, 3, 2)
NOON = at_in_china(DAY, 12)


def books(*moments: datetime) -> Books:
    made = Books()
    for n, moment in enumerate(moments):
        number = f"YF{n:08d}"
        common = {"merchant": "M", "account": "payer", "out_trade_no": number}
        capture = {"trade_no": f"42{n}", "amount_fen": 10_000, "at": moment.isoformat()}
        made.put("captures", number, common | capture)
    return made


def refunded(made: Books, moment: datetime) -> Books:
    refund = {
        "merchant": "M",
        "account": "payer",
        "out_trade_no": "YF00000000",
        "trade_no": "420",
        "out_request_no": "R1",
        "out_refund_no": "R1",
        "refund_id": "50",
        "amount_fen": 5_000,
        "at": moment.isoformat(),
        "created_at": moment.isoformat(),
    }
    made.put("refunds", "R1", refund)
    return made


def members(packed: bytes | None) -> dict[str, str]:
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed), metadata_encoding="gbk") as whole:
        return {name: whole.read(name).decode("gb18030") for name in whole.namelist()}


def test_alipay_writes_gbk_names_gb18030_files_comments_and_tabs():
    packed = alipay_bill(refunded(books(NOON), NOON), "M", DAY, [])
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as naive:
        assert [name for name in naive.namelist() if "明细" in name] == []  # not marked as UTF-8
    found = members(packed)
    detail = found["M_20260302_业务明细.csv"]
    rows = [line for line in detail.splitlines() if line.startswith("42")]

    assert detail.startswith("#支付宝业务明细查询")
    assert [row.split(",")[2].strip() for row in rows] == ["交易", "退款"]
    assert [row.split(",")[11] for row in rows] == ["100.00\t", "-50.00\t"]
    assert [row.split(",")[22] for row in rows] == ["-0.60\t", "0.00\t"]
    assert [row.split(",")[21] for row in rows] == ["\t", "R1\t"]
    assert "合计\t,\t,1\t,1\t,50.00\t" in found["M_20260302_业务明细(汇总).csv"]


def test_wechat_writes_backticks_fees_of_five_decimals_and_its_hash():
    made = wechat_bill(refunded(books(NOON), NOON), "M", DAY, [])
    assert made is not None
    text = gzip.decompress(made[0])
    lines = text.decode("utf-8-sig").split("\r\n")

    assert hashlib.sha1(text, usedforsecurity=False).hexdigest() == made[1]
    assert not lines[0].startswith("`")
    charge, refund = (line[1:].split(",`") for line in lines[1:3])
    assert (charge[9], charge[22], charge[24]) == ("SUCCESS", "0.60000", "100.00")
    assert (refund[9], refund[15], refund[22], refund[25]) == ("REFUND", "R1", "-0.30000", "50.00")
    assert lines[4].startswith("`2,`100.00,`50.00")


def test_the_days_last_minute_stands_in_the_next_days_bill():
    late = at_in_china(DAY, 23, 59) + timedelta(seconds=1)
    made = books(NOON, late)

    assert bill_day(late) == DAY + timedelta(days=1)
    assert "YF00000001" not in members(alipay_bill(made, "M", DAY, []))["M_20260302_业务明细.csv"]
    following = members(alipay_bill(made, "M", DAY + timedelta(days=1), []))
    assert "YF00000001" in following["M_20260303_业务明细.csv"]


def test_a_day_of_nothing_and_another_merchants_day_have_no_bill():
    assert alipay_bill(books(NOON), "M", DAY + timedelta(days=2), []) is None
    assert alipay_bill(books(NOON), "N", DAY, []) is None
    assert wechat_bill(books(NOON), "N", DAY, []) is None
    assert not ready(DAY, at_in_china(DAY + timedelta(days=1), 8, 59))
    assert ready(DAY, at_in_china(DAY + timedelta(days=1), 9))


@pytest.mark.parametrize(
    ("kind", "amounts"),
    [
        (FaultKind.MISSING_LINE, [2]),
        (FaultKind.UNKNOWN_NUMBER, [1, 2, 2]),
        (FaultKind.DUPLICATE, [1, 2, 1]),
        (FaultKind.WRONG_AMOUNT, [2, 2]),
        (FaultKind.WRONG_TOTAL, [1, 2]),
        (FaultKind.OUTAGE, [1, 2]),
    ],
)
def test_scripts_spoil_a_bill(kind, amounts):
    rows = [Row(f"{n}", f"YF{n}", "", n, 0, NOON) for n in (1, 2)]
    bill = spoil(rows, [Fault(kind)])

    assert [row.amount_fen for row in bill.rows] == amounts
    assert bill.off_fen == (1 if kind is FaultKind.WRONG_TOTAL else 0)


def test_a_link_is_good_for_half_a_minute():
    now = [NOON]
    links = Links(lambda: now[0])
    token = links.add(b"bill")
    assert links.get(token) == b"bill"
    assert links.get("unknown") is None

    now[0] += timedelta(seconds=31)
    assert links.get(token) is None
