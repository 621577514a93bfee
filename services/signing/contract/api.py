"""Bodies and answers of signing's HTTP interface."""

from datetime import date, datetime
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from services.signing.contract.events import (
    LegalKind,
    OverduePenalty,
    Payee,
    Rail,
    SignedInstalment,
    StageBundle,
)
from services.signing.contract.offers import NewOffer, NewOverduePenalty, OfferView
from services.signing.contract.publication import (
    ClauseView,
    NewClause,
    NewSalesText,
    SalesTextView,
)
from shared.web import Body, FenAmount, PageQuery, PositiveFen, Text, View, named

Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}$")]
LongText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)]
WRITTEN_MAX: Final = 20_000
"""Characters of clauses and sales copy together; examining them takes a fifth of a second."""
ShownMs = Annotated[int, Field(ge=0, le=86_400_000)]


class NewPayee(Body):
    """The merchant's own account at a rail."""

    rail: Rail
    payee_no: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{4,64}$")]


class NewMerchant(Body):
    """A merchant that wants to sign customers."""

    merchant_id: UUID | None = Field(default=None, description="Chosen by you, or made here.")
    legal_name: Text
    display_name: Text
    legal_kind: LegalKind
    licence_no: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{15,18}$")]
    service_phone: Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{5,20}$")]
    payees: Annotated[list[NewPayee], Field(min_length=1, max_length=8)]


class Decision(Body):
    """What a person decided, and why."""

    reason: LongText = ""


class MerchantView(View):
    """A merchant."""

    merchant_id: UUID
    state: str
    legal_name: str
    display_name: str
    legal_kind: LegalKind
    licence_no: str
    service_phone: str
    payees: list[Payee]
    reason: str
    created_at: datetime


class NewStore(Body):
    """A place where customers sign."""

    name: Text
    city: Text
    address: Text


class StoreView(View):
    """A store."""

    store_id: UUID
    merchant_id: UUID
    name: str
    city: str
    address: str


class NewBundleItem(Body):
    """So many of one SKU; *substitutes* cost the same or less and are sent only on consent."""

    sku: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_.-]{1,40}$")]
    quantity: Annotated[int, Field(ge=1, le=100)]
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60)] = ""
    substitutes: Annotated[list[str], Field(max_length=10)] = Field(default_factory=list)


class NewStageBundle(Body):
    """What a pet at this growth stage gets each period."""

    stage: Word
    items: Annotated[list[NewBundleItem], Field(min_length=1, max_length=30)]


class NewPriceLine(Body):
    """One line of the price card."""

    name: Text
    list_price_fen: FenAmount
    deal_price_fen: FenAmount


class NewPlan(Body):
    """The terms of a version; name either what a period costs or what all together cost."""

    model_config = named("monthly_fen", "total_fen", only_one=True)

    name: Text
    species: Word
    kind: Literal["monthly_food", "medical", "premium_goods", "multi_pet", "service"] = (
        "monthly_food"
    )
    legal_type: Literal["prepaid", "instalment_sale"] = "prepaid"
    periods: Annotated[int, Field(ge=1, le=24)]
    monthly_fen: PositiveFen | None = None
    total_fen: PositiveFen | None = None
    cash_price_fen: PositiveFen | None = Field(
        default=None, description="What it costs when paid at once; as much as all periods if null."
    )
    auto_ship: bool = False
    bundle_fen: FenAmount = 0
    bundles: Annotated[list[NewStageBundle], Field(max_length=10)] = Field(default_factory=list)
    price_card: Annotated[list[NewPriceLine], Field(max_length=60)] = Field(default_factory=list)
    credit_floor: Annotated[int, Field(ge=350, le=950)] = 550
    use_of_money: LongText = "宠粮、猫砂、驱虫药等养宠必需品"
    gifts: LongText = ""
    offer: NewOffer = Field(default_factory=NewOffer)
    overdue_penalty: NewOverduePenalty | None = None
    clauses: Annotated[list[NewClause], Field(max_length=60)] = Field(default_factory=list)
    sales_copy: Annotated[list[NewSalesText], Field(max_length=30)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.monthly_fen is None) == (self.total_fen is None):
            raise ValueError("Name one of monthly_fen and total_fen.")
        return self

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        texts = [*(one.text for one in self.clauses), *(one.text for one in self.sales_copy)]
        written = sum(map(len, texts))
        if written > WRITTEN_MAX:
            raise ValueError(f"Clauses and sales copy are longer than {WRITTEN_MAX} characters.")
        return self

    @property
    def sum_fen(self) -> int:
        """Return what everything adds up to before anything of the offer is given."""
        return self.total_fen or (self.monthly_fen or 0) * self.periods


