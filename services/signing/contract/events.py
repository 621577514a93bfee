"""What signing tells the others."""

from datetime import date
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from shared.events import Event


class Rail(StrEnum):
    """The ways a charge can travel."""

    ALIPAY = "alipay"
    WECHATPAY = "wechatpay"
    BANKCARD = "bankcard"


class LegalKind(StrEnum):
    """What a merchant is in law; WeChat Pay withholding is not open to all of them."""

    COMPANY = "company"
    INDIVIDUAL_BUSINESS = "individual_business"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Payee(_Part):
    """The merchant's own account at a rail; the only one its customers may pay."""

    rail: Rail
    payee_no: str


class MerchantApproved(Event):
    """A merchant may sign customers from now on; told again when a payee changes."""

    subject: ClassVar[str] = "signing.merchant.approved.v1"
    about: ClassVar[str] = "merchant_id"

    merchant_id: UUID
    display_name: str
    legal_kind: LegalKind
    service_phone: str
    payees: tuple[Payee, ...]


class MerchantSuspended(Event):
    """A merchant may neither sign customers nor have them charged."""

    subject: ClassVar[str] = "signing.merchant.suspended.v1"
    about: ClassVar[str] = "merchant_id"

    merchant_id: UUID
    reason: str


class BundleItem(_Part):
    """
    So many of one SKU in a period's parcel.

    ``substitutes`` are SKUs of the same or a lower price, best first, that stand in the
    signed agreement; they may be sent only to customers who agreed to substitutes.
    """

    sku: str
    quantity: int
    name: str = ""
    substitutes: tuple[str, ...] = ()


class StageBundle(_Part):
    """What a pet at this growth stage gets each period."""

    stage: str
    items: tuple[BundleItem, ...]


class PlanPublished(Event):
    """One immutable version of a plan."""

    subject: ClassVar[str] = "signing.plan.published.v1"
    about: ClassVar[str] = "plan_id"

    merchant_id: UUID
    plan_id: UUID
    version: int
    name: str
    species: str
    periods: int
    monthly_fen: int
    auto_ship: bool
    bundle_fen: int
    bundles: tuple[StageBundle, ...]


class CustomerRegistered(Event):
    """
    A customer of one merchant, with contact data that only the receiver can open.

    ``sealed_for_notify`` holds JSON {phone, salutation, alipay_user_id, wechat_openid};
    ``sealed_for_fulfillment`` {name, phone, province, city, district, address}.
    """

    subject: ClassVar[str] = "signing.customer.registered.v1"
    about: ClassVar[str] = "customer_id"

    merchant_id: UUID
    customer_id: UUID
    sealed_for_notify: str
    sealed_for_fulfillment: str


class ContactChanged(Event):
    """New contact data of a customer; it replaces the old as a whole."""

    subject: ClassVar[str] = "signing.customer.contact_changed.v1"
    about: ClassVar[str] = "customer_id"

    merchant_id: UUID
    customer_id: UUID
    sealed_for_notify: str
    sealed_for_fulfillment: str


class PetRegistered(Event):
    """What the warehouse must know of a pet to choose its food."""

    subject: ClassVar[str] = "signing.pet.registered.v1"
    about: ClassVar[str] = "pet_id"

    merchant_id: UUID
    customer_id: UUID
    pet_id: UUID
    species: str
    size: str
    born_on: date
    allergies: tuple[str, ...] = ()


class LineKind(StrEnum):
    """What a part of an instalment's amount is."""

    BASE = "base"
    DISCOUNT = "discount"
    FREE_MONTH = "free_month"
    FIRST_MONTH_HALF = "first_month_half"
    INTEREST_FREE = "interest_free"
    INTEREST = "interest"
    PENALTY = "penalty"


class SignedLine(_Part):
    """
    One part of an instalment's amount; what is given away is negative.

    What the merchant gives (``discount``, ``free_month``, ``first_month_half``) reaches the
    pet wallet as bonus, ``interest_free`` only takes interest away again.
    """

    kind: LineKind
    amount_fen: int
    note: str = ""


class SignedInstalment(_Part):
    """
    One instalment of the signed schedule; ``lines``, where there are any, make ``amount_fen``.

    ``seq`` 0 is a down payment, which only the customer starts.  An ``amount_fen`` of 0 is a
    free month: it is granted on its day and never charged.
    """

    seq: int
    due_on: date
    amount_fen: int
    lines: tuple[SignedLine, ...] = ()


