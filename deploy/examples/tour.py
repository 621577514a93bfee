"""The way of two customers, call by call: signing, paying, parcels, ends, and every kind of no."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

import aiohttp

from deploy.demo.gateway import Gateway
from deploy.demo.people import Person, Phones
from deploy.demo.shop import GOODS, merchant, plan
from deploy.examples.recording import Doc, Names, Recorder
from shared.calendar import at_in_china
from shared.ids import derived_id

BEGIN: Final = at_in_china(date(2027, 1, 4), 10)
MERCHANT: Final = merchant("miao")
PLAN: Final = replace(plan("cat12"), periods=6, bundle_fen=16_800)
"""A parcel takes all that a period brings."""
SHOWN_MS: Final = 9_000
BODY_TOO_LARGE: Final = b" " * (256 * 1024 + 1)
ALIPAY_PERSON, WECHAT_PERSON = Person(901), Person(902)
NOBODY: Final = derived_id("examples", "nobody")


@dataclass(frozen=True)
class Ground:
    """A platform whose clock stands at ``BEGIN``; *key* is let in for ``MERCHANT``."""

    session: aiohttp.ClientSession
    services: Mapping[str, str]
    simulators: Mapping[str, str]
    operator_key: str
    key: str
    advance: Callable[[datetime], Awaitable[None]]
    """Live until a moment."""
    settle: Callable[[], Awaitable[object]]
    """Wait until nothing is under way."""


@dataclass(frozen=True)
class Tour:
    """One walk over a ground; steps are named as the guide names them."""

    ground: Ground
    call: Recorder
    phones: Phones
    store_id: str
    plan_id: str


async def record(ground: Ground) -> dict[str, Doc]:
    """
    Walk the whole way and return the examples by name.

    Raises:
        Unexpected: A service answers otherwise than the example is to show.
    """
    tour = await _prepare(ground)
    agreement = await _sign_on_alipay(tour)
    await _show_agreement(tour, agreement)
    await _sign_on_wechat_and_cancel(tour)
    await _let_answers_come_first(tour)
    await ground.advance(at_in_china(date(2027, 1, 25), 10))
    await _show_first_month(tour, agreement)
    await _pay_early(tour, agreement)
    await _terminate(tour, agreement)
    await _be_refused(tour, agreement)
    names = Names({**ground.services, **ground.simulators})
    examples = tour.call.examples
    return dict(zip([one.name for one in examples], names.of(examples), strict=True))


async def _prepare(ground: Ground) -> Tour:
    """Open the shop; a merchant's own staff does this, so it is not recorded."""
    operator = Gateway(ground.session, ground.services, ground.operator_key)
    gateway = Gateway(ground.session, ground.services, ground.key)
    merchant_path = f"/v1/merchants/{MERCHANT.merchant_id}"
    await operator.post("signing", "/v1/merchants", MERCHANT.as_body(), key="merchant")
    await operator.post("signing", f"{merchant_path}/approval", {}, key="approval")
    place: Doc = {"name": "文三路店", "city": MERCHANT.city, "address": "文三路 1 号"}
    store = await gateway.post("signing", "/v1/stores", place, key="store")
    for good in GOODS:
        if good.merchant == MERCHANT.key:
            sku: Doc = {"sku": good.sku, "name": good.name, "supply_cost_fen": good.cost_fen}
            await gateway.post("fulfillment", "/v1/skus", sku, key=good.sku)
    drafted = await gateway.post("signing", "/v1/plans", PLAN.as_body(), key="plan")
    plan_path = f"/v1/plans/{drafted['plan_id']}"
    await gateway.post("signing", f"{plan_path}/versions/1/publication", key="publication")
    await ground.settle()
    recorder = Recorder(ground.session, ground.services, ground.key)
    phones = Phones(ground.session, ground.simulators)
    return Tour(ground, recorder, phones, store["store_id"], drafted["plan_id"])


