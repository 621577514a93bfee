"""One life told with its dates and amounts, from the events that the services published."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from deploy.audit import auditor
from deploy.demo.lives import Life
from deploy.demo.words import Language, rail_name, say
from deploy.running import RunningPlatform
from shared.calendar import day_in_china
from shared.money import yuan

Doc = dict[str, Any]

_EVENTS: Final = """
    SELECT subject, occurred_at, body FROM (
        SELECT created_at, subject, occurred_at, body FROM signing.outbox
        UNION ALL SELECT created_at, subject, occurred_at, body FROM billing.outbox
        UNION ALL SELECT created_at, subject, occurred_at, body FROM wallet.outbox
        UNION ALL SELECT created_at, subject, occurred_at, body FROM fulfillment.outbox
    ) AS said
    ORDER BY occurred_at, created_at
    """
_UNCLEAR: Final = """
    SELECT a.agreement_id, i.seq, h.moved_at
      FROM billing.history h
      JOIN billing.attempts a ON a.attempt_id = h.thing_id
      JOIN billing.instalments i ON i.instalment_id = a.instalment_id
     WHERE h.thing = 'attempt' AND h.to_state = 'unknown'
    """


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that was published about one agreement."""

    at: datetime
    kind: str
    facts: Doc


async def read_happenings(running: RunningPlatform) -> Mapping[str, Sequence[Happening]]:
    """Return everything that was published, by agreement, in order of time."""
    found: dict[str, list[Happening]] = {}
    async with auditor(running.auditor_dsn) as conn:
        for row in await conn.fetch(_EVENTS):
            facts: Doc = orjson.loads(row["body"])
            if "agreement_id" in facts:
                kind = row["subject"].rpartition(".v")[0]
                found.setdefault(facts["agreement_id"], []).append(
                    Happening(row["occurred_at"], kind, facts)
                )
        for row in await conn.fetch(_UNCLEAR):
            happening = Happening(row["moved_at"], "unclear", {"seq": row["seq"]})
            found.setdefault(str(row["agreement_id"]), []).append(happening)
    return {key: sorted(events, key=lambda one: one.at) for key, events in found.items()}


def tell(
    language: Language, life: Life, happenings: Sequence[Happening], *, refused: str
) -> list[str]:
    """Return the lines of one life: what was usual in one line, what was not by itself."""
    title = life.zh if language is Language.ZH else life.en
    rail = rail_name(language, life.rail)
    lines = [f"{life.number:>2}  {life.person.name}  {title}  [{rail}]"]
    if life.refused_first is not None:
        asked, day = life.refused_first
        text = say(
            language, "refused_first", rail=rail_name(language, asked), day=day, code=refused
        )
        lines.append(_line(life.signs_at, text))
    told = _Teller(language)
    for happening in happenings:
        told.hear(happening)
    return lines + told.finish()


