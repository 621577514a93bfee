"""Words that wallet's answers and its domain share."""

from enum import StrEnum


class HoldState(StrEnum):
    """Where a hold is; the last two are final."""

    PLACED = "placed"
    CAPTURED = "captured"
    RELEASED = "released"


class EndedAs(StrEnum):
    """How an agreement ended before its last period."""

    CANCELLED = "cancelled"
    TERMINATED = "terminated"


class RefundReason(StrEnum):
    """Why money goes back; the first two follow from the agreement's end."""

    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    SEVEN_DAYS = "seven_days"
    AFTER_SALES = "after_sales"
    GOODWILL = "goodwill"


class CauseKind(StrEnum):
    """What sort of thing a transfer's ``cause_id`` names."""

    INSTALMENT = "instalment"
    SETTLEMENT = "settlement"
    REFUND = "refund"
    REDEMPTION = "redemption"
    RETURN = "return"
    DAY = "day"
    PAYOUT = "payout"
    GUARANTEE = "guarantee"
    ADVANCE = "advance"
    STATEMENT = "statement"


class TransferKind(StrEnum):
    """Why money moved; a cause moves money at most once for each reason."""

    COLLECTED = "collected"
    HELD = "held"
    RELEASED = "released"
    CAPTURED = "captured"
    CAPTURED_FEE = "captured_fee"
    CAPTURED_SUPPLY = "captured_supply"
    PENALTY = "penalty"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"
    PENALTY_KEPT = "penalty_kept"
    BONUS_GRANTED = "bonus_granted"
    BONUS_HELD = "bonus_held"
    BONUS_RELEASED = "bonus_released"
    BONUS_CAPTURED = "bonus_captured"
    BONUS_CAPTURED_FEE = "bonus_captured_fee"
    BONUS_CAPTURED_SUPPLY = "bonus_captured_supply"
    BONUS_LAPSED = "bonus_lapsed"
    SPENT = "spent"
    SPENT_BONUS = "spent_bonus"
    SPENT_FEE = "spent_fee"
    RETURNED = "returned"
    RETURNED_BONUS = "returned_bonus"
    RETURNED_FEE = "returned_fee"
    SETTLED = "settled"
    SETTLED_BACK = "settled_back"
    RAIL_FEE = "rail_fee"
    FEE_BORNE = "fee_borne"
    PAYOUT = "payout"
    PAYOUT_FAILED = "payout_failed"
    SUPPLIER_PAID = "supplier_paid"
    GUARANTEE_KEPT = "guarantee_kept"
    GUARANTEE_FREED = "guarantee_freed"
    GUARANTEE_USED = "guarantee_used"
    ADVANCE_DRAWN = "advance_drawn"
    ADVANCE_INTEREST = "advance_interest"
    ADVANCE_REPAID = "advance_repaid"
    ADVANCE_SETTLED = "advance_settled"
    RENEWAL_BONUS = "renewal_bonus"
    SUPPLY_REBATE = "supply_rebate"
    PROMOTION_BORNE = "promotion_borne"


class RedemptionState(StrEnum):
    """
    Where a redemption is.

    ``short``: accepted offline, but the wallet held too little; nothing was taken, and the
    goods are the merchant's risk.
    """

    BOOKED = "booked"
    SHORT = "short"
    RETURNED = "returned"


class Category(StrEnum):
    """What is bought in a shop; the pet wallet pays for nothing else."""

    FOOD = "food"
    SUPPLIES = "supplies"
    GROOMING = "grooming"
    MEDICAL = "medical"
    BOARDING = "boarding"
    TRAINING = "training"
    OTHER_FOR_PETS = "other_for_pets"