async def _sign_on_alipay(tour: Tour) -> Doc:
    call, person = tour.call, ALIPAY_PERSON
    await call.get("plans", "Which plans are offered", "signing:/v1/plans")
    quote = {"plan_id": tour.plan_id, "plan_version": 1, "rail": "alipay", "charge_day": 15}
    title = "What a plan costs, every amount and date"
    await call.post("quote", title, "signing:/v1/quotes", quote, key="quote-1", expect=201)
    wish = _wish(tour, person, "alipay")
    title = "Start an application"
    path = "signing:/v1/applications"
    application = await call.post(
        "application-start", title, path, wish, key="application-1", expect=201
    )
    await call.post(
        "application-repeated",
        "The same request under the same key: the same answer, once more",
        path,
        wish,
        key="application-1",
        expect=201,
    )
    at = f"signing:/v1/applications/{application['application_id']}"
    title = "Refused: a step that is not the next one"
    await call.post("problem-step-not-next", title, f"{at}/credit", key="early-1", expect=409)
    await _identify(tour, at, person)
    await _agree(tour, at, person)
    await _authorise(tour, at, person)
    done = await call.get("application-done", "The application has become an agreement", at)
    title = "Read the agreement and its schedule"
    where = f"signing:/v1/agreements/{done['agreement_id']}"
    agreement: Doc = await call.get("agreement", title, where)
    return agreement


async def _identify(tour: Tour, at: str, person: Person) -> None:
    call = tour.call
    title = "Step consents: three that are needed, substitutes if the customer likes"
    await call.post("consents", title, f"{at}/consents", _consents(), key="consents-1")
    title = "Step identity: begin the face check, open the url"
    await call.post("identity", title, f"{at}/identity", key="identity-1")
    title = "Whose turn it is while the customer is at the provider's page"
    await call.get("application-waits", title, at)
    await tour.phones.show_face(person)
    title = "The customer is back: look at the result now"
    await call.post("identity-result", title, f"{at}/identity/result")
    title = "Step credit: ask for the score"
    await call.post("credit", title, f"{at}/credit", key="credit-1")


async def _agree(tour: Tour, at: str, person: Person) -> None:
    call = tour.call
    title = "Step preview: write the agreement"
    preview = await call.post("preview", title, f"{at}/preview", key="preview-1")
    title = "Show the agreement as PDF"
    await call.get("preview-pdf", title, f"signing:{preview['pdf_path']}")
    shown = dict.fromkeys(preview["key_clauses"], SHOWN_MS)
    title = "Step signature: each key clause was shown; open the url"
    await call.post("signature", title, f"{at}/signature", _sitting(shown), key="signature-1")
    await tour.phones.sign_document(person)
    await tour.ground.settle()
    title = "The customer has signed: look at the result now"
    await call.post("signature-result", title, f"{at}/signature/result")


async def _authorise(tour: Tour, at: str, person: Person) -> None:
    call = tour.call
    title = "Step mandate on Alipay: hand sign_str to my.paySignCenter"
    mandate = await call.post("mandate-alipay", title, f"{at}/mandate", _screen(), key="mandate-1")
    await tour.phones.sign_mandate(person, "alipay", mandate)
    await tour.ground.settle()
    title = "The customer is back from Alipay: look at the result now"
    await call.post("mandate-result", title, f"{at}/mandate/result")


async def _show_agreement(tour: Tour, agreement: Doc) -> None:
    call, at = tour.call, f"signing:/v1/agreements/{agreement['agreement_id']}"
    title = "Fetch the signed agreement as PDF"
    await call.get("agreement-pdf", title, f"{at}/document.pdf")
    title = "The evidence: hash chain and documents, checked just now"
    await call.get("evidence", title, f"{at}/evidence")
    await call.get("history", "Every move, by whom and why", f"{at}/history")
    title = "The customer, masked"
    await call.get("customer", title, f"signing:/v1/customers/{agreement['customer_id']}")
    at = f"billing:/v1/agreements/{agreement['agreement_id']}/instalments"
    title = "Instalments, three on a page"
    page = await call.get("instalments", title, f"{at}?limit=3")
    title = "The next page"
    await call.get("instalments-next", title, f"{at}?limit=3&cursor={page['next_cursor']}")


