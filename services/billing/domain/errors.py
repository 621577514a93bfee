"""The ways billing says no."""

from shared.errors import Conflict, NotFound, Rejected, TryLater


class InstalmentUnknown(NotFound):
    """There is no such instalment."""

    code = "instalment-unknown"


class AgreementUnknown(NotFound):
    """There is no such agreement, or not yet."""

    code = "agreement-unknown"


class MandateUnknown(NotFound):
    """There is no such mandate, or not yet."""

    code = "mandate-unknown"


class PayLinkUnknown(NotFound):
    """There is no such payment link."""

    code = "pay-link-unknown"


class ChargeUnderWay(Conflict):
    """An automatic charge of this instalment is under way; its result must be awaited."""

    code = "charge-under-way"


class NothingToPay(Conflict):
    """This instalment is paid already, or need not be paid any more."""

    code = "nothing-to-pay"


class AmountDiffers(Rejected):
    """An instalment is paid as a whole; the facts name what is due, and its base and penalty."""

    code = "amount-differs"


class PaymentRefused(Conflict):
    """The rail does not open a payment for this instalment now."""

    code = "payment-refused"


class LinesDiffer(Rejected):
    """The lines of a signed instalment do not make its amount."""

    code = "lines-differ"


class MoveForbidden(Conflict):
    """The lifecycle has no such move."""

    code = "move-forbidden"


class TaskUnknown(NotFound):
    """There is no such task."""

    code = "task-unknown"


class TaskClosedAlready(Conflict):
    """The task is closed; nobody waits for an outcome any more."""

    code = "task-closed"


class OutcomeUnfit(Rejected):
    """A task of this kind does not end so."""

    code = "outcome-unfit"


class PromiseUnfit(Rejected):
    """A promise to pay needs a day that is neither past nor too far away."""

    code = "promise-unfit"


class ContactThirdParty(Rejected):
    """Nobody but the customer is spoken to about money that did not come (rule DN-03)."""

    code = "contact-third-party"


class ContactRefused(Conflict):
    """The customer must not be contacted now; the facts name every reason (DN-01, DN-02, DN-05)."""

    code = "contact-refused"


class ClaimUnknown(NotFound):
    """There is no such claim."""

    code = "claim-unknown"


class ClaimStateForbids(Conflict):
    """The claim is of another kind, or was decided before."""

    code = "claim-state"


class OfferUnfit(Rejected):
    """An offer or a finding lacks something, or is out of bounds."""

    code = "offer-unfit"


class DisputeEvidenceMissing(Rejected):
    """A disputed debit counts as authorised only with evidence (rule WH-20)."""

    code = "dispute-evidence-missing"


class DisputeRefundMissing(Conflict):
    """The disputed charge has not gone back in full; the facts name what is missing."""

    code = "dispute-refund-missing"


class RefundUnknown(NotFound):
    """There is no such refund."""

    code = "refund-unknown"


class RefundDone(Conflict):
    """The money is back; there is nothing to try again."""

    code = "refund-done"


class RefundAboveRest(Rejected):
    """Captured less refunded less under way is less than this; ``rest_fen`` names it."""

    code = "refund-above-rest"


class RefundWindowOver(Conflict):
    """The rail refunds a charge for some time only, and it is over; another way is needed."""

    code = "refund-window-over"


class RefundPartsExhausted(Conflict):
    """The rail takes no further part of this charge back; another way is needed."""

    code = "refund-parts-exhausted"


class RiskNotFlagged(Conflict):
    """The agreement is not flagged; there is nothing to clear."""

    code = "risk-not-flagged"


class EvidenceKeyMissing(TryLater):
    """The platform has no key to sign evidence with; an operator must provide it."""

    code = "evidence-key-missing"


class BillDayUnknown(NotFound):
    """There is no bill of such a day."""

    code = "bill-day-unknown"


class TicketUnknown(NotFound):
    """There is no such difference."""

    code = "bill-ticket-unknown"


class TicketResolved(Conflict):
    """The difference has been resolved before."""

    code = "bill-ticket-resolved"


class ResolutionForbidden(Rejected):
    """This resolution is found out, not said; or this difference needs a usable bill."""

    code = "bill-resolution-forbidden"


class ChangeTooEarly(Conflict):
    """A change of signing's came before the one that precedes it; it comes again."""

    code = "change-too-early"


class PauseNotPossible(Conflict):
    """The agreement is not active, or nothing of it is still to be charged."""

    code = "pause-not-possible"


class PostponementDayInvalid(Rejected):
    """The agreed day is too soon, too late, or another period's; the facts name the bounds."""

    code = "postponement-day-invalid"


class PostponementNotPossible(Conflict):
    """This instalment is paid, missed, ended or being collected."""

    code = "postponement-not-possible"


class QuoteUnknown(NotFound):
    """There is no such quote."""

    code = "quote-unknown"


class QuoteOutdated(Conflict):
    """The quote is older than a day, or something was paid since; ask for another."""

    code = "quote-outdated"


class OrderUnknown(NotFound):
    """There is no such order."""

    code = "order-unknown"


class InstalmentsForeign(Rejected):
    """The instalments of one order belong to one agreement; ``foreign`` are not of this one."""

    code = "instalments-foreign"
