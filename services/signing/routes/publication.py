"""What may be published: texts and drafts examined, findings overridden, rules and wordings."""

from collections.abc import Sequence
from uuid import UUID

from services.signing.contract.api import NewPlan
from services.signing.contract.publication import (
    FindingsView,
    FindingView,
    NewOverride,
    NewTextCheck,
    OverrideView,
    RulesView,
    RuleView,
    ScriptsView,
    ScriptView,
)
from services.signing.deps import Deps
from services.signing.domain.errors import (
    FindingFirm,
    FindingOverridden,
    FindingUnknown,
    OperatorNeeded,
    PlanPublishedAlready,
    PlanUnknown,
)
from services.signing.domain.offer import require_offer
from services.signing.domain.plan import PlanKind
from services.signing.domain.publication_check import Passage, check_plan, check_text, described
from services.signing.domain.rule_book import RULES, FigureRule, Place, TextRule
from services.signing.routes.drafts import OFFER_PROBLEMS, draft_of, known_version
from services.signing.routes.table import actor, api
from services.signing.usecases.examine_plan import Examined, examine_version, override_finding
from shared.web import Call


@api.post("/v1/text-findings/preview", scope="plans:read", idempotent=False, tags=("publication",))
async def preview_text_findings(
    call: Call[Deps],  # noqa: ARG001 - the table wants a call
    body: NewTextCheck,
) -> FindingsView:
    """Examine a text without keeping it."""
    kind = None if body.plan_kind is None else PlanKind(body.plan_kind)
    passage = Passage("#/text", Place(body.place), body.text)
    found = check_text(passage, kind=kind)
    return _shown([Examined(one, None) for one in found])


@api.post(
    "/v1/plan-findings/preview",
    scope="plans:read",
    idempotent=False,
    tags=("publication",),
    problems=OFFER_PROBLEMS,
)
async def preview_plan_findings(call: Call[Deps], body: NewPlan) -> FindingsView:
    """Examine a draft without keeping it; a dear or inflated one is a finding here."""
    plan = draft_of(body, merchant_id=call.tenant_id, plan_id=call.tenant_id)
    require_offer(plan.price, plan.offer)
    return _shown([Examined(one, None) for one in check_plan(plan)])


@api.get(
    "/v1/plans/{plan_id}/versions/{version}/findings",
    scope="plans:read",
    tags=("publication",),
    problems=(PlanUnknown,),
)
async def list_findings(call: Call[Deps], plan_id: UUID, version: int) -> FindingsView:
    """Examine a version by the rules of today, and show what was overridden."""
    async with call.deps.db.connection() as conn:
        examined = await examine_version(
            conn, plan_id, known_version(version), merchant_id=call.tenant_id
        )
    return _shown(examined)


@api.post(
    "/v1/plans/{plan_id}/versions/{version}/overrides",
    scope="compliance:decide",
    tags=("publication",),
    problems=(
        PlanUnknown,
        FindingUnknown,
        PlanPublishedAlready,
        FindingFirm,
        FindingOverridden,
        OperatorNeeded,
    ),
)
async def post_override(
    call: Call[Deps], plan_id: UUID, version: int, body: NewOverride
) -> FindingsView:
    """Let a finding of a draft pass, with a reason (compliance officer, operator's key)."""
    async with call.deps.db.transaction() as conn:
        await examine_version(conn, plan_id, known_version(version), merchant_id=call.tenant_id)
        _require_operator(call)
        await override_finding(
            conn,
            plan_id,
            known_version(version),
            body.finding_id,
            merchant_id=call.tenant_id,
            reason=body.reason,
            actor=actor(call),
            now=call.deps.clock.now(),
        )
        examined = await examine_version(
            conn, plan_id, known_version(version), merchant_id=call.tenant_id
        )
    return _shown(examined)


@api.get("/v1/publication-rules", scope="plans:read", tags=("publication",))
async def list_rules(call: Call[Deps]) -> RulesView:  # noqa: ARG001 - the table wants a call
    """List every rule that drafts are examined by."""
    return RulesView(rules=[*map(_rule, RULES.rule), *map(_rule, RULES.figure)])


@api.get("/v1/standard-scripts", scope="plans:read", tags=("publication",))
async def list_scripts(call: Call[Deps]) -> ScriptsView:  # noqa: ARG001 - the table wants a call
    """List the accepted wordings for posters and talks."""
    return ScriptsView(
        scripts=[
            ScriptView.model_validate(one.model_dump(exclude={"id"}) | {"script_id": one.id})
            for one in RULES.script
        ]
    )


def _rule(rule: TextRule | FigureRule) -> RuleView:
    return RuleView(
        rule_id=rule.id,
        severity=rule.severity.value,
        firm=rule.firm,
        places=list(rule.places) if isinstance(rule, TextRule) else [],
        kinds=list(rule.kinds),
        why=rule.why,
        source=rule.source,
        safe=rule.safe,
    )


def _shown(examined: Sequence[Examined]) -> FindingsView:
    return FindingsView(
        blocking=sum(one.finding.blocks and one.override is None for one in examined),
        findings=[
            FindingView.model_validate(
                described(one.finding)
                | {
                    "override": None
                    if one.override is None
                    else OverrideView.model_validate(one.override)
                }
            )
            for one in examined
        ],
    )


def _require_operator(call: Call[Deps]) -> None:
    """
    Refuse a merchant's own key, whatever its scopes: nobody overrides for themselves.

    Raises:
        OperatorNeeded: The key belongs to a merchant.
    """
    if not call.caller.is_operator:
        raise OperatorNeeded("A merchant cannot override a finding.")
