"""
Every order of what can happen to one instalment, with a death between any two steps.

Not a model of billing but billing itself on PostgreSQL: each happening runs the real use
case, and a state once seen is not gone through again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import asyncpg
import orjson

from deploy.sandbox.alipay import AlipaySandbox
from services.billing.consumers import CONSUMERS
from services.billing.contract import ChargeCollected
from services.billing.deps import Deps
from services.billing.store import attempts, instalments, refunds
from services.billing.usecases.attempt_due_charges import attempt_due_charges
from services.billing.usecases.pay_now import pay_now
from services.billing.usecases.postpone_instalment import postpone_instalment
from services.billing.usecases.query_unclear import query_unclear
from services.billing.usecases.send_refunds import send_refunds
from services.billing.usecases.take_notification import take_alipay
from services.signing.contract import AgreementTerminated
from services.wallet.contract import RefundRequested
from shared.bus import Bus, durable
from shared.calendar import day_in_china
from shared.clock import TestClock
from shared.db import Connection
from shared.errors import Problem
from shared.ids import derived_id
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT, PAYEES
from tests.support.model_rail import Answer, ModelRail, captured, given_back
from tests.support.pinned import PinnedDatabase

ASK_AFTER: Final = timedelta(minutes=10)
SETTLES_WITHIN: Final = timedelta(days=4)
TURNS_MAX: Final = 120


class Death(BaseException):
    """The process ends here; nothing that would follow is done."""


class RewindableClock(TestClock):
    """Time that a search may turn back; nothing else may."""

    def rewind(self, now: datetime) -> None:
        self._now = now


class Mortal:
    """Counts the moments at which the process could die, and dies at the chosen one."""

    def __init__(self) -> None:
        self.passed = 0
        self.dies_at = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.dies_at:
            raise Death


@dataclass
class Scene:
    """One instalment, due today and announced; its rail; its billing."""

    conn: Connection
    deps: Deps
    clock: RewindableClock
    rail: ModelRail
    mortal: Mortal
    sandbox: AlipaySandbox
    agreement_id: UUID
    instalment_id: UUID
    token: str
    told: int = 0
    bus: Bus[Deps] = field(init=False)

    def __post_init__(self) -> None:
        self.bus = Bus("billing", CONSUMERS, db=self.deps.db, clock=self.clock, deps=self.deps)

    # What can happen ------------------------------------------------------------------

    async def charge(self) -> None:
        await attempt_due_charges(self.deps)

    async def charge_declined(self) -> None:
        await self._with(Answer.DECLINED, self.charge)

    async def charge_hidden(self) -> None:
        await self._with(Answer.HIDDEN, self.charge)

    async def charge_lost(self) -> None:
        await self._with(Answer.LOST, self.charge)

    async def notification(self) -> None:
        """The oldest notification arrives; a dead process gets it again."""
        if not self.rail.books.to_tell:
            return
        trade_no = self.rail.books.to_tell[0]
        await take_alipay(self.deps, *self._signed(trade_no))
        self.rail.books.to_tell.pop(0)

    async def query(self) -> None:
        if await self.conn.fetchval(attempts.NEXT_QUERY) is None:
            return
        self.clock.set(self.clock.now() + ASK_AFTER)
        await query_unclear(self.deps)

    async def link(self) -> None:
        await pay_now(self.deps, self.token, amount_fen=AMOUNT_FEN)

    async def link_hidden(self) -> None:
        await self._with(Answer.HIDDEN, self.link)

    async def customer_pays(self) -> None:
        self.rail.customer_pays()

    async def end(self) -> None:
        await self._hear(
            AgreementTerminated(
                event_id=derived_id("terminated", self.agreement_id),
                occurred_at=self.clock.now(),
                agreement_id=self.agreement_id,
                merchant_id=MERCHANT,
                customer_id=derived_id("customer", 1),
                reason="customer",
            )
        )

    async def postpone(self) -> None:
        day = day_in_china(self.clock.now()) + timedelta(days=9)
        async with self.deps.db.transaction() as conn:
            await postpone_instalment(
                conn, self.deps, MERCHANT, self.instalment_id, day, consent={"by": "customer"}
            )

    async def refund(self) -> None:
        """Wallet asks for what is there of an ended agreement, and refunds are sent."""
        await self._wallet_asks()
        await send_refunds(self.deps)

    async def refund_hidden(self) -> None:
        await self._with(Answer.HIDDEN, self.refund)

    # Running --------------------------------------------------------------------------

    async def happen(self, name: str, *, dies_at: int) -> bool:
        """Let *name* happen; return whether the process died of it at moment *dies_at*."""
        self.mortal.passed, self.mortal.dies_at = 0, dies_at
        happening: Callable[[], Awaitable[None]] = getattr(self, name)
        try:
            await happening()
        except Problem:
            return False  # refused in order
        except Death:
            return True
        finally:
            self.mortal.dies_at = 0
            self.rail.books.next_answer = Answer.PLAIN
        return False

    async def settle(self) -> None:
        """Let days go by in which everything that is due is done, and nobody dies."""
        until = self.clock.now() + SETTLES_WITHIN
        for _ in range(TURNS_MAX):
            while self.rail.books.to_tell:
                await self.notification()
            await self._wallet_asks()
            due = await self._next_due()
            if due is None or due > until:
                return
            self.clock.set(max(due, self.clock.now()))
            await attempt_due_charges(self.deps)
            await query_unclear(self.deps)
            await send_refunds(self.deps)
        raise AssertionError("it never settles")

    async def fingerprint(self) -> bytes:
        """Return what two moments share from which the same can follow."""
        state = [await self.conn.fetchval(_STATE), self.clock.now(), repr(self.rail.books)]
        return hashlib.sha256(orjson.dumps(state, default=str)).digest()

    async def wrongs(self) -> list[str]:
        """Return what is wrong once everything has settled."""
        books, rows = self.rail.books, await self.conn.fetch(_ATTEMPTS)
        taken, back = captured(books), given_back(books)
        succeeded = {row["trade_no"]: row for row in rows if row["state"] == "succeeded"}
        first = [row for row in succeeded.values() if not row["surplus"]]
        open_ = [row["trade_no"] for row in rows if row["state"] in {"prepared", "sent", "unknown"}]
        said = await self._said(ChargeCollected.subject)
        ended = await self.conn.fetchval("SELECT state FROM agreements") == "terminated"
        found = {
            "still open": open_,
            "taken and not known": [no for no in taken if no not in succeeded],
            "known and not taken": [no for no in succeeded if no not in taken],
            "taken twice under one number": [no for no, fen in taken.items() if fen != AMOUNT_FEN],
            "more than one success": [row["trade_no"] for row in first[1:]],
            "surplus not given back": [
                no for no, row in succeeded.items() if row["surplus"] and back.get(no) != taken[no]
            ],
            "given back more than taken": [no for no in back if back[no] > taken.get(no, 0)],
            "ended and not given back": [no for no in taken if ended and back.get(no) != taken[no]],
            "given back without a reason": [
                row["trade_no"] for row in first if not ended and row["trade_no"] in back
            ],
            "collected is not said once": [] if len(said) == len(first) else [str(len(said))],
        }
        return [f"{what}: {which}" for what, which in found.items() if which]

    async def _with(self, answer: Answer, happening: Callable[[], Awaitable[None]]) -> None:
        self.rail.books.next_answer = answer
        await happening()

    async def _hear(self, event: Any) -> None:
        await self.bus.apply(durable("billing", type(event)), [event])

    async def _wallet_asks(self) -> None:
        ended = await self.conn.fetchval("SELECT state FROM agreements") == "terminated"
        for body in await self._said(ChargeCollected.subject) if ended else []:
            await self._hear(
                RefundRequested(
                    event_id=derived_id("asked", body["charge_id"]),
                    occurred_at=self.clock.now(),
                    settlement_id=derived_id("settlement", body["charge_id"]),
                    agreement_id=self.agreement_id,
                    merchant_id=MERCHANT,
                    customer_id=derived_id("customer", 1),
                    amount_fen=body["amount_fen"],
                    reason="terminated",
                )
            )

    async def _said(self, subject: str) -> list[Any]:
        rows = await self.conn.fetch("SELECT body FROM outbox WHERE subject = $1", subject)
        return [orjson.loads(row["body"]) for row in rows]

    async def _next_due(self) -> datetime | None:
        moments = [
            await self.conn.fetchval(instalments.NEXT_TRY),
            await self.conn.fetchval(attempts.NEXT_QUERY),
            await self.conn.fetchval(refunds.NEXT_SEND),
        ]
        return min((moment for moment in moments if moment is not None), default=None)

    def _signed(self, trade_no: str) -> tuple[dict[str, str], bytes]:
        fields = {
            "notify_type": "trade_status_sync",
            "notify_id": trade_no,
            "app_id": self.deps.alipay.config.app_id,
            "charset": "utf-8",
            "seller_id": PAYEES["alipay"],
            "out_trade_no": trade_no,
            "trade_no": f"R{trade_no}",
            "trade_status": "TRADE_SUCCESS",
            "total_amount": f"{AMOUNT_FEN // 100}.{AMOUNT_FEN % 100:02d}",
        }
        return self.sandbox.composers["form"]({"fields": fields}, False)


HAPPENINGS: Final[tuple[tuple[str, ...], ...]] = (
    ("charge", "charge_declined", "charge_hidden", "charge_lost"),
    ("notification",),
    ("query",),
    ("link", "link_hidden"),
    ("customer_pays",),
    ("end",),
    ("postpone",),
    ("refund", "refund_hidden"),
)
"""Each happens at most once in a life, in one of its ways."""


@dataclass
class Explorer:
    """
    Goes through all lives of a scene in which each of *happenings* happens at most once.

    *deaths* is how many a life may hold.  What changes nothing at its moment is not gone
    through there: it may still happen later.
    """

    scene: Scene
    happenings: tuple[tuple[str, ...], ...] = HAPPENINGS
    deaths: int = 0
    seen: set[tuple[bytes, frozenset[int], int]] = field(default_factory=set)
    steps: int = 0
    ends: int = 0
    found: list[str] = field(default_factory=list)

    async def explore(
        self, done: frozenset[int] = frozenset(), deaths: int = 0, path: tuple[str, ...] = ()
    ) -> None:
        """Try everything that can happen next; where nothing can, look what came of it."""
        here = await self.scene.fingerprint()
        if (here, done, deaths) in self.seen or self.found:
            return
        self.seen.add((here, done, deaths))
        went_on = False
        for number, ways in enumerate(self.happenings):
            if number in done:
                continue
            for way in ways:
                went_on |= await self._way(way, here, done | {number}, deaths, path)
        if not went_on:
            await self._look_at_the_end(path)

    async def _way(
        self, way: str, here: bytes, done: frozenset[int], deaths: int, path: tuple[str, ...]
    ) -> bool:
        """Let *way* happen undisturbed, then with a death at each of its moments in turn."""
        dies_at, more, changed = 0, True, False
        while more and not self.found:
            async with self._rewinding():
                self.steps += 1
                died = await self.scene.happen(way, dies_at=dies_at)
                more = deaths < self.deaths and (died or dies_at == 0)
                after = await self.scene.fingerprint()
                if after != here and (died or dies_at == 0):
                    changed = True
                    name = f"{way}!{dies_at}" if died else way
                    await self.explore(done, deaths + died, (*path, name))
            dies_at += 1
        return changed

    async def _look_at_the_end(self, path: tuple[str, ...]) -> None:
        self.ends += 1
        async with self._rewinding():
            try:
                await self.scene.settle()
            except AssertionError as error:
                self.found.append(f"{' > '.join(path)}: {error}")
            self.found += [f"{' > '.join(path)}: {one}" for one in await self.scene.wrongs()]

    def _rewinding(self) -> "_Rewinding":
        return _Rewinding(self.scene)


class _Rewinding:
    """Leaves database, rail and clock as they were found."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._books = scene.rail.copy_of_books()
        self._now = scene.clock.now()
        conn = cast("asyncpg.Connection[asyncpg.Record]", scene.conn)
        self._savepoint = conn.transaction()

    async def __aenter__(self) -> None:
        await self._savepoint.start()

    async def __aexit__(self, *_: object) -> None:
        await self._savepoint.rollback()
        self._scene.rail.books = self._books
        self._scene.clock.rewind(self._now)


