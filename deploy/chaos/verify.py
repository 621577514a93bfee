"""What must hold when the smoke has cleared; every violation names whom it is about."""

from typing import Final

from deploy.audit import audit, auditor
from deploy.audit.books import read_books
from deploy.audit.rails import CAPTURES
from deploy.running import RunningPlatform

SHOWN: Final = 20

_ONE_SHIPMENT: Final = """
    SELECT coalesce(i.instalment_id, s.instalment_id)::text AS id,
           count(s.shipment_id) || ' shipments, instalment ' || coalesce(max(i.state), '?') AS what
      FROM (SELECT instalment_id, state FROM billing.instalments WHERE state = 'paid') i
      FULL JOIN fulfillment.shipments s USING (instalment_id)
     GROUP BY 1 HAVING count(s.shipment_id) <> 1 OR max(i.state) IS NULL
    """

_CAPTURED_TWICE: Final = f"""
    SELECT a.agreement_id || ' period ' || i.seq AS id, count(*) || ' captures' AS what
      FROM {CAPTURES}
      JOIN billing.attempts a ON a.trade_no = c.number
      JOIN billing.instalments i USING (instalment_id)
     GROUP BY a.agreement_id, i.seq HAVING count(*) > 1
    """  # noqa: S608 - a constant

_UNSETTLED: Final = """
    SELECT attempt_id::text AS id, 'attempt is ' || state AS what FROM billing.attempts
     WHERE state IN ('prepared', 'sent', 'unknown')
     UNION ALL
    SELECT i.instalment_id::text, 'instalment is ' || i.state FROM billing.instalments i
     WHERE i.state IN ('due', 'collecting')
     UNION ALL
    SELECT message_id::text, 'message is ' || state FROM notify.messages
     WHERE state IN ('queued', 'submitted')
     UNION ALL
    SELECT shipment_id::text, 'shipment is ' || state FROM fulfillment.shipments
     WHERE state <> 'dispatched'
    """

CHECKS: Final = {
    "captured twice": _CAPTURED_TWICE,
    "one shipment per paid instalment": _ONE_SHIPMENT,
    "stuck": _UNSETTLED,
}


async def violations(running: RunningPlatform) -> list[str]:
    """Return everything that does not hold, the audit's findings among it."""
    found = [
        f"audit: {finding.check}: {finding.detail}"
        for finding in await audit(running)
        if not finding.ok
    ]
    books = await read_books(running)
    async with auditor(running.auditor_dsn) as conn:
        for check, query in CHECKS.items():
            arguments = [books.captures] if "$1" in query else []
            rows = await conn.fetch(query, *arguments)
            found += [f"{check}: {row['id']}: {row['what']}" for row in rows[:SHOWN]]
            if len(rows) > SHOWN:
                found.append(f"{check}: {len(rows) - SHOWN} more")
    return found
