"""What follows from the gate's refusals: drop, wait, hold, give up, postpone, or move the plan."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final, assert_never

from services.billing.domain.debit_gate import Refusal


class GateAction(StrEnum):
    """What to do with an instalment whose charge may or may not start."""

    CHARGE = "charge"
    DROP = "drop"  # nothing is to be charged any more
    WAIT = "wait"  # look again at the next slot
    HOLD = "hold"  # look again tomorrow; somebody has to act first
    GIVE_UP = "give_up"  # only the customer can pay this now
    POSTPONE = "postpone"  # a new day with notices of its own
    MOVE_PLAN = "move_plan"  # ask the rail to move its plan date, then look again


_PRECEDENCE: Final = (
    GateAction.DROP,
    GateAction.HOLD,
    GateAction.GIVE_UP,
    GateAction.WAIT,
    GateAction.POSTPONE,
    GateAction.MOVE_PLAN,
)
"""Of several actions the first one here is taken: the plan moves only if all else is right."""


def action(reasons: Collection[Refusal]) -> GateAction:
    """Return what to do about *reasons*."""
    wanted = {_action(reason) for reason in reasons}
    return next((one for one in _PRECEDENCE if one in wanted), GateAction.CHARGE)


def _action(reason: Refusal) -> GateAction:
    match reason:
        case Refusal.AGREEMENT_ENDED | Refusal.INSTALMENT_SETTLED | Refusal.NOTHING_TO_CHARGE:
            return GateAction.DROP
        case (
            Refusal.AGREEMENT_PAUSED
            | Refusal.ON_HOLD
            | Refusal.PREVIOUS_UNFULFILLED
            | Refusal.MERCHANT_INELIGIBLE
            | Refusal.GUARANTEE_SHORT
        ):
            return GateAction.HOLD
        case (
            Refusal.DOWN_PAYMENT
            | Refusal.MANDATE_MISSING
            | Refusal.MANDATE_NOT_ACTIVE
            | Refusal.MANDATE_CEILING
            | Refusal.PAYEE_FOREIGN
            | Refusal.RAIL_CEILING
            | Refusal.RISK_PAUSED
            | Refusal.TRIES_USED_UP
        ):
            return GateAction.GIVE_UP
        case (
            Refusal.AGREEMENT_COOLING_OFF
            | Refusal.TOO_SOON_AFTER_SIGNING
            | Refusal.ATTEMPT_UNCLEAR
            | Refusal.DAY_NOT_COME
            | Refusal.RAIL_HOURS
            | Refusal.OUTSIDE_HOURS
            | Refusal.CHARGED_TODAY
            | Refusal.RAIL_ORDER_OPEN
            | Refusal.RAIL_DAY_CEILING
            | Refusal.RAIL_MONTH_CEILING
            | Refusal.RAIL_RESTING
        ):
            return GateAction.WAIT
        case (
            Refusal.NOTICE_120H_MISSING
            | Refusal.NOTICE_48H_MISSING
            | Refusal.NOTICE_UNDELIVERED
            | Refusal.NOTICE_OF_RAIL_MISSING
            | Refusal.DAY_PASSED
        ):
            return GateAction.POSTPONE
        case Refusal.PLAN_ELSEWHERE:
            return GateAction.MOVE_PLAN
        case _:
            assert_never(reason)