async def _sign_on_wechat_and_cancel(tour: Tour) -> None:
    """Let the second customer sign; only what differs from the first is recorded."""
    ground, person = tour.ground, WECHAT_PERSON
    gateway = Gateway(ground.session, ground.services, ground.key)
    wish = _wish(tour, person, "wechatpay")
    started = await gateway.post("signing", "/v1/applications", wish, key="application-2")
    path = f"/v1/applications/{started['application_id']}"
    await gateway.post("signing", f"{path}/consents", _consents(), key="consents-2")
    await gateway.post("signing", f"{path}/identity", key="identity-2")
    await tour.phones.show_face(person)
    await gateway.post("signing", f"{path}/identity/result", key="")
    await gateway.post("signing", f"{path}/credit", key="credit-2")
    preview = await gateway.post("signing", f"{path}/preview", key="preview-2")
    sitting = _sitting(dict.fromkeys(preview["key_clauses"], SHOWN_MS))
    await gateway.post("signing", f"{path}/signature", sitting, key="signature-2")
    await tour.phones.sign_document(person)
    await ground.settle()
    await gateway.post("signing", f"{path}/signature/result", key="")
    title = "Step mandate on WeChat Pay: open its mini-program with extra_data"
    mandate = await tour.call.post(
        "mandate-wechatpay", title, f"signing:{path}/mandate", _screen(), key="mandate-2"
    )
    await tour.phones.sign_mandate(person, "wechatpay", mandate)
    await ground.settle()
    done = await gateway.post("signing", f"{path}/mandate/result", key="")
    at = f"signing:/v1/agreements/{done['agreement_id']}"
    title = "Cancel within 48 hours, for no reason and without cost"
    await tour.call.post("cancel", title, f"{at}/cancellation", key="cancel-2")
    await ground.settle()


async def _let_answers_come_first(tour: Tour) -> None:
    """Let the rail's answer win against its notification, so that every run tells the same."""
    payer = ALIPAY_PERSON.payer_no("alipay")
    await tour.phones.disturb("alipay", payer, [{"on": "notify", "do": "reorder:30"}])


async def _show_first_month(tour: Tour, agreement: Doc) -> None:
    call, agreement_id = tour.call, agreement["agreement_id"]
    first = await _instalment(tour, agreement, 1)
    title = "Everything on record about one instalment"
    await call.get(
        "instalment-explain", title, f"billing:/v1/instalments/{first['instalment_id']}/explain"
    )
    customer = f"wallet:/v1/customers/{agreement['customer_id']}"
    await call.get("wallet", "The pet wallet", f"{customer}/wallet")
    title = "Every transfer of the customer, newest first"
    await call.get("transfers", title, f"{customer}/transfers")
    title = "Shipments of an agreement"
    at = f"fulfillment:/v1/shipments?agreement_id={agreement_id}"
    shipments = await call.get("shipments", title, at)
    title = "A shipment with its contents, parcel and track"
    shipment_id = shipments["items"][0]["shipment_id"]
    await call.get("shipment", title, f"fulfillment:/v1/shipments/{shipment_id}")


async def _pay_early(tour: Tour, agreement: Doc) -> None:
    call = tour.call
    second = await _instalment(tour, agreement, 2)
    at = f"billing:/v1/instalments/{second['instalment_id']}"
    title = "The payment link of an instalment: early, due or overdue"
    link = await call.post("pay-link", title, f"{at}/pay-link", key="link-1")
    pay = f"billing:/v1/pay-links/{link['token']}/payments"
    title = "Refused: an instalment is paid as a whole"
    less = {"amount_fen": link["amount_fen"] - 1}
    await call.post("problem-amount-differs", title, pay, less, key="payment-0", expect=422)
    title = "Open a payment: hand client to the mini-program's payment call"
    whole = {"amount_fen": link["amount_fen"]}
    payment = await call.post("payment", title, pay, whole, key="payment-1", expect=201)
    await tour.phones.pay(ALIPAY_PERSON, "alipay", payment["client"])
    await tour.ground.settle()
    await call.get("instalment-paid", "The customer is back: is it paid?", at)
    title = "Refused: nothing is left to pay"
    await call.post("problem-nothing-to-pay", title, f"{at}/pay-link", key="link-2", expect=409)


