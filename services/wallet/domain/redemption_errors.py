"""The ways the counter says no."""

from shared.errors import Conflict, NotFound, Rejected, TooMany


class CodeUnreadable(Rejected):
    """This is no redemption code."""

    code = "code-unreadable"


class CodeForged(Rejected):
    """The redemption code was not signed by us, or was changed."""

    code = "code-forged"


class CodeForeign(Rejected):
    """The redemption code is for another merchant."""

    code = "code-foreign"


class CodeExpired(Rejected):
    """The redemption code is too old, or not valid yet."""

    code = "code-expired"


class CodeUsed(Conflict):
    """The redemption code was consumed before."""

    code = "code-used"


class TooManyCodes(TooMany):
    """This customer has asked for too many codes within a minute."""

    code = "too-many-codes"


class AmountInvalid(Rejected):
    """An amount must be at least one fen, or a service must be named instead of it."""

    code = "amount-invalid"


class AmountAboveCode(Rejected):
    """The customer's code allows less."""

    code = "amount-above-code"


class AmountAboveCeiling(Rejected):
    """More than one redemption may ever take."""

    code = "amount-above-ceiling"


class AmountAboveOfflineLimit(Rejected):
    """More than a code may take without asking us first."""

    code = "amount-above-offline-limit"


class BalanceTooLow(Conflict):
    """The wallet holds too little."""

    code = "balance-too-low"


class ServiceUnknown(NotFound):
    """The shop does not offer this service."""

    code = "service-unknown"


class DeviceUnknown(NotFound):
    """No such device is registered."""

    code = "device-unknown"


class DeviceRevoked(Conflict):
    """This device may not accept codes any more."""

    code = "device-revoked"


class DeviceDiffers(Conflict):
    """This device is registered with another key."""

    code = "device-differs"


class DeviceKeyInvalid(Rejected):
    """This is no Ed25519 public key."""

    code = "device-key-invalid"


class LineForged(Rejected):
    """The line was not signed by its device, or was changed."""

    code = "line-forged"


class UploadTooLate(Rejected):
    """What was accepted offline came too late."""

    code = "upload-too-late"


class RedemptionUnknown(NotFound):
    """There is no such redemption."""

    code = "redemption-unknown"


class RedemptionReturned(Conflict):
    """The redemption was returned before."""

    code = "redemption-returned"


class RedemptionWasShort(Conflict):
    """Nothing was taken for this redemption, so nothing can be returned."""

    code = "redemption-short"


class ReturnTooLarge(Rejected):
    """More would be returned than was taken."""

    code = "return-above-redemption"
