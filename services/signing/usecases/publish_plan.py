"""Plans are drafted, versioned, published and quoted."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.signing.contract import PlanPublished, Rail, SignedInstalment
from services.signing.domain.annual_rate import AnnualRate, rate_of
from services.signing.domain.credit_tiers import threshold_for
from services.signing.domain.merchant import payee_of, require_approved
from services.signing.domain.plan import (
    PlanVersion,
    VersionState,
    require_consistent,
    require_draft,
)
from services.signing.domain.publication_check import check_plan, require_publishable
from services.signing.domain.schedule import OFFERS, Offers, require_chargeable, schedule
from services.signing.store import finding_overrides, merchants, plans
from services.signing.store.quotes import GivenQuote, QuoteBook
from shared import outbox
from shared.db import Connection
from shared.ids import new_id


@dataclass(frozen=True, slots=True)
class Quote:
    """What a plan would cost if it were signed within the hour."""

    quote_id: UUID
    plan: PlanVersion
    instalments: list[SignedInstalment]
    rate: AnnualRate


async def draft_plan(
    conn: Connection, draft: PlanVersion, *, new_plan: bool, now: datetime
) -> PlanVersion:
    """
    Add *draft* as the first version of a new plan, or as the next one of its plan.

    Raises:
        PlanUnknown: The plan is not this merchant's.
        PlanInvalid, RateAboveCap: The figures do not fit each other, or cost too much;
            PlanInvalid has subclasses with codes of their own.
    """
    require_consistent(draft)
    rate_of(draft)
    threshold_for(draft)
    if new_plan:
        await plans.add(conn, draft.plan_id, merchant_id=draft.merchant_id, now=now)
    newest = await plans.lock(conn, draft.plan_id, merchant_id=draft.merchant_id)
    if new_plan and newest:  # the same request again
        return await plans.read_version(conn, draft.plan_id, 1, merchant_id=draft.merchant_id)
    draft = replace(draft, version=newest + 1)
    await plans.add_version(conn, draft)
    return draft


async def publish_plan(
    conn: Connection, plan_id: UUID, version: int, *, merchant_id: UUID, now: datetime
) -> PlanVersion:
    """
    Publish a draft and tell the others; from now on it never changes.

    Raises:
        MerchantNotApproved, PlanUnknown, PlanPublishedAlready: It cannot be published.
        PublicationBlocked: A rule is against it, and no officer has overridden the finding.
    """
    require_approved(await merchants.read(conn, merchant_id))
    await plans.lock(conn, plan_id, merchant_id=merchant_id)
    plan = await plans.read_version(conn, plan_id, version, merchant_id=merchant_id)
    require_draft(plan)
    require_consistent(plan)
    overrides = await finding_overrides.of(conn, plan_id, version)
    require_publishable(check_plan(plan), overridden=[one.finding_id for one in overrides])
    await plans.publish(conn, plan, now=now)
    await outbox.add(
        conn,
        PlanPublished(
            event_id=new_id(),
            occurred_at=now,
            merchant_id=merchant_id,
            plan_id=plan_id,
            version=version,
            name=plan.name,
            species=plan.species,
            periods=plan.periods,
            monthly_fen=plan.monthly_fen,
            auto_ship=plan.auto_ship,
            bundle_fen=plan.bundle_fen,
            bundles=tuple(plan.bundles),
        ),
    )
    return replace(plan, state=VersionState.PUBLISHED, published_at=now)


async def quote_plan(
    book: QuoteBook,
    quote_id: UUID,
    *,
    merchant_id: UUID,
    plan_id: UUID,
    version: int,
    rail: Rail,
    charge_day: int,
    now: datetime,
    offers: Offers = OFFERS,
) -> Quote:
    """
    Return every amount and date of a plan, and what it costs in a year.

    Raises:
        PlanUnknown, RailNotForMerchant, ChargeDayNotOnRail, AmountAboveRail, RateAboveCap:
            It could not be signed so.
    """
    given = GivenQuote(quote_id, merchant_id, plan_id, version, rail, charge_day, quoted_at=now)
    quote = await reckon(book, given, now=now, offers=offers)
    await book.add(given)
    return quote


async def reckon(
    book: QuoteBook, given: GivenQuote, *, now: datetime, offers: Offers = OFFERS
) -> Quote:
    """
    Return what *given* comes to if it were signed within the hour from *now*.

    Raises:
        PlanUnknown, RailNotForMerchant, ChargeDayNotOnRail, AmountAboveRail, RateAboveCap:
            It could not be signed so.
    """
    merchant = await book.merchant(given.merchant_id)
    plan = await book.plan(given.plan_id, given.plan_version, merchant_id=given.merchant_id)
    payee_of(merchant, given.rail, offers=offers)
    require_chargeable(
        given.rail, charge_day=given.charge_day, amounts_fen=plan.amounts_fen, offers=offers
    )
    rate = rate_of(plan)
    lines = schedule(plan.parts, charge_day=given.charge_day, now=now)
    return Quote(given.quote_id, plan, lines, rate)