class OverduePenalty(_Part):
    """
    What an overdue instalment costs: simple, never on interest or on itself.

    ``rate_ppm_per_day`` are millionths of the overdue principal for each day after
    ``grace_days``; ``cap_per_mille`` thousandths of it are never exceeded.
    """

    rate_ppm_per_day: int
    grace_days: int
    cap_per_mille: int


class AgreementSigned(Event):
    """
    A customer has signed; the schedule is part of what was signed.

    ``hold_fen`` is what each period's bundle costs, taken out of the period's amount.
    ``instalments`` are in order of ``seq``, from 1 to ``periods``, after a down payment if
    there is one; their amounts make ``total_fen``.  Without ``overdue_penalty`` being late
    costs nothing.  ``legal_type`` says whether a missed amount can be a debt: ``prepaid``,
    ``instalment_sale`` or ``licensed_loan``.
    """

    subject: ClassVar[str] = "signing.agreement.signed.v1"
    about: ClassVar[str] = "agreement_id"

    agreement_id: UUID
    agreement_no: str
    merchant_id: UUID
    store_id: UUID
    customer_id: UUID
    pet_id: UUID
    plan_id: UUID
    plan_version: int
    plan_name: str
    rail: Rail
    charge_day: int
    periods: int
    total_fen: int
    hold_fen: int
    auto_ship: bool
    instalments: tuple[SignedInstalment, ...]
    substitutes_agreed: bool = False
    signed_at: AwareDatetime
    cooling_off_ends_at: AwareDatetime
    overdue_penalty: OverduePenalty | None = None
    legal_type: str = "prepaid"


class _AgreementMoved(Event):
    about: ClassVar[str] = "agreement_id"

    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID


class AgreementActivated(_AgreementMoved):
    """The cooling-off time is over."""

    subject: ClassVar[str] = "signing.agreement.activated.v1"


class AgreementCancelled(_AgreementMoved):
    """Cancelled within the cooling-off time: everything paid goes back."""

    subject: ClassVar[str] = "signing.agreement.cancelled.v1"


class AgreementTerminated(_AgreementMoved):
    """Ended before its last period; what is unspent goes back, less *penalty_fen*."""

    subject: ClassVar[str] = "signing.agreement.terminated.v1"

    reason: str
    penalty_fen: int = 0


class AgreementCompleted(_AgreementMoved):
    """Every period is paid and, for an auto-ship plan, shipped."""

    subject: ClassVar[str] = "signing.agreement.completed.v1"


class AgreementPaused(_AgreementMoved):
    """
    The next *periods* are skipped: every unpaid instalment moves by so many months.

    ``change_no`` counts an agreement's changes from 1; they are applied in that order.
    ``reason`` is a code such as ``pet_sick``.
    """

    subject: ClassVar[str] = "signing.agreement.paused.v1"

    change_no: int
    periods: int
    reason: str


class AgreementResumed(_AgreementMoved):
    """A pause is over; if *early*, what was skipped and can still be charged comes back."""

    subject: ClassVar[str] = "signing.agreement.resumed.v1"

    change_no: int
    early: bool


class AgreementAmended(_AgreementMoved):
    """
    Another charge day, or another amount for the unpaid periods from *from_seq* on, or both.

    None stays as it was.  The customer has agreed at *consented_at*.
    """

    subject: ClassVar[str] = "signing.agreement.amended.v1"

    change_no: int
    charge_day: int | None
    from_seq: int | None
    amount_fen: int | None
    consented_at: AwareDatetime


class MandateGranted(Event):
    """
    A customer lets the rail charge them for one agreement.

    ``payer_no`` is the rail's own number for the customer (Alipay user id, WeChat
    openid), ``rail_agreement_no`` the rail's number for the mandate, ``product`` the
    row of the rail's permissions that applies.  It may arrive before the agreement.
    """

    subject: ClassVar[str] = "signing.mandate.granted.v1"
    about: ClassVar[str] = "agreement_id"

    mandate_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    rail: Rail
    product: str
    rail_agreement_no: str
    payer_no: str
    payee_no: str
    ceiling_fen: int
    valid_until: date


class MandateRevoked(Event):
    """A mandate no longer allows a charge, from this moment."""

    subject: ClassVar[str] = "signing.mandate.revoked.v1"
    about: ClassVar[str] = "agreement_id"

    mandate_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    revoked_by: str


class MandateClosed(Event):
    """The rail has confirmed that a mandate we closed is gone."""

    subject: ClassVar[str] = "signing.mandate.closed.v1"
    about: ClassVar[str] = "agreement_id"

    mandate_id: UUID
    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
