"""What happens in a life: signing step by step, paying, ending, and what goes wrong."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, assert_never

from deploy.demo.gateway import Doc, Gateway, Refused
from deploy.demo.lives import Act, Cancel, Life, PayNow, Revoke, Stock, Terminate, Trouble
from deploy.demo.people import Phones
from deploy.demo.stage import Stage

CONSENTS: Final = ("personal_data", "face_check", "credit_enquiry", "substitutes")
SHOWN_MS: Final = 9_000
AT_ONCE: Final = 6
"""Customers who sign side by side."""


@dataclass
class Troupe:
    """Everybody and everything that acts; ``agreements`` by life."""

    stage: Stage
    phones: Phones
    agreements: dict[str, Doc] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    """The code with which a life's first wish was refused."""
    documents: dict[str, int] = field(default_factory=dict)
    """Bytes of each signed document."""

    def gateway(self, life: Life) -> Gateway:
        """Return the mini-program's gateway of the merchant of *life*."""
        return self.stage.gateways[life.plan.merchant]


async def everybody_signs(troupe: Troupe, lives: list[Life]) -> None:
    """Let *lives* sign side by side."""
    bound = asyncio.Semaphore(AT_ONCE)

    async def one(life: Life) -> None:
        async with bound:
            await sign(troupe, life)

    await asyncio.gather(*(one(life) for life in lives))


async def sign(troupe: Troupe, life: Life) -> None:
    """Take a customer from the first tap to the agreement, as the mini-program does."""
    gateway, phones, person = troupe.gateway(life), troupe.phones, life.person
    application = await _begin(troupe, life)
    path = f"/v1/applications/{application['application_id']}"
    await gateway.post("signing", f"{path}/consents", _consents(), key=f"{life.key}-consents")
    await gateway.post("signing", f"{path}/identity", key=f"{life.key}-identity")
    await phones.show_face(person)
    await gateway.post("signing", f"{path}/identity/result", key=f"{life.key}-face")
    await gateway.post("signing", f"{path}/credit", key=f"{life.key}-credit")
    preview = await gateway.post("signing", f"{path}/preview", key=f"{life.key}-preview")
    await gateway.pdf("signing", preview["pdf_path"])
    shown = {
        "clauses_shown_ms": dict.fromkeys(preview["key_clauses"], SHOWN_MS),
        "device": "iPhone15,3 / WeChat 8.0",
        "ip": "203.0.113.7",
    }
    await gateway.post("signing", f"{path}/signature", shown, key=f"{life.key}-signature")
    await phones.sign_document(person)
    await gateway.until_step(application["application_id"], "mandate")
    screen = {"agreed": True, "screen_version": "2026-11", "shown_ms": SHOWN_MS}
    mandate = await gateway.post("signing", f"{path}/mandate", screen, key=f"{life.key}-mandate")
    await phones.sign_mandate(person, life.rail, mandate)
    done = await gateway.until_step(application["application_id"], "none")
    agreement = await gateway.get("signing", f"/v1/agreements/{done['agreement_id']}")
    pdf = await gateway.pdf("signing", f"/v1/agreements/{done['agreement_id']}/document.pdf")
    troupe.agreements[life.key] = agreement
    troupe.documents[life.key] = len(pdf)


async def act(troupe: Troupe, life: Life, what: Act) -> None:
    """Let one thing happen in *life*."""
    match what:
        case Trouble():
            account = {"sms": life.person.phone}.get(
                what.simulator, life.person.payer_no(life.rail)
            )
            steps = [_step(*step) for step in what.steps]
            await troupe.phones.disturb(what.simulator, account, steps)
        case Stock():
            await troupe.phones.set_stock(what.sku, what.quantity)
        case PayNow():
            await _pay_now(troupe, life, what.seq)
        case Cancel():
            await _end(troupe, life, "cancellation", None)
        case Terminate():
            await _end(troupe, life, "termination", {"reason": what.reason})
        case Revoke():
            await _revoke(troupe, life)
        case _:
            assert_never(what)


async def _begin(troupe: Troupe, life: Life) -> Doc:
    gateway = troupe.gateway(life)
    body = _wish(troupe, life)
    if life.refused_first is not None:
        rail, day = life.refused_first
        wish = body | {"rail": rail, "charge_day": day}
        try:
            await gateway.post("signing", "/v1/applications", wish, key=f"{life.key}-first-wish")
        except Refused as no:
            troupe.refusals[life.key] = no.code
    return await gateway.post("signing", "/v1/applications", body, key=f"{life.key}-application")


def _wish(troupe: Troupe, life: Life) -> Doc:
    return {
        "store_id": troupe.stage.stores[life.plan.merchant],
        "plan_id": troupe.stage.plans[life.plan_key],
        "plan_version": 1,
        "charge_day": life.charge_day,
        "rail": life.rail,
        "customer": life.person.as_applicant(),
        "pet": {
            "name": "团子",
            "species": life.plan.species,
            "breed": "英短" if life.plan.species == "cat" else "柯基",
            "size": life.size,
            "born_on": life.born_on.isoformat(),
            "sex": "female",
        },
    }


def _consents() -> Doc:
    return {
        "consents": [
            {"kind": kind, "text_version": "2026-11", "agreed": True, "shown_ms": SHOWN_MS}
            for kind in CONSENTS
        ]
    }


def _step(on: str, do: str, how_long: int | datetime) -> Doc:
    step: dict[str, Any] = {"on": on, "do": do}
    if isinstance(how_long, datetime):
        return step | {"until": how_long.isoformat()}
    return step | {"times": how_long}


async def _pay_now(troupe: Troupe, life: Life, seq: int) -> None:
    gateway = troupe.gateway(life)
    agreement_id = troupe.agreements[life.key]["agreement_id"]
    page = await gateway.get("billing", f"/v1/agreements/{agreement_id}/instalments")
    instalment = next(one for one in page["items"] if one["seq"] == seq)
    key = f"{life.key}-pay-{seq}"
    link = await gateway.post(
        "billing", f"/v1/instalments/{instalment['instalment_id']}/pay-link", key=f"{key}-link"
    )
    payment = await gateway.post(
        "billing",
        f"/v1/pay-links/{link['token']}/payments",
        {"amount_fen": instalment["amount_fen"]},
        key=key,
    )
    await troupe.phones.pay(life.person, life.rail, payment["client"])


async def _end(troupe: Troupe, life: Life, how: str, body: Doc | None) -> None:
    agreement_id = troupe.agreements[life.key]["agreement_id"]
    await troupe.gateway(life).post(
        "signing", f"/v1/agreements/{agreement_id}/{how}", body, key=f"{life.key}-{how}"
    )


async def _revoke(troupe: Troupe, life: Life) -> None:
    kind, number = (
        ("agreements", "agreement_no") if life.rail == "alipay" else ("contracts", "contract_id")
    )
    payer = life.person.payer_no(life.rail)
    for row in await troupe.phones.books(life.rail, kind):
        if payer in {row.get("user_id"), row.get("account")}:
            await troupe.phones.revoke_mandate(life.person, life.rail, row[number])
