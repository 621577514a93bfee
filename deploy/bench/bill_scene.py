"""A day of many charges laid down by SQL, its bill as Alipay writes it, and planted differences."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from deploy.bench.ground import NOW
from deploy.sandbox.alipay_bill import DETAIL, SUMMARY, detail_line
from deploy.sandbox.bills import FEE_PER_MILLE, Row
from services.billing.deps import Deps
from services.billing.domain.attempt import Attempt
from services.billing.domain.bill_day import BillDay, TicketKind
from services.billing.domain.findings import Finding, Paid
from services.billing.gateways.alipay import AlipayRail
from services.billing.gateways.alipay_bill import AlipayBills
from services.billing.gateways.bill_source import Fetched, NoBill, NotFetched
from services.billing.store import bill_days
from services.billing.usecases.open_bill_days import open_bill_days
from services.billing.usecases.reconcile_days import reconcile_days
from shared.calendar import at_in_china, day_in_china
from shared.clock import TestClock
from shared.db import Database
from shared.money import share_of, yuan

MERCHANTS: Final = 20
SEQS: Final = 100
LAY_AT_ONCE: Final = 50_000
EVERY: Final = 200
"""One of so many charges differs: 0.5 percent."""

DAY: Final = day_in_china(NOW) - timedelta(days=1)
BEGIN: Final = at_in_china(DAY, 9)
KINDS: Final = ("missing_there", "unknown", "amount_differs", "not_settled", "listed_twice")


@dataclass(frozen=True)
class Planted:
    """What is wrong, by kind of difference: our numbers."""

    numbers: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})

    @property
    def count(self) -> int:
        """Return how many differences there are."""
        return sum(len(found) for found in self.numbers.values())


@dataclass(frozen=True)
class Found:
    """What reconciliation made of it: our numbers by kind of ticket, and matched lines."""

    tickets: dict[tuple[str, str, str | None], set[str]]
    matched: int
    wrong_matches: int
    days: list[BillDay]


class FileBills(AlipayBills):
    """The real reader of bills; only the download is a file that lies there already."""

    def __init__(self, deps: Deps, file: Path, day: date) -> None:
        """Offer *file* as the bill of *day*, and none for other days."""
        super().__init__(deps.alipay)
        self._file, self._day = file, day

    async def fetch(self, day: date, directory: Path) -> Fetched | NoBill | NotFetched:  # noqa: ARG002
        """Hand out the file."""
        return Fetched(self._file) if day == self._day else NoBill("BILL_NOT_EXIST")


class PaidRail(AlipayRail):
    """A rail that says of every order that it was paid."""

    async def query(self, attempt: Attempt) -> Finding:
        """Say so at once."""
        return Paid("2026", attempt.amount_fen, attempt.created_at)


def kind_of(n: int) -> str | None:
    """Return what is wrong with charge *n*."""
    return KINDS[n // EVERY % len(KINDS)] if n % EVERY == EVERY // 2 else None


def number_of(n: int) -> str:
    """Return our number of charge *n*."""
    return f"YFBENCH{n:012d}"


def amount_of(n: int) -> int:
    """Return what charge *n* collects, in fen."""
    return 19900 + n % 97


def with_bill(deps: Deps, file: Path, day: date = DAY) -> Deps:
    """Return *deps* whose only bill is *file*, whose rail knows every order, on that *day*."""
    rail = PaidRail(deps.alipay, notify_url="", product_codes={})
    bills = {"alipay": FileBills(deps, file, day)}
    rails = {**deps.rails, "alipay": rail}
    return replace(deps, bills=bills, rails=rails, clock=TestClock(BEGIN))


async def lay_charges(db: Database, count: int) -> None:
    """Write charges 0 to *count* of one day, all succeeded but those that are not settled."""
    agreements = (count + SEQS - 1) // SEQS
    async with db.connection() as conn:
        await conn.execute(_AGREEMENTS, agreements, MERCHANTS, SEQS, BEGIN - timedelta(days=30))
        for first in range(0, count, LAY_AT_ONCE):
            to = min(count, first + LAY_AT_ONCE) - 1
            await conn.execute(_INSTALMENTS, first, to, SEQS, DAY, BEGIN)
            await conn.execute(
                _ATTEMPTS, first, to, SEQS, DAY, BEGIN, BEGIN + timedelta(days=3), EVERY
            )


def write_bill(file: Path, count: int) -> Planted:
    """Write the bill of the day row by row; return what differs from the charges laid down."""
    planted = Planted()
    charges, total_fen, fee_fen = 0, 0, 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as whole:
        with (
            whole.open("bill_业务明细.csv", "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, encoding="gb18030", newline="\r\n") as text,
        ):
            text.write(f"#支付宝业务明细查询\n{DETAIL}\n")
            for row in _rows(count, planted):
                text.write(detail_line(row) + "\n")
                charges += 1
                total_fen += row.amount_fen
                fee_fen += row.fee_fen
            text.write("#业务明细列表结束\n")
        sums = [str(charges), "0", yuan(total_fen), yuan(total_fen), "0.00", "0.00", "0.00"]
        sums += [yuan(-fee_fen), "0.00", yuan(total_fen - fee_fen)]
        line = ",".join(["合计", "", *sums])
        whole.writestr("bill_汇总.csv", f"{SUMMARY}\r\n{line}\r\n".encode("gb18030"))
    return planted


def _rows(count: int, planted: Planted) -> Iterator[Row]:
    again: list[Row] = []
    for n in range(count):
        amount, kind = amount_of(n), kind_of(n)
        moment = BEGIN + timedelta(seconds=n % 30000)
        fee = share_of(amount, per_mille=FEE_PER_MILLE)
        row = Row(f"2026{n:024d}", number_of(n), "", amount, fee, moment)
        if kind is None:
            yield row
            continue
        number = number_of(n) if kind != "unknown" else f"YFSTRANGE{n:010d}"
        planted.numbers[kind].add(number)
        match kind:
            case "missing_there":
                continue
            case "unknown":
                yield row
                again.append(replace(row, out_trade_no=number))
            case "amount_differs":
                yield replace(row, amount_fen=amount + 1)
            case "not_settled":
                yield row
            case _:
                yield row
                again.append(row)
    yield from again


async def reconcile(deps: Deps, *, at: datetime) -> None:
    """Do what is due on the morning *at*, day after day, as the jobs do."""
    assert isinstance(deps.clock, TestClock)
    deps.clock.set(at)
    await open_bill_days(deps)
    while await reconcile_days(deps):
        pass


async def two_mornings(deps: Deps) -> None:
    """Reconcile on the morning after, and on the next, when what is missing there is known."""
    for days in (1, 2):
        await reconcile(deps, at=at_in_china(DAY + timedelta(days=days), 10))


async def found(db: Database) -> Found:
    """Return what stands on record now."""
    async with db.connection() as conn:
        rows = await conn.fetch("SELECT kind, cause, resolution, number FROM bill_tickets")
        matched = await conn.fetchval("SELECT count(*) FROM bill_lines WHERE outcome = 'matched'")
        wrong = await conn.fetchval(_WRONG_MATCHES)
        days = await bill_days.page(conn, rail=None, open_only=False, after=None, limit=100)
    tickets: dict[tuple[str, str, str | None], set[str]] = {}
    for row in rows:
        key = (row["kind"], row["cause"], row["resolution"])
        tickets.setdefault(key, set()).add(row["number"])
    return Found(tickets, matched, wrong, days)


def expected(planted: Planted) -> dict[tuple[str, str, str | None], set[str]]:
    """Return the tickets that *planted* must lead to."""
    by_kind = {
        (TicketKind.MISSING_THERE, "not_listed", None): "missing_there",
        (TicketKind.MISSING_HERE, "unknown_number", None): "unknown",
        (TicketKind.AMOUNT_DIFFERS, "amount_differs", None): "amount_differs",
        (TicketKind.MISSING_HERE, "not_settled", "settled_here"): "not_settled",
        (TicketKind.MISSING_HERE, "listed_twice", None): "listed_twice",
    }
    return {
        (kind.value, cause, resolution): planted.numbers[name]
        for (kind, cause, resolution), name in by_kind.items()
        if planted.numbers[name]
    }


_AGREEMENTS: Final = """
    INSERT INTO agreements (agreement_id, agreement_no, merchant_id, customer_id, pet_id,
           plan_name, rail, charge_day, periods, total_fen, hold_fen, auto_ship, state, signed_at)
    SELECT md5('agreement' || n)::uuid, n::text, md5('merchant' || n % $2)::uuid,
           md5('customer' || n)::uuid, md5('pet' || n)::uuid, '安心月付', 'alipay', 10,
           $3::int::smallint, 1, 0, true, 'active', $4
      FROM generate_series(0, $1::int - 1) AS n
