"""What billing takes and answers about missed periods: ladders, tasks, contacts, claims."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared.web import Body, PageQuery, View

Staff = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$")]
"""A reference of a member of staff, e.g. an id; never a name or a phone number."""

Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,59}$")]
"""A reason as a word of a program, e.g. ``lost_job``."""

Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9:/._-]{2,119}$")]
"""Points to something that proves, e.g. ``mandate:…`` or ``message:…``."""


class StepView(View):
    """One step of a ladder."""

    day: int = Field(description="Days after the missed charge.")
    rung: str
    text: str = Field(description="Key of the customer's words; empty for none.")
    task: str | None
    condition: str = Field(description="`collectible`: only where money is really owed.")
    channels: list[str]


class PolicyView(View):
    """The ladder for cases that begin now; `version` 0 is the operator's own choice."""

    preset: str
    preset_version: int
    version: int
    reason: str | None
    set_at: datetime | None
    steps: list[StepView]


class NewPolicy(Body):
    """Which ladder to climb from now on."""

    preset: Literal["fast", "gentle"]
    reason: Code


class TaskFilter(PageQuery):
    """Which tasks to list."""

    waiting_only: bool = True
    kind: str | None = Field(default=None, max_length=40)
    assignee: Staff | None = None
    agreement_id: UUID | None = None
    overdue_only: bool = Field(default=False, description="Only what waits past its time.")
    escalated_only: bool = False


class TaskView(View):
    """What a member of staff must follow up."""

    task_id: UUID
    kind: str
    agreement_id: UUID
    customer_id: UUID
    instalment_id: UUID | None
    claim_id: UUID | None
    detail: str
    opened_at: datetime
    due_at: datetime
    assignee: str | None
    calls: int = Field(description="Calls that reached nobody.")
    outcome: str | None
    promised_on: date | None
    recorded_by: str | None
    escalated_at: datetime | None
    closed_at: datetime | None


class Assignment(Body):
    """Who takes a task."""

    assignee: Staff


class Retry(Body):
    """Who lets something be tried again."""

    recorded_by: Staff


class _Spoken(Body):
    person: Literal["customer", "family", "employer", "emergency_contact", "other"] = Field(
        default="customer", description="Anybody but the customer is refused."
    )
    direction: Literal["outgoing", "incoming"] = Field(
        default="outgoing", description="What the customer begins is neither counted nor refused."
    )


class NewOutcome(_Spoken):
    """What came of a task; those that speak of a call count as one."""

    outcome: Literal[
        "reached",
        "promise_to_pay",
        "dispute",
        "hardship",
        "not_reached",
        "wrong_number",
        "done",
    ]
    recorded_by: Staff
    promised_on: date | None = Field(default=None, description="With `promise_to_pay` only.")


class NewContact(_Spoken):
    """A call that is made now, outside any task."""

    staff: Staff
    instalment_id: UUID | None = None
    outcome: Code | None = None


class ContactView(View):
    """One contact with the customer about a missed period."""

    contact_id: UUID
    agreement_id: UUID
    instalment_id: UUID | None
    task_id: UUID | None
    kind: str
    direction: str
    channels: list[str]
    about: str
    outcome: str | None
    made_by: str
    made_at: datetime


class AllowanceView(View):
    """Whether the customer may be called now, why not, and from when on hours and caps allow."""

    allowed: bool
    reasons: list[str]
    from_at: datetime


class NewHardship(Body):
    """A customer cannot pay as agreed; debits and dunning rest at once."""

    reason: Code
    reported_by: Staff
    instalment_id: UUID | None = None


class NewDispute(Body):
    """A customer says that a debit was wrong; debits and dunning rest at once."""

    reason: Code
    reported_by: Staff


class NewAnswer(Body):
    """What is offered to a customer in hardship."""

    answer: Literal["postpone", "pause", "refuse"]
    answered_by: Staff
    to_day: date | None = Field(default=None, description="With `postpone`: a day to come.")
    periods: int | None = Field(default=None, ge=1, le=2, description="With `pause`.")


class NewDecision(Body):
    """The customer's word about an offer."""

    accepted: bool


class NewFinding(Body):
    """What the inquiry into a debit found; `authorised` needs evidence."""

    finding: Literal["authorised", "not_proven"]
    found_by: Staff
    evidence: list[Reference] = Field(default=[], max_length=20)


class ClaimFilter(PageQuery):
    """Which claims to list."""

    open_only: bool = True
    kind: Literal["hardship", "dispute"] | None = None
    agreement_id: UUID | None = None


class ClaimView(View):
    """A hardship or a dispute."""

    claim_id: UUID
    kind: str
    agreement_id: UUID
    customer_id: UUID
    instalment_id: UUID | None
    reason: str
    state: str
    opened_at: datetime
    opened_by: str
    answer_due_at: datetime
    answer: str | None
    offer_to_day: date | None
    offer_periods: int | None
    offer_until: date | None
    evidence: list[str]
    answered_at: datetime | None
    closed_at: datetime | None
    result: str | None


class NewClearance(Body):
    """Why a flagged agreement may be charged again."""

    reason: Code
    cleared_by: Staff


class RiskView(View):
    """Where the flag of an agreement stands."""

    agreement_id: UUID
    failed_periods: int
    flagged_at: datetime | None


class EvidenceKeyView(View):
    """The public half of the key that signs evidence (Ed25519, PEM)."""

    key_id: str
    public_key_pem: str
