"""Bodies and answers about changes of an agreement: pause, resume, amend."""

from datetime import date, datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from services.signing.contract.api import Word
from shared.web import Body, PositiveFen, Text, View, named

ChargeDay = Annotated[int, Field(ge=1, le=31)]
SHOWN_AT_LEAST_MS = 1_000


class NewPause(Body):
    """Why so many periods are skipped, and what shows it."""

    periods: Annotated[int, Field(ge=1, le=24, description="1 or 2; more is refused.")]
    reason: Literal["pet_sick", "hardship", "illness", "job_loss"]
    evidence_ref: Text


class Consent(Body):
    """The customer's own word to a change, given on a screen of its own."""

    agreed: Literal[True]
    text_version: Word
    shown_ms: Annotated[int, Field(ge=SHOWN_AT_LEAST_MS, le=86_400_000)]


class NewAmount(Body):
    """Another amount for every unpaid period from *from_seq* on."""

    from_seq: Annotated[int, Field(ge=1, le=99)]
    amount_fen: PositiveFen


class NewAmendment(Body):
    """Another charge day, another amount, or both; nothing is changed without consent."""

    model_config = named("charge_day", "amount")

    charge_day: ChargeDay | None = None
    amount: NewAmount | None = None
    reason: Text
    consent: Consent

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.charge_day is None and self.amount is None:
            raise ValueError("name a charge day or an amount")
        return self


class ChangeView(View):
    """One change: what, by whom, why, and the customer's consent where one was needed."""

    change_no: int
    kind: str
    detail: dict[str, object]
    actor: str
    reason: str
    evidence_ref: str
    changed_at: datetime


class CurrentLine(View):
    """One instalment as it stands after every change."""

    seq: int
    due_on: date
    amount_fen: int
    paid: bool


class ChangesView(View):
    """How an agreement stands after its changes; dates are billing's, told after each change."""

    agreement_id: UUID
    state: str
    charge_day: int
    paused_periods: int
    resumes_at: datetime | None
    schedule: list[CurrentLine]
    changes: list[ChangeView]