class PlanView(View):
    """One version of a plan; *total_fen* before the offer, *payable_fen* what is really paid."""

    plan_id: UUID
    version: int
    state: str
    name: str
    species: str
    kind: str
    legal_type: str
    periods: int
    monthly_fen: int
    total_fen: int
    cash_price_fen: int
    auto_ship: bool
    bundle_fen: int
    bundles: list[StageBundle]
    credit_floor: int
    use_of_money: str
    gifts: str
    offer: OfferView
    overdue_penalty: OverduePenalty | None
    clauses: list[ClauseView]
    sales_copy: list[SalesTextView]
    down_payment_fen: int
    payable_fen: int
    published_at: datetime | None


class NewQuote(Body):
    """What should be calculated."""

    plan_id: UUID
    plan_version: Annotated[int, Field(ge=1)]
    rail: Rail
    charge_day: Annotated[int, Field(ge=1, le=31)]


class QuoteView(View):
    """
    Every amount and date if it were signed within the hour; they add up to the total.

    *bonus_fen* is what the merchant gives beside it; number 0 is a down payment.
    """

    quote_id: UUID
    plan_id: UUID
    plan_version: int
    total_fen: int
    cash_price_fen: int
    down_payment_fen: int
    bonus_fen: int
    nominal_percent: str
    effective_percent: str
    overdue_penalty: OverduePenalty | None
    instalments: list[SignedInstalment]


class NewApplicant(Body):
    """A person as they name themselves."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=32)]
    id_number: Annotated[str, StringConstraints(min_length=15, max_length=32)]
    phone: Annotated[str, StringConstraints(min_length=11, max_length=20)]
    province: Text
    city: Text
    district: Text
    address: Text
    alipay_user_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{0,64}$")] = ""
    wechat_openid: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{0,64}$")] = ""
    bankcard_user_no: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{0,64}$")] = ""
    """The customer's number at the card aggregator; never a card number."""


class NewPet(Body):
    """What the shop knows of the pet."""

    name: Text
    species: Word
    breed: Text
    size: Literal["small", "medium", "large"] = "medium"
    born_on: date
    sex: Literal["male", "female", "unknown"] = "unknown"
    allergies: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    health: LongText = "良好"


class NewApplication(Body):
    """Who wants to sign what, and where."""

    store_id: UUID
    plan_id: UUID
    plan_version: Annotated[int, Field(ge=1)]
    charge_day: Annotated[int, Field(ge=1, le=31)]
    rail: Rail
    customer: NewApplicant
    pet: NewPet


class StepView(View):
    """How long a step took and how often it was tried."""

    step: str
    tries: int
    began_at: datetime
    done_at: datetime | None


class ApplicationView(View):
    """An application; *next_step* comes next, *awaiting* says on whose part."""

    application_id: UUID
    state: str
    next_step: str
    awaiting: Literal["gateway", "customer", "operator", "nobody"]
    reason: str
    rail: Rail
    charge_day: int
    plan_id: UUID
    plan_version: int
    customer_id: UUID | None
    pet_id: UUID | None
    agreement_id: UUID | None
    agreement_no: str
    started_at: datetime
    expires_at: datetime
    steps: list[StepView] = Field(default_factory=list)


class ConsentGiven(Body):
    """One question, the text it was asked with, the answer, and how long it was shown."""

    kind: Literal["personal_data", "face_check", "credit_enquiry", "substitutes"]
    text_version: Text
    agreed: bool
    shown_ms: ShownMs


