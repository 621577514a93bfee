"""A draft is examined without being published; an officer may let a finding pass."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.signing.domain.errors import FindingFirm, FindingOverridden, FindingUnknown
from services.signing.domain.plan import require_draft
from services.signing.domain.publication_check import Finding, check_plan
from services.signing.store import finding_overrides, plans
from services.signing.store.finding_overrides import Override
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Examined:
    """A finding, and who let it pass if somebody did."""

    finding: Finding
    override: Override | None


async def examine_version(
    conn: Connection, plan_id: UUID, version: int, *, merchant_id: UUID
) -> list[Examined]:
    """
    Return what the rules of today find in a version, and which of it was overridden.

    Raises:
        PlanUnknown: The version is not this merchant's.
    """
    plan = await plans.read_version(conn, plan_id, version, merchant_id=merchant_id)
    passed = {one.finding_id: one for one in await finding_overrides.of(conn, plan_id, version)}
    return [Examined(one, passed.get(one.finding_id)) for one in check_plan(plan)]


async def override_finding(
    conn: Connection,
    plan_id: UUID,
    version: int,
    finding_id: UUID,
    *,
    merchant_id: UUID,
    reason: str,
    actor: str,
    now: datetime,
) -> Examined:
    """
    Let a finding of a draft pass; the same again, with the same reason, changes nothing.

    Raises:
        PlanUnknown, FindingUnknown: There is no such version, or no such finding in it.
        PlanPublishedAlready: The version stands already.
        FindingFirm: It is about a limit that no reason lifts.
        FindingOverridden: It was overridden with another reason.
    """
    await plans.lock(conn, plan_id, merchant_id=merchant_id)
    examined = await examine_version(conn, plan_id, version, merchant_id=merchant_id)
    found = next((one for one in examined if one.finding.finding_id == finding_id), None)
    if found is None:
        raise FindingUnknown("This version has no such finding.", finding_id=finding_id)
    if found.override is not None:
        if found.override.reason != reason:
            raise FindingOverridden("It has another reason.", finding_id=finding_id)
        return found
    require_draft(await plans.read_version(conn, plan_id, version, merchant_id=merchant_id))
    finding = found.finding
    if finding.rule.firm:
        raise FindingFirm("No reason lifts this limit.", rule_id=finding.rule.id)
    override = Override(
        plan_id=plan_id,
        version=version,
        finding_id=finding_id,
        rule_id=finding.rule.id,
        pointer=finding.pointer,
        phrase=finding.phrase,
        reason=reason,
        actor=actor,
        overridden_at=now,
    )
    await finding_overrides.add(conn, override)
    return Examined(finding, override)
