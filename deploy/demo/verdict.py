"""Did each life end as its table says: compared with what the services have on record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.audit import Finding, auditor
from deploy.demo.lives import Expect, Life
from deploy.running import RunningPlatform

_RECORD: Final = """
    SELECT s.agreement_id::text AS agreement_id, s.state,
           (SELECT m.state FROM signing.mandates m
             WHERE m.agreement_id = s.agreement_id ORDER BY m.external_no DESC LIMIT 1) AS mandate,
           (SELECT count(*) FROM billing.instalments i WHERE i.agreement_id = s.agreement_id
               AND i.paid_at IS NOT NULL) AS paid,
           (SELECT count(*) FROM billing.instalments i WHERE i.agreement_id = s.agreement_id
               AND i.state = 'overdue') AS overdue,
           (SELECT count(*) FROM billing.instalments i WHERE i.agreement_id = s.agreement_id
               AND i.charge_on <> i.due_on AND i.paid_at IS NOT NULL) AS postponed,
           (SELECT coalesce(sum(a.amount_fen), 0)::bigint FROM billing.attempts a
             WHERE a.agreement_id = s.agreement_id AND a.state = 'succeeded') AS collected_fen,
           (SELECT count(*) FROM billing.attempts a WHERE a.agreement_id = s.agreement_id
               AND a.state = 'failed') AS failed,
           (SELECT count(*) FROM billing.attempts a WHERE a.agreement_id = s.agreement_id
               AND a.state = 'succeeded' AND a.queries > 0 AND a.kind = 'automatic') AS asked,
           (SELECT count(*) FROM billing.attempts a WHERE a.agreement_id = s.agreement_id
               AND a.state = 'succeeded' AND a.kind = 'pay_now') AS pay_now,
           (SELECT coalesce(sum(r.amount_fen), 0)::bigint FROM billing.refunds r
             WHERE r.agreement_id = s.agreement_id AND r.state = 'succeeded') AS refunded_fen,
           (SELECT count(*) FROM fulfillment.shipments f
             WHERE f.agreement_id = s.agreement_id) AS shipments,
           (SELECT count(*) FROM fulfillment.shipments f WHERE f.agreement_id = s.agreement_id
               AND f.state = 'cancelled') AS cancelled,
           (SELECT count(DISTINCT f.shipment_id) FROM fulfillment.shipments f
              JOIN fulfillment.shipment_items t USING (merchant_id, shipment_id)
             WHERE f.agreement_id = s.agreement_id AND t.revision = f.revision
               AND t.why = 'substitute') AS substituted,
           (SELECT array_agg(one.stage ORDER BY one.first)
              FROM (SELECT f.stage, min(f.seq) AS first FROM fulfillment.shipments f
                     WHERE f.agreement_id = s.agreement_id AND f.stage IS NOT NULL
                     GROUP BY f.stage) AS one) AS stages
      FROM signing.agreements s
    """


@dataclass(frozen=True, slots=True)
class Record:
    """What the services have on record of one agreement."""

    values: Mapping[str, Any]

    def differences(self, life: Life) -> list[str]:
        """Return where this is not what the table of lives says."""
        expect, found = life.expect, self.values
        exact = {
            "state": expect.state,
            "mandate": expect.mandate,
            "paid": expect.paid,
            "overdue": expect.overdue,
            "postponed": expect.postponed,
            "refunded_fen": expect.refunded_fen,
            "collected_fen": expect.paid * life.plan.monthly_fen,
            "cancelled": expect.cancelled,
            "substituted": expect.substituted,
            "shipments": expect.paid if life.plan.bundles else 0,
        }
        wrong = [
            f"{name} {found[name]} instead of {wanted}"
            for name, wanted in exact.items()
            if found[name] != wanted
        ]
        wrong += [
            f"{name} {found[name]} of at least {wanted}"
            for name, wanted in _at_least(expect).items()
            if found[name] < wanted
        ]
        stages = tuple(found["stages"] or ())
        if expect.stages and stages != expect.stages:
            wrong.append(f"stages {stages} instead of {expect.stages}")
        return wrong


def _at_least(expect: Expect) -> dict[str, int]:
    return {"failed": expect.failed, "asked": expect.asked, "pay_now": expect.pay_now}


async def judge(
    running: RunningPlatform, cast: Sequence[Life], agreements: Mapping[str, Mapping[str, Any]]
) -> dict[str, Finding]:
    """Return for each life whether it went as its table says."""
    async with auditor(running.auditor_dsn) as conn:
        rows = {row["agreement_id"]: Record(dict(row)) for row in await conn.fetch(_RECORD)}
    found = {}
    for life in cast:
        record = rows.get(str(agreements.get(life.key, {}).get("agreement_id")))
        wrong = ["never signed"] if record is None else record.differences(life)
        found[life.key] = Finding(
            f"life {life.key}", ok=not wrong, detail="; ".join(wrong) or "as expected"
        )
    return found
