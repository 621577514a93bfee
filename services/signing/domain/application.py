"""An application: which step comes next, and what moves it on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from services.signing.contract import Rail
from services.signing.domain.errors import (
    ClausesNotShown,
    ConsentMissing,
    PayerMissing,
    StepNotNext,
)

LIVES: Final = timedelta(days=7)
"""An application that nobody touches this long expires."""

CLAUSE_SHOWN_MS: Final = 8_000
"""How long each key clause must stand on the screen; a tick alone proves nothing
(contract supervision measures, article 6)."""

FACE_TRIES_A_DAY: Final = 3
"""Each try is billed, and the provider locks a person until the next day."""


class ApplicationState(StrEnum):
    """How far an application has come."""

    STARTED = "started"
    IDENTIFIED = "identified"
    ASSESSED = "assessed"
    IN_REVIEW = "in_review"
    PREVIEWED = "previewed"
    SIGNED = "signed"
    COMPLETED = "completed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


OVER: Final = frozenset(
    {
        ApplicationState.COMPLETED,
        ApplicationState.REJECTED,
        ApplicationState.EXPIRED,
        ApplicationState.WITHDRAWN,
    }
)


class Step(StrEnum):
    """What the customer, or a person of ours, does next."""

    CONSENTS = "consents"
    IDENTITY = "identity"
    CREDIT = "credit"
    REVIEW = "review"
    PREVIEW = "preview"
    SIGNATURE = "signature"
    MANDATE = "mandate"
    NONE = "none"


class ConsentKind(StrEnum):
    """What a customer agrees to, each by itself (PIPL, articles 14 and 29)."""

    PERSONAL_DATA = "personal_data"
    FACE_CHECK = "face_check"
    CREDIT_ENQUIRY = "credit_enquiry"
    SUBSTITUTES = "substitutes"
    WITHHOLDING = "withholding"


NEEDED_AT_FIRST: Final = frozenset(
    {ConsentKind.PERSONAL_DATA, ConsentKind.FACE_CHECK, ConsentKind.CREDIT_ENQUIRY}
)
"""Substitutes are optional; withholding has its own screen at the mandate."""


@dataclass(frozen=True, slots=True)
class Applicant:
    """A person as they name themselves; ``payer_no`` is their account at the chosen rail."""

    name: str
    id_number: str
    phone: str
    province: str
    city: str
    district: str
    address: str
    alipay_user_id: str = ""
    wechat_openid: str = ""
    bankcard_user_no: str = ""

    def payer_no(self, rail: Rail) -> str:
        """
        Return the account at *rail*.

        Raises:
            PayerMissing: It is not named.
        """
        match rail:
            case Rail.ALIPAY:
                number = self.alipay_user_id
            case Rail.WECHATPAY:
                number = self.wechat_openid
            case Rail.BANKCARD:
                number = self.bankcard_user_no
            case _:
                assert_never(rail)
        if not number:
            raise PayerMissing("The customer's account at the rail is not named.", rail=rail)
        return number


@dataclass(frozen=True, slots=True)
class Pet:
    """What the shop knows of the pet."""

    name: str
    species: str
    breed: str
    size: str
    born_on: date
    sex: str
    allergies: Sequence[str]
    health: str


@dataclass(frozen=True, slots=True)
class Application:
    """One customer on the way to one agreement; personal data stands elsewhere, encrypted."""

    application_id: UUID
    merchant_id: UUID
    store_id: UUID
    plan_id: UUID
    plan_version: int
    rail: Rail
    charge_day: int
    state: ApplicationState
    consented: bool
    payer_no: str
    pet: Pet
    customer_id: UUID | None
    pet_id: UUID | None
    agreement_id: UUID
    agreement_no: str
    started_at: datetime
    expires_at: datetime
    step_since: datetime
    reason: str = ""

    @property
    def next_step(self) -> Step:  # noqa: PLR0911 - one line for each state
        """Return what comes next."""
        match self.state:
            case ApplicationState.STARTED:
                return Step.IDENTITY if self.consented else Step.CONSENTS
            case ApplicationState.IDENTIFIED:
                return Step.CREDIT
            case ApplicationState.IN_REVIEW:
                return Step.REVIEW
            case ApplicationState.ASSESSED:
                return Step.PREVIEW
            case ApplicationState.PREVIEWED:
                return Step.SIGNATURE
            case ApplicationState.SIGNED:
                return Step.MANDATE
            case (
                ApplicationState.COMPLETED
                | ApplicationState.REJECTED
                | ApplicationState.EXPIRED
                | ApplicationState.WITHDRAWN
            ):
                return Step.NONE
            case _:
                assert_never(self.state)


def require_step(application: Application, *steps: Step) -> None:
    """Raise StepNotNext unless one of *steps* comes next; the facts name the right one."""
    if application.next_step not in steps:
        raise StepNotNext(
            "The application waits for another step.",
            state=application.state,
            next_step=application.next_step,
        )


def move(
    application: Application, to: ApplicationState, *, now: datetime, reason: str = ""
) -> Application:
    """
    Return *application* in the state *to*; its life is prolonged from *now*.

    Raises:
        StepNotNext: Its state does not lead there.
    """
    if to not in _MOVES[application.state]:
        raise StepNotNext(
            "The application waits for another step.",
            state=application.state,
            next_step=application.next_step,
        )
    return replace(application, state=to, reason=reason, step_since=now, expires_at=now + LIVES)


def require_consents(given: Mapping[ConsentKind, bool]) -> None:
    """Raise ConsentMissing unless everything needed at first was agreed to."""
    missing = sorted(kind for kind in NEEDED_AT_FIRST if not given.get(kind))
    if missing:
        raise ConsentMissing("A consent is missing.", missing=missing)


def require_clauses_shown(shown_ms: Mapping[str, int], keys: Sequence[str]) -> None:
    """Raise ClausesNotShown unless each of *keys* stood long enough on the screen."""
    missing = [key for key in keys if shown_ms.get(key, 0) < CLAUSE_SHOWN_MS]
    if missing:
        raise ClausesNotShown(
            "A key clause was not shown long enough.",
            missing=missing,
            shown_at_least_ms=CLAUSE_SHOWN_MS,
        )


_ANY_END: Final = frozenset(
    {ApplicationState.REJECTED, ApplicationState.EXPIRED, ApplicationState.WITHDRAWN}
)
_MOVES: Final[Mapping[ApplicationState, frozenset[ApplicationState]]] = {
    ApplicationState.STARTED: _ANY_END | {ApplicationState.IDENTIFIED},
    ApplicationState.IDENTIFIED: _ANY_END | {ApplicationState.ASSESSED, ApplicationState.IN_REVIEW},
    ApplicationState.IN_REVIEW: _ANY_END | {ApplicationState.ASSESSED},
    ApplicationState.ASSESSED: _ANY_END | {ApplicationState.PREVIEWED},
    ApplicationState.PREVIEWED: _ANY_END | {ApplicationState.PREVIEWED, ApplicationState.SIGNED},
    ApplicationState.SIGNED: _ANY_END | {ApplicationState.COMPLETED},
} | dict.fromkeys(OVER, frozenset())
