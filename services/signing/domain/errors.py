"""The ways signing says no."""

from shared.errors import Conflict, Forbidden, NotFound, Rejected, TryLater, Unauthentic


class MerchantUnknown(NotFound):
    """No such merchant."""

    code = "merchant-unknown"


class StoreUnknown(NotFound):
    """No such store of this merchant."""

    code = "store-unknown"


class PlanUnknown(NotFound):
    """No such plan, or no such published version, of this merchant."""

    code = "plan-unknown"


class QuoteUnknown(NotFound):
    """No such quote of this merchant."""

    code = "quote-unknown"


class SharedQuoteUnknown(NotFound):
    """No quote of this merchant is shared under this code."""

    code = "shared-quote-unknown"


class SharedQuoteExpired(NotFound):
    """The code opened a quote once; ``expired_at`` says until when."""

    code = "shared-quote-expired"


class ProcedureUnknown(NotFound):
    """The merchant's price list has no such procedure for this species."""

    code = "procedure-unknown"


class ApplicationUnknown(NotFound):
    """No such application of this merchant."""

    code = "application-unknown"


class DocumentMissing(NotFound):
    """There is no document yet."""

    code = "document-missing"


class AgreementUnknown(NotFound):
    """No such agreement of this merchant."""

    code = "agreement-unknown"


class CustomerUnknown(NotFound):
    """No such customer of this merchant."""

    code = "customer-unknown"


class MandateUnknown(NotFound):
    """No mandate of ours has this number, or not yet."""

    code = "mandate-unknown"


class EvidenceKeyMissing(TryLater):
    """The platform has no key to sign evidence with; an operator must provide it."""

    code = "evidence-key-missing"


class MerchantNotApproved(Conflict):
    """Only an approved merchant may publish plans and sign customers."""

    code = "merchant-not-approved"


class GuaranteeShort(Conflict):
    """The merchant's guarantee deposit is below what is required: nobody new may sign."""

    code = "guarantee-short"


class MerchantDecided(Conflict):
    """The merchant was decided upon otherwise before."""

    code = "merchant-decided"


class PlanPublishedAlready(Conflict):
    """A published version never changes; make a new one."""

    code = "plan-version-published"


class PublicationBlocked(Conflict):
    """The plan says what may not be published; ``findings`` names each with a safe wording."""

    code = "publication-blocked"


class FindingUnknown(NotFound):
    """This version has no such finding."""

    code = "finding-unknown"


class FindingFirm(Conflict):
    """No reason makes this finding lawful; the plan must be changed."""

    code = "finding-firm"


class FindingOverridden(Conflict):
    """The finding was overridden before, with another reason."""

    code = "finding-overridden"


class OperatorNeeded(Forbidden):
    """Only the platform's compliance officer may do this, not a merchant."""

    code = "operator-needed"


class StepNotNext(Conflict):
    """The application waits for another step; ``next_step`` names it."""

    code = "step-not-next"


class PreviewStale(Conflict):
    """The dates in the preview can no longer be kept; make a new one."""

    code = "preview-stale"


class TriesUsedUp(Conflict):
    """No more tries of this step today."""

    code = "tries-used-up"


class AgreementStateForbids(Conflict):
    """The agreement is in a state that forbids this."""

    code = "agreement-state"


class CoolingOffOver(Conflict):
    """The cooling-off time has ended; terminate instead."""

    code = "cooling-off-over"


class ChargeDayNotOnRail(Rejected):
    """The rail does not charge on this day of the month; the allowed days are named."""

    code = "charge-day-not-on-rail"


class AmountAboveRail(Rejected):
    """One instalment is more than the rail charges at once."""

    code = "amount-above-rail"


class RailNotForMerchant(Rejected):
    """The rail does not admit merchants of this legal kind, or this one has no account there."""

    code = "rail-not-for-merchant"


class RateAboveCap(Rejected):
    """The annualised rate is above what may be asked."""

    code = "rate-above-cap"