async def _terminate(tour: Tour, agreement: Doc) -> None:
    call, at = tour.call, f"signing:/v1/agreements/{agreement['agreement_id']}"
    title = "Refused: the cooling-off time is over"
    await call.post(
        "problem-cooling-off-over", title, f"{at}/cancellation", key="cancel-1", expect=409
    )
    why = {"reason": "customer_wish"}
    title = "End an agreement early; what is not spent goes back"
    await call.post("terminate", title, f"{at}/termination", why, key="terminate-1")
    await tour.ground.advance(at_in_china(date(2027, 1, 26), 10))
    path = f"billing:/v1/refunds?agreement_id={agreement['agreement_id']}"
    await call.get("refunds", "What went back to the customer's account", path)
    path = f"wallet:/v1/agreements/{agreement['agreement_id']}/ledger"
    await call.get("ledger", "What became of all the money of the agreement", path)


async def _be_refused(tour: Tour, agreement: Doc) -> None:
    call, path = tour.call, "signing:/v1/applications"
    wish = _wish(tour, ALIPAY_PERSON, "alipay")
    title = "400: the body does not fit its form"
    wrong = {"charge_day": 0, "rail": "cash", "coupon": "x"}
    await call.post("problem-malformed", title, path, wrong, key="wrong-1", expect=400)
    title = "400: a POST without an Idempotency-Key"
    await call.post("problem-idempotency-key-missing", title, path, wish, expect=400)
    title = "401: no key, or not a valid one"
    await call.call("GET", "problem-unauthentic", title, path, signed=False, expect=401)
    title = "403: the key's scopes do not open this"
    decide = f"signing:/v1/merchants/{MERCHANT.merchant_id}/approval"
    await call.post("problem-scope-missing", title, decide, {}, key="decide-1", expect=403)
    title = "404: unknown, or another merchant's"
    await call.get("problem-not-found", title, f"signing:/v1/agreements/{NOBODY}", expect=404)
    title = "413: more bytes than this takes"
    await call.post("problem-too-large", title, path, BODY_TOO_LARGE, key="large-1", expect=413)
    title = "422: the key was used with another request"
    other = wish | {"charge_day": 16}
    reused = "problem-idempotency-key-reused"
    await call.post(reused, title, path, other, key="application-1", expect=422)
    title = "422: Alipay does not charge on the 31st; the allowed days are named"
    late = wish | {"charge_day": 31}
    await call.post("problem-charge-day", title, path, late, key="late-1", expect=422)
    title = "An agreement that has ended"
    at = f"signing:/v1/agreements/{agreement['agreement_id']}"
    await call.get("agreement-ended", title, at)


async def _instalment(tour: Tour, agreement: Doc, seq: int) -> Doc:
    gateway = Gateway(tour.ground.session, tour.ground.services, tour.ground.key)
    path = f"/v1/agreements/{agreement['agreement_id']}/instalments"
    page = await gateway.get("billing", path)
    found: Doc = next(one for one in page["items"] if one["seq"] == seq)
    return found


def _wish(tour: Tour, person: Person, rail: str) -> Doc:
    pet = {
        "name": "团子",
        "species": "cat",
        "breed": "英短",
        "size": "medium",
        "born_on": "2024-05-01",
        "sex": "female",
    }
    return {
        "store_id": tour.store_id,
        "plan_id": tour.plan_id,
        "plan_version": 1,
        "charge_day": 15,
        "rail": rail,
        "customer": person.as_applicant(),
        "pet": pet,
    }


def _consents() -> Doc:
    kinds = ("personal_data", "face_check", "credit_enquiry", "substitutes")
    answer: dict[str, Any] = {"text_version": "2026-11", "agreed": True, "shown_ms": SHOWN_MS}
    return {"consents": [{"kind": kind} | answer for kind in kinds]}


def _sitting(shown: Mapping[str, int]) -> Doc:
    device = {"device": "iPhone15,3 / WeChat 8.0", "ip": "203.0.113.7"}
    return {"clauses_shown_ms": dict(shown), **device}


def _screen() -> Doc:
    return {"agreed": True, "screen_version": "2026-11", "shown_ms": SHOWN_MS}