"""
_INSTALMENTS: Final = """
    INSERT INTO instalments (instalment_id, agreement_id, merchant_id, customer_id, seq, periods,
           amount_fen, due_on, charge_on, charge_at, state, pay_token, charge_id)
    SELECT md5('instalment' || n)::uuid, a.agreement_id, a.merchant_id, a.customer_id,
           n % $3 + 1, $3, 19900 + n % 97, $4, $4, $5, 'paid', 'token' || n,
           md5('attempt' || n)::uuid
      FROM generate_series($1::int, $2::int) AS n
      JOIN agreements AS a ON a.agreement_id = md5('agreement' || n / $3)::uuid
"""
_ATTEMPTS: Final = """
    WITH laid AS (
        SELECT n, n % $7 = $7 / 2 AND n / $7 % 5 = 3 AS unsettled
          FROM generate_series($1::int, $2::int) AS n),
    collecting AS (
        UPDATE instalments AS i SET state = 'collecting', charge_id = NULL
          FROM laid WHERE laid.unsettled AND i.instalment_id = md5('instalment' || n)::uuid)
    INSERT INTO attempts (attempt_id, instalment_id, agreement_id, merchant_id, customer_id,
           attempt_no, trade_no, kind, rail, product, amount_fen, rail_agreement_no, payer_no,
           payee_no, description, state, on_day, created_at, expires_at, query_at, rail_trade_no,
           settled_at, paid_at)
    SELECT md5('attempt' || n)::uuid, i.instalment_id, i.agreement_id, i.merchant_id,
           i.customer_id, 1, 'YFBENCH' || lpad(n::text, 12, '0'), 'automatic', 'alipay',
           'alipay_cycle', i.amount_fen, 'no', 'payer', 'payee', '安心月付',
           CASE WHEN unsettled THEN 'unknown' ELSE 'succeeded' END, $4,
           $5::timestamptz, $6, CASE WHEN unsettled THEN $6::timestamptz END,
           CASE WHEN NOT unsettled THEN 'R' || n END,
           CASE WHEN NOT unsettled THEN $5::timestamptz + n % 30000 * interval '1 second' END,
           CASE WHEN NOT unsettled THEN $5::timestamptz + n % 30000 * interval '1 second' END
      FROM laid JOIN instalments AS i ON i.instalment_id = md5('instalment' || n)::uuid
     WHERE i.agreement_id = md5('agreement' || n / $3)::uuid
"""
_WRONG_MATCHES: Final = """
    SELECT count(*) FROM bill_lines AS l
      LEFT JOIN attempts AS a ON a.attempt_id = l.attempt_id
     WHERE l.outcome = 'matched'
       AND (a.trade_no IS DISTINCT FROM l.trade_no OR a.amount_fen <> l.amount_fen
            OR a.state <> 'succeeded')
"""