class _Teller:
    """Writes lines; periods that were paid at once and parcels that came gather in runs."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._lines: list[str] = []
        self._run: list[Happening] = []
        self._troubled: set[int] = set()
        self._delivered: list[datetime] = []
        self._items = ""

    def hear(self, happening: Happening) -> None:
        facts = happening.facts
        match happening.kind:
            case "billing.charge.collected" if self._usual(facts):
                if self._run and self._run[-1].facts["amount_fen"] != facts["amount_fen"]:
                    self._tell_run()
                self._run.append(happening)
            case "fulfillment.shipment.delivered":
                self._delivered.append(happening.at)
            case "fulfillment.shipment.dispatched":
                self._tell_contents(happening)
            case _:
                text = self._text(happening)
                if text:
                    self._tell_run()
                    self._lines.append(_line(happening.at, text))

    def finish(self) -> list[str]:
        self._tell_run()
        if self._delivered:
            last = self._delivered[-1]
            text = say(
                self._language,
                "delivered_run",
                n=len(self._delivered),
                day=day_in_china(last),
            )
            self._lines.append(_line(last, text))
        return sorted(self._lines, key=lambda line: line[:14])

    def _usual(self, facts: Doc) -> bool:
        return facts["source"] == "automatic" and facts["seq"] not in self._troubled

    def _tell_run(self) -> None:
        run, self._run = self._run, []
        if not run:
            return
        first, last = run[0].facts, run[-1].facts
        if len(run) == 1:
            text = say(
                self._language, "collected", seq=first["seq"], amount=_yuan(first["amount_fen"])
            )
        else:
            text = say(
                self._language,
                "collected_run",
                first=first["seq"],
                last=last["seq"],
                amount=_yuan(first["amount_fen"]),
                day=day_in_china(run[-1].at),
            )
        self._lines.append(_line(run[0].at, text))

    def _tell_contents(self, happening: Happening) -> None:
        items = _items(happening.facts["items"])
        if items != self._items:
            what = "contents_changed" if self._items else "dispatched_first"
            text = say(self._language, what, seq=happening.facts["seq"], items=items)
            self._tell_run()
            self._lines.append(_line(happening.at, text))
        self._items = items

    def _text(self, happening: Happening) -> str:
        facts, kind = happening.facts, happening.kind
        if kind in {"unclear", "billing.charge.failed", "billing.instalment.postponed"}:
            self._troubled.add(facts["seq"])
        told = _TEXTS.get(kind)
        if told is None:
            return ""
        text, gather = told
        return say(self._language, text, **gather(facts, self._language))


def _line(at: datetime, text: str) -> str:
    return f"    {day_in_china(at)}  {text}"


def _yuan(fen: int) -> str:
    return f"¥{yuan(fen)}"


def _items(items: Iterable[Doc]) -> str:
    return " + ".join(
        item["name"] if item["quantity"] == 1 else f"{item['name']}×{item['quantity']}"
        for item in items
    )


def _signed(facts: Doc, _: Language) -> Doc:
    amount = facts["instalments"][0]["amount_fen"]
    return {"plan": facts["plan_name"], "periods": facts["periods"], "amount": _yuan(amount)}


def _nothing(_facts: Doc, _: Language) -> Doc:
    return {}


def _paid(facts: Doc, _: Language) -> Doc:
    return {"seq": facts["seq"], "amount": _yuan(facts["amount_fen"])}


def _seq(facts: Doc, _: Language) -> Doc:
    return {"seq": facts["seq"]}


def _stock(facts: Doc, language: Language) -> Doc:
    instead = facts["substitute_sku"]
    what = say(language, "substituted", sku=instead) if instead else say(language, "waits")
    return {"seq": facts["seq"], "sku": facts["sku"], "what": what}


_TEXTS: Final[Mapping[str, tuple[str, Any]]] = {
    "signing.agreement.signed": ("signed", _signed),
    "signing.agreement.activated": ("activated", _nothing),
    "signing.agreement.cancelled": ("cancelled", _nothing),
    "signing.agreement.terminated": ("terminated", lambda f, _: {"reason": f["reason"]}),
    "signing.agreement.completed": ("completed", _nothing),
    "signing.mandate.revoked": ("revoked", _nothing),
    "signing.mandate.closed": ("mandate_closed", _nothing),
    "billing.charge.collected": ("collected", _paid),
    "billing.charge.failed": (
        "failed_try",
        lambda f, _: {"seq": f["seq"], "n": f["attempt_no"], "why": f["failure_class"]},
    ),
    "billing.charge.exhausted": ("exhausted", _seq),
    "billing.instalment.overdue": (
        "overdue",
        lambda f, _: {"seq": f["seq"], "days": f["days_late"], "rung": f["rung"]},
    ),
    "billing.instalment.settled": ("settled", _seq),
    "billing.instalment.postponed": (
        "postponed",
        lambda f, _: {"seq": f["seq"], "day": f["to_day"], "why": f["reason"]},
    ),
    "billing.refund.succeeded": ("refunded", lambda f, _: {"amount": _yuan(f["amount_fen"])}),
    "billing.risk.flagged": ("flagged", _nothing),
    "fulfillment.shipment.out_of_stock": ("out_of_stock", _stock),
    "fulfillment.shipment.cancelled": ("shipment_cancelled", _seq),
    "fulfillment.stage.changed": (
        "grew",
        lambda f, _: {"before": f["from_stage"], "after": f["to_stage"]},
    ),
    "unclear": ("unclear", _seq),
}
"""By what was published: the text, and the facts it needs."""
