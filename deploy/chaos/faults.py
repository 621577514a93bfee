"""How the providers lie on the billing day: fault scripts by seed."""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
import orjson

from deploy.chaos.cast import Customer
from services.fulfillment.domain.shipment import shipment_id_for, shipment_no

FOR_EVER: Final = "2099-01-01T00:00:00+00:00"
AT_ONCE: Final = 32

LIES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "alipay": (
        ("pay", "hide_answer"),
        ("pay", "http_500"),
        ("pay", "outage"),
        ("pay", "delay:400"),
        ("pay", "bad_signature"),
        ("pay", "wrong_amount"),
        ("query", "hide_answer"),
        ("query", "wrong_amount"),
        ("notify", "duplicate"),
        ("notify", "reorder:45"),
        ("notify", "bad_signature"),
        ("notify", "drop"),
    ),
    "wechatpay": (
        ("apply", "hide_answer"),
        ("apply", "http_500"),
        ("apply", "outage"),
        ("apply", "delay:400"),
        ("apply", "bad_signature"),
        ("query", "hide_answer"),
        ("query", "http_500"),
        ("query", "wrong_amount"),
        ("notify", "duplicate"),
        ("notify", "reorder:45"),
        ("notify", "bad_signature"),
        ("notify", "drop"),
    ),
}
"""
What a rail may do to a customer's charge, by call.

A wrong amount in a signed notification is not among them: it waits for a person, as it must,
and nobody is here to look at it.  The answers of calls carry wrong amounts enough.
"""

ELSEWHERE: Final = (
    ("sms", "phone", ("send", "hide_answer")),
    ("sms", "phone", ("send", "http_500")),
    ("sms", "phone", ("notify", "duplicate")),
    ("wechat", "payer", ("send", "http_500")),
    ("wechat", "payer", ("notify", "duplicate")),
    ("jst", "order", ("upload", "hide_answer")),
    ("jst", "order", ("upload", "http_500")),
    ("jst", "order", ("notify", "duplicate")),
    ("jst", "order", ("notify", "reorder:30")),
    ("jst", "order", ("notify", "drop")),
)
"""The same for providers of messages and the warehouse: simulator, whose account, lie."""

SHARE_OF_RAILS: Final = 0.5
SHARE_ELSEWHERE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Script:
    """What one simulator does to one account."""

    simulator: str
    account: str
    steps: tuple[Mapping[str, Any], ...]


def declines(customers: Sequence[Customer]) -> list[Script]:
    """Return what the banks refuse, in peace and under fire: a number once refused stays so."""
    return [
        Script(
            one.rail,
            one.trade_no(attempt_no),
            ({"on": "pay", "do": f"decline:{code}", "until": FOR_EVER},),
        )
        for one in customers
        for attempt_no, code in enumerate(one.declines, 1)
    ]


def lies(seed: int, customers: Sequence[Customer]) -> list[Script]:
    """Return what goes wrong under fire and must not show in any book."""
    luck = Random(f"lies {seed}")  # noqa: S311 - repeatable, not secret
    scripts = []
    for one in customers:
        if luck.random() < SHARE_OF_RAILS:
            told = luck.sample(_possible(one), luck.choice((1, 1, 2)))
            scripts.append(Script(one.rail, one.payer_no, tuple(map(_step, told))))
        if luck.random() < SHARE_ELSEWHERE:
            simulator, whose, lie = luck.choice(ELSEWHERE)
            scripts.append(Script(simulator, _account(one, whose), (_step(lie),)))
    return scripts


def met(scripts: Sequence[Script], books: Path) -> dict[str, int]:
    """Return how many steps of each kind calls have met; what none met is left in *books*."""
    given = _kinds(step for script in scripts for step in script.steps)
    left: Counter[str] = Counter()
    for file in books.glob("*.sqlite"):
        with contextlib.closing(sqlite3.connect(file)) as book:
            rows = book.execute("SELECT doc FROM entries WHERE kind = '_faults'").fetchall()
        left += _kinds(step for (doc,) in rows for step in orjson.loads(doc)["steps"])
    return {kind: number - left[kind] for kind, number in sorted(given.items())}


def _kinds(steps: Iterable[Mapping[str, Any]]) -> Counter[str]:
    return Counter(str(step["do"]).partition(":")[0] for step in steps)


async def give(
    session: aiohttp.ClientSession, simulators: Mapping[str, str], scripts: Sequence[Script]
) -> None:
    """Hand each simulator its scripts."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def put(script: Script) -> None:
        url = f"{simulators[script.simulator]}/_sandbox/faults/{script.account}"
        async with gate, session.put(url, json={"steps": list(script.steps)}) as answer:
            answer.raise_for_status()

    await asyncio.gather(*map(put, scripts))


def _possible(one: Customer) -> list[tuple[str, str]]:
    """Return the lies that leave alone what the bank decides: one step meets one call."""
    return [lie for lie in LIES[one.rail] if not (one.declines and lie[0] in {"pay", "apply"})]


def _step(lie: tuple[str, str]) -> Mapping[str, Any]:
    return {"on": lie[0], "do": lie[1]}


def _account(one: Customer, whose: str) -> str:
    match whose:
        case "phone":
            return one.phone
        case "order":
            return shipment_no(shipment_id_for(one.instalment_id))
        case _:
            return one.payer_no
