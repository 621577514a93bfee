"""Fault scripts: what shall go wrong for one account, step by step."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from deploy.sandbox.kit_books import Books, Doc

EVERYBODY: Final = "*"
ANY_CALL: Final = "*"
_KIND: Final = "_faults"


class FaultKind(StrEnum):
    """What a step does to the call that it meets."""

    OK = "ok"  # nothing; lets a call pass so that a later one is hit
    DECLINE = "decline"  # decline:CODE, a business refusal with this code
    HIDE_ANSWER = "hide_answer"  # book it, then cut the connection
    HTTP_500 = "http_500"  # answer 500 without booking anything
    OUTAGE = "outage"  # answer 503 without booking anything, usually with "until"
    DELAY = "delay"  # delay:MS of real time, then go on as usual
    BAD_SIGNATURE = "bad_signature"  # the answer or notification carries a wrong signature
    WRONG_AMOUNT = "wrong_amount"  # the answer or notification states one fen more
    DUPLICATE = "duplicate"  # the notification is delivered twice
    REORDER = "reorder"  # reorder:MINUTES (30), the notification comes later than its successors
    DROP = "drop"  # the notification is never sent
    # Of the files that rails make of their books; totals follow the rows unless they are wrong:
    MISSING_LINE = "missing_line"  # the first row is left out
    BROKEN_ROW = "broken_row"  # the first row cannot be read
    UNKNOWN_NUMBER = "unknown_number"  # a row more, of a number nobody gave
    WRONG_TOTAL = "wrong_total"  # the totals state one fen more


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong now; *argument* is what follows the colon."""

    kind: FaultKind
    argument: str = ""


class FaultScripts:
    """
    Scripts by account, each a list of steps.

    An account is a user of the provider (buyer id, openid, phone number, ...), the beginning of
    an order number, or ``*`` for everybody.  A step is consumed by a matching call: the first
    step of the account whose ``on`` names the call (or is ``*``) and that is not used up.
    """

    def __init__(self, books: Books) -> None:
        """Keep the scripts in *books*, so that they survive a restart."""
        self._books = books

    def set(self, account: str, steps: list[Doc]) -> None:
        """
        Replace the script of *account*.

        Raises:
            ValueError: A step has an unknown ``do``, a bad ``times`` or a naive ``until``.
        """
        checked = [_checked(step) for step in steps]
        self._books.put(_KIND, account, {"account": account, "steps": checked})

    def clear(self, account: str) -> None:
        """Forget the script of *account*."""
        self._books.drop(_KIND, account)

    def script(self, account: str) -> list[Doc]:
        """Return what is left of the script of *account*."""
        found = self._books.get(_KIND, account)
        return [] if found is None else list(found["steps"])

    def take(self, on: str, *accounts: str, now: datetime) -> Fault | None:
        """Consume and return the step that the call *on* meets, if any."""
        if not self._books.count(_KIND):
            return None
        for account, entry in self._matching(accounts):
            for index, step in enumerate(entry["steps"]):
                if step["on"] in {on, ANY_CALL} and not _over(step, now):
                    self._consume(account, entry["steps"], index)
                    kind, _, argument = step["do"].partition(":")
                    found = FaultKind(kind)
                    return None if found is FaultKind.OK else Fault(found, argument)
        return None

    def _matching(self, accounts: tuple[str, ...]) -> list[tuple[str, Doc]]:
        """Return the scripts of *accounts*, then of their beginnings, then of everybody."""
        beginnings = (one[:end] for one in accounts for end in range(len(one) - 1, 0, -1))
        names = dict.fromkeys((*accounts, *beginnings, EVERYBODY))
        found = ((name, self._books.get(_KIND, name)) for name in names)
        return [(name, entry) for name, entry in found if entry is not None]

    def _consume(self, account: str, steps: list[Doc], index: int) -> None:
        times = steps[index]["times"]
        if times is None:
            return
        left = [] if times == 1 else [steps[index] | {"times": times - 1}]
        rest = steps[:index] + left + steps[index + 1 :]
        self._books.put(_KIND, account, {"account": account, "steps": rest})


def _over(step: Doc, now: datetime) -> bool:
    return step["until"] is not None and now >= datetime.fromisoformat(step["until"])


def _checked(step: Doc) -> Doc:
    kind = FaultKind(str(step.get("do", "")).partition(":")[0])
    until = step.get("until")
    if until is not None and datetime.fromisoformat(until).tzinfo is None:
        raise ValueError(f"Naive until: {until}")
    times = step.get("times", None if until is not None else 1)
    if times is not None and (not isinstance(times, int) or times < 1):
        raise ValueError(f"Not a number of times: {times!r}")
    if kind is FaultKind.DECLINE and ":" not in step["do"]:
        raise ValueError("decline needs a code: decline:CODE")
    return {"on": step.get("on", ANY_CALL), "do": step["do"], "times": times, "until": until}
