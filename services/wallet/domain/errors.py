"""The ways wallet says no."""

from shared.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Rejected,
    TooLarge,
    TryLater,
)


class WalletUnknown(NotFound):
    """This merchant has no wallet of this customer."""

    code = "wallet-unknown"


class LedgerUnknown(NotFound):
    """No money of this agreement is known here, or not yet."""

    code = "ledger-unknown"


class HoldUnknown(NotFound):
    """Nothing is held for this instalment, or not yet."""

    code = "hold-unknown"


class SettlementUnknown(NotFound):
    """Nobody asked for this refund, or not yet."""

    code = "settlement-unknown"


class CauseUnknown(NotFound):
    """Nothing was booked for this cause."""

    code = "cause-unknown"


class HoldClosedOtherwise(Conflict):
    """What is held was released and is now to be spent, or the other way round."""

    code = "hold-closed-otherwise"


class BookedOtherwise(Conflict):
    """This cause was booked before, with another amount or trade number."""

    code = "booked-otherwise"


class RefundExceedsRequest(Conflict):
    """More would go back than was asked for."""

    code = "refund-exceeds-request"


class AgreementEnded(Conflict):
    """The agreement has ended; its unspent money goes back by itself."""

    code = "agreement-ended"


class NothingToRefund(Conflict):
    """No principal of this agreement is free: none came, or it is held, spent or gone back."""

    code = "nothing-to-refund"


class RefundAboveRest(Rejected):
    """Less than this is free; ``rest_fen`` names what is."""

    code = "refund-above-rest"


class GrantOfNothing(Rejected):
    """A month that the merchant gives brought nothing."""

    code = "grant-of-nothing"


class TermsInPast(Rejected):
    """Terms count from today or later; what was booked by the old ones stays."""

    code = "terms-in-past"


class StatementUnknown(NotFound):
    """This merchant has no such statement."""

    code = "statement-unknown"


class ExportTooLarge(TooLarge):
    """A sheet holds fewer lines than this; the CSV takes them."""

    code = "export-too-large"


class PayoutUnknown(NotFound):
    """This merchant has no such payout."""

    code = "payout-unknown"


class GuaranteeWithdrawal(Conflict):
    """What is left of the deposit would be less than is required."""

    code = "guarantee-withdrawal"


class GuaranteeUnneeded(Conflict):
    """The deposit covers a debt of the merchant, and there is none."""

    code = "guarantee-unneeded"


class AdvanceUnknown(NotFound):
    """This merchant has no such advance."""

    code = "advance-unknown"


class AdvanceNotOpen(Conflict):
    """The quote has lapsed, or the advance has ended."""

    code = "advance-not-open"


class AdvanceNotCovered(Rejected):
    """Delivered receivables do not cover it; money of periods to come is no receivable."""

    code = "advance-not-covered"


class AdvanceRefused(Conflict):
    """The partner does not offer this advance."""

    code = "advance-refused"


class PartnerUnclear(TryLater):
    """A licensed institution gave no answer that can be relied upon."""

    code = "partner-unclear"


class OperatorNeeded(Forbidden):
    """Only the platform's own key may do this."""

    code = "operator-needed"
