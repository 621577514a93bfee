"""The ways billing says no."""

from shared.errors import Conflict, NotFound, Rejected


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
    """An instalment is paid as a whole; the facts name the exact amount due."""

    code = "amount-differs"


class PaymentRefused(Conflict):
    """The rail does not open a payment for this instalment now."""

    code = "payment-refused"


class MoveForbidden(Conflict):
    """The lifecycle has no such move."""

    code = "move-forbidden"
