"""Ladders, contacts and risk flags of missed periods."""

from datetime import datetime
from uuid import UUID

from services.billing.contract.dunning import (
    AllowanceView,
    ContactView,
    NewClearance,
    NewContact,
    NewPolicy,
    PolicyView,
    RiskView,
    StepView,
)
from services.billing.deps import Deps
from services.billing.domain.contact_rules import Direction, Person
from services.billing.domain.dunning import POLICIES, steps_as_json
from services.billing.domain.errors import (
    AgreementUnknown,
    ContactRefused,
    ContactThirdParty,
    InstalmentUnknown,
    RiskNotFlagged,
)
from services.billing.routes.table import api
from services.billing.store import contacts
from services.billing.store.dunning_cases import Choice
from services.billing.usecases.choose_policy import choose_policy, chosen_policy
from services.billing.usecases.clear_risk import clear_risk
from services.billing.usecases.record_contact import (
    Speaking,
    allowance,
    make_contact,
    own_agreement,
)
from shared.web import Call, Page, PageQuery


@api.get("/v1/dunning-policy", scope="billing:read", tags=("dunning",))
async def get_policy(call: Call[Deps]) -> PolicyView:
    """Show the ladder that missed periods of this merchant climb from now on."""
    async with call.deps.db.connection() as conn:
        return _policy(await chosen_policy(conn, call.tenant_id), call.deps)


@api.put("/v1/dunning-policy", scope="billing:write", tags=("dunning",))
async def put_policy(call: Call[Deps], body: NewPolicy) -> PolicyView:
    """Choose a ladder; cases that run already keep theirs."""
    async with call.deps.db.transaction() as conn:
        choice = await choose_policy(
            conn,
            call.deps,
            call.tenant_id,
            preset=body.preset,
            reason=body.reason,
            by=call.caller.key_id,
        )
    return _policy(choice, call.deps)


@api.get(
    "/v1/agreements/{agreement_id}/contacts",
    scope="billing:read",
    tags=("dunning",),
    problems=(AgreementUnknown,),
)
async def list_contacts(
    call: Call[Deps], agreement_id: UUID, query: PageQuery
) -> Page[ContactView]:
    """List every contact about this agreement's missed periods, oldest first."""
    async with call.deps.db.connection() as conn:
        rows = await contacts.page(
            conn,
            call.tenant_id,
            agreement_id,
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
        if not rows:
            await own_agreement(conn, call.tenant_id, agreement_id)
    return Page[ContactView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.made_at, row.contact_id),
        view=ContactView.model_validate,
    )


@api.get(
    "/v1/agreements/{agreement_id}/contact-allowance",
    scope="billing:read",
    tags=("dunning",),
    problems=(AgreementUnknown,),
)
async def get_allowance(call: Call[Deps], agreement_id: UUID) -> AllowanceView:
    """Tell whether the customer may be called now about what is missing."""
    async with call.deps.db.connection() as conn:
        found = await allowance(conn, call.tenant_id, agreement_id, call.deps)
    return AllowanceView(
        allowed=not found.refusals,
        reasons=[one.value for one in found.refusals],
        from_at=found.from_at,
    )


@api.post(
    "/v1/agreements/{agreement_id}/contacts",
    scope="billing:write",
    status=201,
    tags=("dunning",),
    problems=(AgreementUnknown, InstalmentUnknown, ContactThirdParty, ContactRefused),
)
async def post_contact(call: Call[Deps], agreement_id: UUID, body: NewContact) -> ContactView:
    """Record a call that is made now; a refusal means: do not call."""
    made = await make_contact(
        call.deps,
        call.tenant_id,
        Speaking(
            contact_id=call.new_id("contact"),
            agreement_id=agreement_id,
            instalment_id=body.instalment_id,
            task_id=None,
            staff=body.staff,
            about="care",
            person=Person(body.person),
            direction=Direction(body.direction),
            outcome=body.outcome,
        ),
    )
    return ContactView.model_validate(made)


@api.post(
    "/v1/agreements/{agreement_id}/risk/clear",
    scope="billing:write",
    tags=("dunning",),
    problems=(AgreementUnknown, RiskNotFlagged),
)
async def post_clearance(call: Call[Deps], agreement_id: UUID, body: NewClearance) -> RiskView:
    """Let automatic charges of a flagged agreement go on, after a person has looked."""
    async with call.deps.db.transaction() as conn:
        after = await clear_risk(
            conn,
            call.deps,
            call.tenant_id,
            agreement_id,
            reason=body.reason,
            by=body.cleared_by,
        )
    return RiskView.model_validate(after)


def _policy(choice: Choice | None, deps: Deps) -> PolicyView:
    policy = POLICIES[deps.terms.dunning if choice is None else choice.preset]
    return PolicyView(
        preset=policy.preset,
        preset_version=policy.version,
        version=0 if choice is None else choice.version,
        reason=None if choice is None else choice.reason,
        set_at=None if choice is None else choice.set_at,
        steps=[StepView(**step) for step in steps_as_json(policy.steps)],
    )
