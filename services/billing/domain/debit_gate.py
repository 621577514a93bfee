"""
The one gate before every automatic charge: facts in, every reason against it out.

Called by the billing run, by retries and by repetitions of an order alike (rule WH-06).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.billing.domain.agreement import Agreement, AgreementState
from services.billing.domain.charge_calendar import FIRST_CHARGE_AFTER, within_hours
from services.billing.domain.instalment import CHARGEABLE, UNPAID, Instalment
from services.billing.domain.mandate import Mandate, MandateState
from services.billing.domain.notices import (
    NOTICE_COVERS_DAYS,
    Proof,
    advance_proven,
    rail_told_on,
    reminder_delivered,
    reminder_proven,
)
from services.billing.domain.retry_policy import RETRIES
from shared.calendar import CHINA, day_in_china
from shared.rails.permissions import Permission

UNFULFILLED_AFTER: Final = timedelta(days=7)
"""A parcel later than this stops the next debit (rule WH-13)."""


class Refusal(StrEnum):
    """Why an automatic charge may not start; one code per leg of the gate."""

    AGREEMENT_ENDED = "agreement_ended"
    AGREEMENT_COOLING_OFF = "agreement_cooling_off"
    AGREEMENT_PAUSED = "agreement_paused"
    TOO_SOON_AFTER_SIGNING = "too_soon_after_signing"
    INSTALMENT_SETTLED = "instalment_settled"
    DOWN_PAYMENT = "down_payment"
    NOTHING_TO_CHARGE = "nothing_to_charge"
    ATTEMPT_UNCLEAR = "attempt_unclear"
    TRIES_USED_UP = "tries_used_up"
    MANDATE_MISSING = "mandate_missing"
    MANDATE_NOT_ACTIVE = "mandate_not_active"
    MANDATE_CEILING = "mandate_ceiling"
    PAYEE_FOREIGN = "payee_foreign"
    RAIL_CEILING = "rail_ceiling"
    NOTICE_120H_MISSING = "notice_120h_missing"
    NOTICE_48H_MISSING = "notice_48h_missing"
    NOTICE_UNDELIVERED = "notice_undelivered"
    NOTICE_OF_RAIL_MISSING = "notice_of_rail_missing"
    DAY_NOT_COME = "day_not_come"
    DAY_PASSED = "day_passed"
    PLAN_ELSEWHERE = "plan_elsewhere"
    RAIL_HOURS = "rail_hours"
    OUTSIDE_HOURS = "outside_hours"
    CHARGED_TODAY = "charged_today"
    RAIL_ORDER_OPEN = "rail_order_open"
    RAIL_DAY_CEILING = "rail_day_ceiling"
    RAIL_MONTH_CEILING = "rail_month_ceiling"
    PREVIOUS_UNFULFILLED = "previous_unfulfilled"
    ON_HOLD = "on_hold"
    RISK_PAUSED = "risk_paused"
    MERCHANT_INELIGIBLE = "merchant_ineligible"
    GUARANTEE_SHORT = "guarantee_short"
    RAIL_RESTING = "rail_resting"


@dataclass(frozen=True, slots=True)
class MerchantFacts:
    """What the gate must know of a merchant; ``payees`` by rail."""

    eligible: bool
    guarantee_sufficient: bool
    payees: dict[str, str]


@dataclass(frozen=True, slots=True)
class ChargedBefore:
    """Another automatic charge of the agreement; ``open_since`` if it is not settled yet."""

    instalment_id: UUID
    on_day: date
    amount_fen: int
    open_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class GateFacts:
    """
    Everything the gate looks at.

    ``proofs`` are of notices about this charge date and amount only.  ``open_elsewhere``:
    another attempt of this instalment is not settled.  ``charged_today``: another period of
    this agreement was, or may have been, charged today.  ``charges``: what was, or may have
    been, charged of other periods this month, and what is open.  ``late_since`` is the
    promised day of the previous parcel if it has not been delivered.
    """

    now: datetime
    instalment: Instalment
    agreement: Agreement
    mandate: Mandate | None
    merchant: MerchantFacts | None
    permission: Permission | None
    proofs: Sequence[Proof]
    open_elsewhere: bool = False
    charged_today: bool = False
    charges: Sequence[ChargedBefore] = ()
    late_since: date | None = None
    rail_resting: bool = False
    repeated: bool = False
    """The same order is sent again: it counts as no new try, and may be later by a query."""


def refusals(facts: GateFacts) -> tuple[Refusal, ...]:
    """Return every reason why this charge may not start now; none means that it may."""
    return (
        *_agreement(facts),
        *_instalment(facts),
        *_mandate(facts),
        *_notices(facts),
        *_calendar(facts),
        *_parties(facts),
    )


ONLY_FOR_CHARGES: Final = frozenset(
    {
        Refusal.NOTHING_TO_CHARGE,
        Refusal.ATTEMPT_UNCLEAR,
        Refusal.TRIES_USED_UP,
        Refusal.MANDATE_MISSING,
        Refusal.MANDATE_NOT_ACTIVE,
        Refusal.MANDATE_CEILING,
        Refusal.PAYEE_FOREIGN,
        Refusal.RAIL_CEILING,
        Refusal.NOTICE_120H_MISSING,
        Refusal.NOTICE_48H_MISSING,
        Refusal.NOTICE_UNDELIVERED,
        Refusal.NOTICE_OF_RAIL_MISSING,
        Refusal.DAY_PASSED,
        Refusal.PLAN_ELSEWHERE,
        Refusal.RAIL_HOURS,
        Refusal.OUTSIDE_HOURS,
        Refusal.CHARGED_TODAY,
        Refusal.PREVIOUS_UNFULFILLED,
        Refusal.RISK_PAUSED,
        Refusal.GUARANTEE_SHORT,
        Refusal.RAIL_RESTING,
    }
)
"""What protects a customer's money, or the rail; nobody's is at stake in a free month."""


def grant_refusals(facts: GateFacts) -> tuple[Refusal, ...]:
    """Return every reason why this free month may not be given now; none means that it may."""
    return tuple(reason for reason in refusals(facts) if reason not in ONLY_FOR_CHARGES)


def _agreement(facts: GateFacts) -> list[Refusal]:
    agreement, found = facts.agreement, []
    if agreement.state is AgreementState.COOLING_OFF:
        found.append(Refusal.AGREEMENT_COOLING_OFF)
    elif agreement.state is AgreementState.PAUSED:
        found.append(Refusal.AGREEMENT_PAUSED)
    elif agreement.state is not AgreementState.ACTIVE:
        found.append(Refusal.AGREEMENT_ENDED)
    if facts.now < agreement.signed_at + FIRST_CHARGE_AFTER:
        found.append(Refusal.TOO_SOON_AFTER_SIGNING)
    if agreement.holds:
        found.append(Refusal.ON_HOLD)
    if agreement.flagged_at is not None:
        found.append(Refusal.RISK_PAUSED)
    return found


def _instalment(facts: GateFacts) -> list[Refusal]:
    instalment, found = facts.instalment, []
    chargeable = UNPAID if facts.repeated else CHARGEABLE
    if instalment.state not in chargeable:
        found.append(Refusal.INSTALMENT_SETTLED)
    if instalment.is_down_payment:
        found.append(Refusal.DOWN_PAYMENT)
    if instalment.is_free:
        found.append(Refusal.NOTHING_TO_CHARGE)
    if facts.open_elsewhere:
        found.append(Refusal.ATTEMPT_UNCLEAR)
    if instalment.auto_tries > RETRIES and not facts.repeated:
        found.append(Refusal.TRIES_USED_UP)
    return found


def _mandate(facts: GateFacts) -> list[Refusal]:
    mandate, amount_fen = facts.mandate, facts.instalment.amount_fen
    if mandate is None or facts.permission is None:
        return [Refusal.MANDATE_MISSING]
    found = []
    expired = mandate.valid_until < day_in_china(facts.now)
    if mandate.state is not MandateState.ACTIVE or expired:
        found.append(Refusal.MANDATE_NOT_ACTIVE)
    if amount_fen > mandate.ceiling_fen:
        found.append(Refusal.MANDATE_CEILING)
    if mandate.merchant_id != facts.agreement.merchant_id or (
        facts.merchant is not None and facts.merchant.payees.get(mandate.rail) != mandate.payee_no
    ):
        found.append(Refusal.PAYEE_FOREIGN)
    if above(facts.permission.per_charge_fen, amount_fen):
        found.append(Refusal.RAIL_CEILING)
    return found


def _notices(facts: GateFacts) -> list[Refusal]:
    # Retries on the day after are covered by the notice for the first try.
    charge_at = min(facts.now, facts.instalment.first_tried_at or facts.now)
    found = []
    if not advance_proven(facts.proofs, charge_at=charge_at):
        found.append(Refusal.NOTICE_120H_MISSING)
    if not reminder_proven(facts.proofs, charge_at=charge_at):
        found.append(Refusal.NOTICE_48H_MISSING)
    elif not reminder_delivered(facts.proofs):
        found.append(Refusal.NOTICE_UNDELIVERED)
    if facts.permission is not None and facts.permission.notice_window is not None:
        window, told = facts.permission.notice_window, rail_told_on(facts.proofs)
        days = None if told is None else (day_in_china(facts.now) - told).days
        if days is None or not window.first_day <= days <= window.last_day:
            found.append(Refusal.NOTICE_OF_RAIL_MISSING)
    return found


def _calendar(facts: GateFacts) -> list[Refusal]:
    today, charge_on, found = day_in_china(facts.now), facts.instalment.charge_on, []
    if today < charge_on:
        found.append(Refusal.DAY_NOT_COME)
    if today > charge_on + timedelta(days=NOTICE_COVERS_DAYS):
        found.append(Refusal.DAY_PASSED)
    if not within_hours(facts.now):
        found.append(Refusal.OUTSIDE_HOURS)
    permission = facts.permission
    if permission is not None:
        hours = permission.charge_hours
        if not hours.first <= facts.now.astimezone(CHINA).hour < hours.last:
            found.append(Refusal.RAIL_HOURS)
        if not plan_admits(permission, facts.agreement.plan_on, today):
            found.append(Refusal.PLAN_ELSEWHERE)
    if facts.charged_today:
        found.append(Refusal.CHARGED_TODAY)
    if facts.rail_resting:
        found.append(Refusal.RAIL_RESTING)
    return found + _rail_ceilings(facts)


def order_open_since(facts: GateFacts) -> datetime | None:
    """Return since when another order of this contract is open, None if none is."""
    return max((one.open_since for one in facts.charges if one.open_since), default=None)


def _rail_ceilings(facts: GateFacts) -> list[Refusal]:
    permission, found = facts.permission, []
    if permission is None:
        return []
    if permission.one_order_at_a_time and order_open_since(facts) is not None:
        found.append(Refusal.RAIL_ORDER_OPEN)
    today, amount_fen = day_in_china(facts.now), facts.instalment.amount_fen
    of_today = [one.amount_fen for one in facts.charges if one.on_day == today]
    of_month = [one.amount_fen for one in facts.charges if one.on_day >= today.replace(day=1)]
    most = permission.successes_per_day
    crowded = most is not None and len(of_today) >= most
    if crowded or above(permission.per_day_fen, sum(of_today) + amount_fen):
        found.append(Refusal.RAIL_DAY_CEILING)
    if above(permission.per_month_fen, sum(of_month) + amount_fen):
        found.append(Refusal.RAIL_MONTH_CEILING)
    return found


def above(ceiling_fen: int | None, amount_fen: int) -> bool:
    """Return whether *amount_fen* is above a ceiling, if there is one."""
    return ceiling_fen is not None and amount_fen > ceiling_fen


def plan_admits(permission: Permission, plan_on: date | None, day: date) -> bool:
    """Return whether the rail's own plan lets *day* be a charge day."""
    window = permission.due_window
    if window is None:
        return True
    if plan_on is None:
        return False
    return (
        plan_on + timedelta(days=window.first_day)
        <= day
        <= plan_on + timedelta(days=window.last_day)
    )


def _parties(facts: GateFacts) -> list[Refusal]:
    found = []
    if facts.late_since is not None and (
        day_in_china(facts.now) > facts.late_since + UNFULFILLED_AFTER
    ):
        found.append(Refusal.PREVIOUS_UNFULFILLED)
    if facts.merchant is None or not facts.merchant.eligible:
        found.append(Refusal.MERCHANT_INELIGIBLE)
    if facts.merchant is not None and not facts.merchant.guarantee_sufficient:
        found.append(Refusal.GUARANTEE_SHORT)
    return found
