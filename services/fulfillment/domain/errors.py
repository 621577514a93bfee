"""The ways fulfillment says no."""

from shared.errors import Conflict, NotFound, Rejected


class ShipmentUnknown(NotFound):
    """There is no such shipment, or it is another merchant's."""

    code = "shipment-unknown"


class SkuUnknown(NotFound):
    """There is no such SKU in the merchant's catalogue."""

    code = "sku-unknown"


class AgreementUnknown(NotFound):
    """The agreement has not been heard of yet."""

    code = "agreement-unknown"


class SkuExists(Conflict):
    """The SKU stands already, with other particulars."""

    code = "sku-exists"


class ContentsFixed(Conflict):
    """The customer has been told what comes; it can no longer be changed."""

    code = "contents-fixed"


class MoveForbidden(Conflict):
    """A shipment in this state cannot go there."""

    code = "shipment-move-forbidden"


class SwapForbidden(Rejected):
    """The wished SKU may not take the other one's place."""

    code = "swap-forbidden"


class SubstituteForbidden(Rejected):
    """A SKU may be substituted only by another one that costs no more."""

    code = "substitute-forbidden"
