"""A payment rail reduced to what can go wrong with one order; its whole state can be copied."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from services.billing.domain.attempt import Attempt
from services.billing.domain.findings import (
    Failed,
    Finding,
    NotFound,
    Paid,
    Pending,
    Refunded,
    RefundFinding,
    RefundPending,
    Unclear,
)
from services.billing.domain.refund import Refund
from services.billing.gateways.rail import NotOpened, NotTold, Opened, Told
from shared.rails.classes import FailureClass


class Answer(StrEnum):
    """What the next call meets."""

    PLAIN = "plain"
    DECLINED = "declined"
    HIDDEN = "hidden"
    """Done, but the answer is lost."""
    LOST = "lost"
    """It never arrives."""


@dataclass
class Order:
    """One order under one trade number; ``captures`` counts how often money was taken."""

    amount_fen: int
    state: str
    captures: int = 0


@dataclass
class Books:
    """All that the rail knows."""

    orders: dict[str, Order] = field(default_factory=dict)
    refunds: dict[str, tuple[str, int]] = field(default_factory=dict)
    to_tell: list[str] = field(default_factory=list)
    next_answer: Answer = Answer.PLAIN


@dataclass
class ModelRail:
    """
    Alipay's behaviour towards one payer.

    *touch* is called around every call, before it arrives and after it was done: a process
    may die there.  *forgetful* is a rail that breaks its promise to know an order again.
    """

    touch: Callable[[], None]
    forgetful: bool = False
    books: Books = field(default_factory=Books)

    def copy_of_books(self) -> Books:
        return deepcopy(self.books)

    def customer_pays(self) -> None:
        """The customer pays what is open on his screen."""
        for trade_no, order in self.books.orders.items():
            if order.state == "open":
                self._capture(trade_no, order)

    async def charge(self, attempt: Attempt) -> Finding:
        self.touch()
        answer = self._take_answer()
        if answer is Answer.LOST:
            return Unclear("not_reached")
        known = self.books.orders.get(attempt.trade_no)
        if known is None or (self.forgetful and known.state == "paid"):
            order = known or Order(attempt.amount_fen, "closed")
            self.books.orders[attempt.trade_no] = order
            if answer is not Answer.DECLINED:
                self._capture(attempt.trade_no, order)
        self.touch()
        return Unclear("timeout") if answer is Answer.HIDDEN else self._find(attempt)

    async def query(self, attempt: Attempt) -> Finding:
        self.touch()
        if self.forgetful:
            return NotFound()
        return self._find(attempt)

    async def close(self, attempt: Attempt) -> None:
        self.touch()
        order = self.books.orders.get(attempt.trade_no)
        if order is not None and order.state == "open":
            order.state = "closed"
        self.touch()

    async def open_payment(self, attempt: Attempt) -> Opened | NotOpened:
        self.touch()
        answer = self._take_answer()
        if answer is Answer.LOST:
            return NotOpened("timeout", clear=False)
        self.books.orders.setdefault(attempt.trade_no, Order(attempt.amount_fen, "open"))
        self.touch()
        if answer is Answer.HIDDEN:
            return NotOpened("timeout", clear=False)
        return Opened({"trade_no": attempt.trade_no})

    async def refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        self.touch()
        answer = self._take_answer()
        if answer is Answer.LOST:
            return RefundPending("not_reached")
        self.books.refunds[refund.refund_no] = (charge.trade_no, refund.amount_fen)
        self.touch()
        return RefundPending("timeout") if answer is Answer.HIDDEN else Refunded()

    async def query_refund(self, refund: Refund, charge: Attempt) -> RefundFinding:
        self.touch()
        return Refunded() if refund.refund_no in self.books.refunds else RefundPending()

    async def tell_customer(self, rail_agreement_no: str, amount_fen: int) -> Told | NotTold:
        return Told()

    async def move_plan(self, rail_agreement_no: str, day: date) -> date | None:
        return day

    def _take_answer(self) -> Answer:
        answer, self.books.next_answer = self.books.next_answer, Answer.PLAIN
        return answer

    def _capture(self, trade_no: str, order: Order) -> None:
        order.state = "paid"
        order.captures += 1
        self.books.to_tell.append(trade_no)

    def _find(self, attempt: Attempt) -> Finding:
        order = self.books.orders.get(attempt.trade_no)
        if order is None:
            return NotFound()
        match order.state:
            case "paid":
                return Paid(f"R{attempt.trade_no}", order.amount_fen)
            case "open":
                return Pending(unpaid=True)
            case _:
                return Failed(FailureClass.RETRY_LATER, "BUYER_BALANCE_NOT_ENOUGH")


def captured(books: Books) -> Mapping[str, int]:
    """Return what was taken under each trade number, in fen."""
    return {
        trade_no: order.captures * order.amount_fen
        for trade_no, order in books.orders.items()
        if order.captures
    }


def given_back(books: Books) -> Mapping[str, int]:
    """Return what went back under each trade number, in fen."""
    back: dict[str, int] = {}
    for trade_no, amount_fen in books.refunds.values():
        back[trade_no] = back.get(trade_no, 0) + amount_fen
    return back