class Consents(Body):
    """Each question is answered by itself; substitutes are optional."""

    consents: Annotated[list[ConsentGiven], Field(min_length=1, max_length=10)]


class IdentityView(View):
    """Where the customer shows their face."""

    url: str


class Review(Body):
    """A person's decision where the score did not decide."""

    approve: bool
    reason: Text


class PreviewView(View):
    """The document to show, clause by clause; each of *key_clauses* at least 8 seconds."""

    document_sha256: str
    pdf_path: str
    key_clauses: list[str]
    sign_before: datetime
    rate_percent: str
    instalments: list[SignedInstalment]


class NewSignature(Body):
    """How long each key clause stood on the screen, and from where the customer signs."""

    clauses_shown_ms: Annotated[dict[Word, ShownMs], Field(max_length=40)]
    device: Text
    ip: Text


class SignatureView(View):
    """Where the customer signs."""

    url: str


class NewMandate(Body):
    """The consent to automatic charges, given on its own screen, never ticked beforehand."""

    agreed: Literal[True]
    screen_version: Text
    shown_ms: ShownMs


class MandateView(View):
    """
    Alipay: ``sign_str``. WeChat Pay: ``app_id``, ``path`` and ``extra_data``.

    Bank card: ``path`` is the aggregator's page, ``sign_str`` its token for this contract.
    """

    sign_str: str
    extra_data: dict[str, str] | None
    app_id: str
    path: str


class AgreementFilter(PageQuery):
    """Which agreements."""

    state: str | None = Field(default=None, max_length=20)
    customer_id: UUID | None = None


class AgreementView(View):
    """An agreement and its signed schedule."""

    agreement_id: UUID
    agreement_no: str
    merchant_id: UUID
    store_id: UUID
    application_id: UUID
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
    instalments: list[SignedInstalment]
    document_sha256: str
    state: str
    signed_at: datetime
    cooling_off_ends_at: datetime
    ended_at: datetime | None
    end_reason: str
    penalty_fen: int


class LossLine(Body):
    """One documented loss."""

    item: Text
    amount_fen: PositiveFen
    evidence_ref: Text


class NewTermination(Body):
    """Why an agreement ends early; without documented loss there is no penalty."""

    reason: Literal[
        "customer_wish",
        "seven_days",
        "pet_sick",
        "pet_distemper",
        "pet_dead",
        "pet_lost",
        "incapable",
        "merchant_fault",
        "shop_closed",
        "shop_moved",
        "terms_changed",
        "out_of_stock",
        "obligations_transferred",
        "licence_lost",
    ]
    loss: Annotated[list[LossLine], Field(max_length=50)] = Field(default_factory=list)


class MoveView(View):
    """One move of the application, its mandate or the agreement."""

    thing: str
    from_state: str
    to_state: str
    actor: str
    reason: str
    moved_at: datetime


class HistoryView(View):
    """All moves, oldest first."""

    moves: list[MoveView]


class EvidenceEntry(View):
    """One entry of the chain; ``payload`` is canonical JSON, hashed as it stands."""

    seq: int
    kind: str
    occurred_at: datetime
    actor: str
    payload: str
    payload_sha256: str
    prev_hash: str
    entry_hash: str


class EvidenceView(View):
    """The evidence of an agreement; *first_broken* is null while the chain is whole."""

    agreement_id: UUID
    document_sha256: str
    signed_sha256: str | None
    documents_intact: bool
    first_broken: int | None
    head_hash: str
    entries: list[EvidenceEntry]


class CustomerView(View):
    """A customer, masked."""

    customer_id: UUID
    name: str
    id_number: str
    phone: str
    city: str
    changed_at: datetime


class NewContact(Body):
    """New contact data; what is null stays."""

    phone: Annotated[str, StringConstraints(min_length=11, max_length=20)] | None = None
    province: Text | None = None
    city: Text | None = None
    district: Text | None = None
    address: Text | None = None
