"""The ways wallet says no."""

from shared.errors import Conflict, NotFound


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
