"""The final books without ids and moments, as bytes: equal lives are equal to the last byte."""

import re
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from itertools import islice
from typing import Any, Final

from deploy.audit import look
from deploy.running import RunningPlatform

_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_WHOSE: Final = """
    SELECT i.instalment_id, a.agreement_no, i.seq
      FROM billing.instalments i JOIN billing.agreements a USING (agreement_id)
    """

TABLES: Final[Mapping[str, str]] = {
    "agreement": """
        SELECT s.agreement_no, s.state, b.state, b.rail, b.total_fen, b.failed_periods,
               l.credited_fen, l.held_fen, l.captured_fen, l.refunded_fen, l.open_holds
          FROM signing.agreements s JOIN billing.agreements b USING (agreement_id)
          JOIN wallet.ledgers l USING (agreement_id)
        """,
    "instalment": """
        SELECT a.agreement_no, i.seq, i.amount_fen, i.due_on, i.state
          FROM billing.instalments i JOIN billing.agreements a USING (agreement_id)
        """,
    # What never reached the bank had no outcome.
    "attempt": """
        SELECT w.agreement_no, w.seq, t.rail, t.kind, t.amount_fen, t.state, t.failure_class,
               t.surplus
          FROM billing.attempts t JOIN whose w USING (instalment_id)
         WHERE coalesce(t.failure_code, '') <> 'not_arrived'
        """,
    "refund": """
        SELECT w.agreement_no, w.seq, r.rail, r.amount_fen, r.state
          FROM billing.refunds r JOIN whose w USING (instalment_id)
        """,
    "transfer": """
        SELECT a.agreement_no, w.seq, t.kind, t.debit_account, t.credit_account, t.amount_fen
          FROM wallet.transfers t JOIN billing.agreements a USING (agreement_id)
          LEFT JOIN whose w ON w.instalment_id = t.cause_id
        """,
    "balance": """
        SELECT c.code, c.unit, c.balance_fen, a.agreement_no
          FROM wallet.accounts c
          LEFT JOIN billing.agreements a ON c.code LIKE 'wallet:' || a.customer_id || ':%'
         WHERE c.balance_fen <> 0
        """,
    "hold": """
        SELECT w.agreement_no, w.seq, h.amount_fen, h.captured_fen, h.state
          FROM wallet.holds h JOIN whose w USING (instalment_id)
        """,
    "shipment": """
        SELECT w.agreement_no, w.seq, s.state, s.hold_fen,
               (SELECT string_agg(concat_ws(' x ', i.sku, i.quantity), ', ' ORDER BY i.sku)
                  FROM fulfillment.shipment_items i
                 WHERE i.shipment_id = s.shipment_id AND i.revision = s.revision) AS packed
          FROM fulfillment.shipments s JOIN whose w USING (instalment_id)
        """,
    "message": """
        SELECT a.agreement_no, w.seq, m.cause, m.channel, m.template_key, count(*) AS times
          FROM notify.messages m
          LEFT JOIN billing.agreements a USING (agreement_id)
          LEFT JOIN whose w USING (instalment_id)
         GROUP BY 1, 2, 3, 4, 5
        """,
}
"""By subject: everything that must not depend on luck."""


async def export(running: RunningPlatform) -> bytes:
    """Return the books of services and providers as sorted lines."""
    lines: list[str] = []
    async with look(running) as scene:
        for subject, query in TABLES.items():
            rows = await scene.conn.fetch(f"WITH whose AS ({_WHOSE}) {query}")
            lines += [_line(subject, row.values()) for row in rows]
        whose = {
            row["trade_no"]: (row["agreement_no"], row["seq"])
            for row in await scene.conn.fetch(
                f"WITH whose AS ({_WHOSE}) SELECT t.trade_no, w.agreement_no, w.seq"  # noqa: S608
                " FROM billing.attempts t JOIN whose w USING (instalment_id)"
            )
        }
        books = scene.books
    for row in books.captures:
        lines.append(
            _line("capture", (*whose.get(row["number"], ("?",)), row["rail"], row["amount_fen"]))
        )
    lines += [_line("rail refund", (row["rail"], row["amount_fen"])) for row in books.refunds]
    lines += [_line("warehouse order", (row["number"], row["status"])) for row in books.orders]
    return ("\n".join(sorted(lines)) + "\n").encode()


def differences(peace: bytes, fire: bytes, *, most: int = 200) -> list[str]:
    """Return what is missing (-) and what is too much (+) after the fire, line by line."""
    if peace == fire:
        return []
    lines = unified_diff(peace.decode().splitlines(), fire.decode().splitlines(), n=0, lineterm="")
    told = (line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"})
    return [f"books differ: {line}" for line in islice(told, most)]


def _line(subject: str, values: Iterable[Any]) -> str:
    text = " | ".join("" if value is None else str(value) for value in values)
    return f"{subject}: {_ID.sub('<id>', text)}"