def scene_deps(
    deps: Deps, conn: Connection, rail: ModelRail, mortal: Mortal, clock: RewindableClock
) -> Deps:
    """Return *deps* on one connection, with one lane and the model as its only rail."""
    db = PinnedDatabase(conn, schema="billing", committed_one=mortal)
    terms = replace(deps.terms, lanes=1)
    return replace(deps, db=db, clock=clock, rails=dict.fromkeys(deps.rails, rail), terms=terms)


_ATTEMPTS: Final = "SELECT trade_no, state, surplus FROM attempts ORDER BY trade_no"

_STATE: Final = """
SELECT jsonb_build_object(
    'agreements', (SELECT jsonb_agg(to_jsonb(a) ORDER BY agreement_id) FROM agreements AS a),
    'instalments', (SELECT jsonb_agg(to_jsonb(i) ORDER BY seq) FROM instalments AS i),
    'attempts', (SELECT jsonb_agg(to_jsonb(t) ORDER BY trade_no) FROM attempts AS t),
    'refunds', (SELECT jsonb_agg(to_jsonb(r) ORDER BY refund_no) FROM refunds AS r),
    'rests', (SELECT jsonb_agg(to_jsonb(b)) FROM rail_rests AS b),
    'settlements', (SELECT count(*) FROM settlements))
"""