class PlanInvalid(Rejected):
    """The plan's figures do not fit each other."""

    code = "plan-invalid"


class OfferInvalid(PlanInvalid):
    """A number of the offer is negative or out of bounds, or the down payment is named twice."""

    code = "offer-invalid"


class DownPaymentTooLarge(PlanInvalid):
    """The down payment leaves nothing for the periods."""

    code = "down-payment-too-large"


class FreeMonthsInvalid(PlanInvalid):
    """Free months are some of the periods, each named once; at least one period is paid."""

    code = "free-months-invalid"


class InterestFreeInvalid(PlanInvalid):
    """More interest-free months than periods, or there is no interest to be free of."""

    code = "interest-free-invalid"


class OffersCollide(PlanInvalid):
    """The first month cannot be half price and free."""

    code = "offers-collide"


class DiscountTooLarge(PlanInvalid):
    """After what is given away a period that is to be paid would cost nothing."""

    code = "discount-too-large"


class FirstMonthNotFree(PlanInvalid):
    """The credit tier promises a first month without interest, and the plan does not give it."""

    code = "first-month-not-interest-free"


class OverduePenaltyForbidden(PlanInvalid):
    """Prepaid plans owe nothing when they are late, or the penalty's numbers are out of bounds."""

    code = "overdue-penalty-forbidden"


class OverduePenaltyAboveCap(PlanInvalid):
    """Interest and overdue penalty together are above what may be asked in a year."""

    code = "overdue-penalty-above-cap"


class PlanNotMedical(Rejected):
    """The plan is not one for medical instalments."""

    code = "plan-not-medical"


class ProcedurePriceInvalid(Rejected):
    """Low, likely and high are no prices, or do not rise."""

    code = "procedure-price-invalid"


class IdNumberInvalid(Rejected):
    """Not a valid resident identity number."""

    code = "id-number-invalid"


class TooYoung(Rejected):
    """The customer is not yet 18."""

    code = "too-young"


class PhoneInvalid(Rejected):
    """Not a mobile number of mainland China."""

    code = "phone-invalid"


class PayerMissing(Rejected):
    """The customer's account at the chosen rail is not named."""

    code = "payer-missing"


class ConsentMissing(Rejected):
    """A consent that this step needs was not given; ``missing`` names it."""

    code = "consent-missing"


class ClausesNotShown(Rejected):
    """A key clause was not shown long enough; ``missing`` names it."""

    code = "clauses-not-shown"


class NameNotMatching(Rejected):
    """Name and identity number do not belong together."""

    code = "name-not-matching"


class LossNotDocumented(Rejected):
    """A penalty needs documented loss; item by item."""

    code = "loss-not-documented"


class ProviderSilent(TryLater):
    """A provider did not answer; the same request may be repeated safely."""

    code = "provider-silent"


class ProviderRefused(Rejected):
    """A provider refused the call; ``provider_code`` says why."""

    code = "provider-refused"


class CallbackUnsigned(Unauthentic):
    """A provider's call does not carry its signature."""

    code = "callback-unsigned"


class PauseTooLong(Rejected):
    """One or two periods may be skipped; ``most`` says how many."""

    code = "pause-too-long"


class PausedAlready(Conflict):
    """The agreement is paused."""

    code = "paused-already"


class NothingToChange(Conflict):
    """No period that could be changed lies ahead."""

    code = "nothing-to-change"


class AmendmentEmpty(Conflict):
    """The agreement stands already as it is to be changed."""

    code = "amendment-empty"


class AmountAboveMandate(Rejected):
    """The customer's mandate at the rail has a lower ceiling; ``ceiling_fen`` names it."""

    code = "amount-above-mandate"


class AmountBelowParcel(Rejected):
    """A period's amount must pay its parcel; ``parcel_fen`` is its price."""

    code = "amount-below-parcel"


class MandateNotAlive(Conflict):
    """The mandate was revoked or has run out; nothing would be charged on other terms."""

    code = "mandate-not-alive"
