"""
What each service serves as its document is true, and bad input gets a problem document.

Operations, their parameters and their keys come from the documents themselves, over HTTP from
all services as they run: an endpoint that is added is tested by being there.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from deploy.secrets import Secrets
from deploy.topology import SERVICES
from shared.api_keys import new_token
from shared.ids import derived_id, new_id
from shared.openapi import document
from tests.support.dates import at
from tests.support.gateway import Agreement, Shop
from tests.support.servers import TestDatabases
from tests.support.world import World, let_in, world_of

OPERATORS = {"merchants:write", "merchants:decide", "wallet:operate"}
CODE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
NOBODY: Final = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Operation:
    """One endpoint as its document describes it."""

    service: str
    method: str
    path: str
    described: dict[str, Any]
    definitions: dict[str, Any] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return list(self.described.get("parameters", []))

    @property
    def scope(self) -> str | None:
        security = self.described["security"]
        return security[0]["key"][0] if security else None

    @property
    def keyed(self) -> bool:
        return any(one["name"] == "Idempotency-Key" for one in self.parameters)

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.described["responses"]}

    @property
    def body(self) -> dict[str, Any] | None:
        """Return the JSON Schema of the body, None where there is none."""
        content = self.described.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema and "$ref" in schema:
            return dict(self.definitions[schema["$ref"].rpartition("/")[2]])
        return schema  # type: ignore[no-any-return]  # plain JSON

    @property
    def webhook(self) -> bool:
        return self.path.startswith("/webhooks/")

    def path_schemas(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one["schema"] for one in self.parameters if one["in"] == "path"}

    def at(self, **known: object) -> str:
        """Return the path with *known* values, and with those of nobody for the rest."""
        path = self.path
        for name, schema in self.path_schemas().items():
            path = path.replace(f"{{{name}}}", str(known.get(name, _nobodys(schema))))
        return path


def _nobodys(schema: dict[str, Any]) -> str:
    if schema.get("format") == "uuid":
        return NOBODY
    return "1" if schema.get("type") == "integer" else "nobodys"


def operations() -> Iterator[Operation]:
    for name in SERVICES:
        described = document(import_module(f"services.{name}.app").SERVICE.api)
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                definitions = described["components"]["schemas"]
                yield Operation(name, method.upper(), path, operation, definitions)


ALL: Final = list(operations())
GUARDED: Final = [one for one in ALL if one.scope is not None]
WITH_BODY: Final = [one for one in ALL if one.body is not None and one.scope is not None]
WITH_IDS: Final = [one for one in GUARDED if one.path_schemas()]
WEBHOOKS: Final = [one for one in ALL if one.webhook]


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    text: str

    @property
    def problem(self) -> dict[str, Any]:
        """Return the problem document that this must be."""
        assert self.content_type == "application/problem+json", (self.status, self.text)
        told: dict[str, Any] = json.loads(self.text)
        assert told["status"] == self.status
        assert CODE.fullmatch(told["code"])
        assert told["type"] == f"/problems/{told['code']}"
        return told


@dataclass
class Callers:
    """The running services and keys to them: ours, a stranger's, and one that opens nothing."""

    world: World
    shop: Shop
    agreement: Agreement
    ids: dict[str, object]
    stranger: str = field(default_factory=lambda: new_token("live"))
    useless: str = field(default_factory=lambda: new_token("live"))

    async def ask(
        self,
        one: Operation,
        *,
        path: str = "",
        key: str = "",
        raw: bytes = b"{}",
        content_type: str = "application/json",
        token: str = "fresh",
    ) -> Answer:
        headers = {"Content-Type": content_type}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if one.keyed and token:
            headers["Idempotency-Key"] = new_id().hex
        url = f"{self.world.around.services[one.service]}{path or one.at()}"
        sent = None if one.method == "GET" else raw
        async with self.world.session.request(
            one.method, url, data=sent, headers=headers
        ) as answer:
            text = await answer.text(errors="replace")
            assert answer.status < 500, (one, text)
            return Answer(answer.status, answer.content_type, text)


@pytest.fixture(scope="module")
async def callers(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets
) -> AsyncIterator[Callers]:
    """A world in which one customer has paid once, so that there is something of everything."""
    start = at("2027-01-04 10:00")
    async with world_of(databases, parties, platform_secrets, now=start) as world:
        shop = Shop(world, merchant_id=derived_id("merchant", "openapi"))
        await shop.open()
        agreement = await shop.sign()
        await world.until(at("2027-01-20"))
        made = Callers(world, shop, agreement, await _ids(world, shop, agreement))
        for name in SERVICES:
            await let_in(world, name, made.stranger, tenant_id=new_id(), scopes=["*"])
            await let_in(world, name, made.useless, tenant_id=shop.merchant_id, scopes=["none"])
        yield made


_A_BILL_DAY = """
    INSERT INTO bill_days (day_id, rail, account_no, day, state, opened_at)
    VALUES (uuidv7(), 'alipay', 'example', '2020-01-01', 'expected', now())
    RETURNING day_id
"""
_A_TICKET = """
    INSERT INTO bill_tickets (day_id, kind, what, cause, number, merchant_id, opened_at)
    SELECT day_id, 'missing_there', 'charge', 'not_listed', 'YF', $1, now()
      FROM bill_days WHERE account_no = 'example'
    RETURNING ticket_id
"""


_A_REFUND = """
    INSERT INTO refunds (refund_id, refund_no, attempt_id, instalment_id, agreement_id,
                         merchant_id, customer_id, rail, amount_fen, reason, state, created_at)
    SELECT uuidv7(), 'RF00000001', attempt_id, instalment_id, agreement_id, merchant_id,
           customer_id, rail, 1, 'example', 'failed', now()
      FROM attempts LIMIT 1
    RETURNING refund_id
"""
_A_SETTLEMENT = """
    INSERT INTO settlements (merchant_id, settlement_id, agreement_id, customer_id, seq, rail,
                             amount_fen, reason, requested_at)
    VALUES ($1, uuidv7(), $2, uuidv7(), 1, 'alipay', 1, 'goodwill', now())
    RETURNING settlement_id
"""


async def _ids(world: World, shop: Shop, agreement: Agreement) -> dict[str, object]:
    """Return one id of everything that has one, by the name that paths give it."""
    application = "SELECT application_id FROM applications LIMIT 1"
    instalment = "SELECT instalment_id FROM instalments WHERE seq = 1"
    return {
        "merchant_id": shop.merchant_id,
        "plan_id": shop.plan_id,
        "version": 1,
        "application_id": await world.value("signing", application),
        "agreement_id": agreement.agreement_id,
        "customer_id": agreement.customer_id,
        "instalment_id": await world.value("billing", instalment),
        "cause_id": await world.value("billing", instalment),
        "shipment_id": await world.value("fulfillment", "SELECT shipment_id FROM shipments"),
        "sku": "FOOD-ADULT",
        "order_id": await _an_order(world, shop, agreement),
        "redemption_id": await _a_redemption(world, shop, agreement),
        "refund_id": await world.value("billing", _A_REFUND),
        "settlement_id": await world.value(
            "wallet", _A_SETTLEMENT, shop.merchant_id, agreement.agreement_id
        ),
        "statement_id": await _a_statement(world, shop),
        "payout_id": await _a_payout(world, shop),
        "advance_id": await _an_advance(world, shop),
        "claim_id": await _a_claim(shop, agreement),
        "task_id": await world.value("billing", "SELECT task_id FROM tasks"),
        "day_id": await world.value("billing", _A_BILL_DAY),
        "ticket_id": await world.value("billing", _A_TICKET, shop.merchant_id),
        "message_id": await world.value("notify", "SELECT message_id FROM messages LIMIT 1"),
        **await _a_quote(world, shop),
        **await _a_treatment(world, shop),
    }


_A_QUOTE = """
    INSERT INTO quotes (quote_id, merchant_id, plan_id, plan_version, rail, charge_day, quoted_at)
    VALUES (uuidv7(), $1, $2, 1, 'alipay', 15, '2027-01-20')
    RETURNING quote_id
"""
_A_SHARE = """
    INSERT INTO quote_shares (code, quote_id, merchant_id, shared_at, expires_at)
    VALUES ('0123456789abcdef', $2, $1, '2027-01-20', '2030-01-20')
    RETURNING code
"""
_A_TREATMENT = """
    INSERT INTO procedure_prices (merchant_id, procedure, species, name, low_fen, likely_fen,
                                  high_fen, changed_at)
    VALUES ($1, 'spay', 'cat', '绝育手术', 1, 2, 3, now())
    RETURNING procedure
"""


async def _a_quote(world: World, shop: Shop) -> dict[str, object]:
    quote_id = await world.value("signing", _A_QUOTE, shop.merchant_id, shop.plan_id)
    code = await world.value("signing", _A_SHARE, shop.merchant_id, quote_id)
    return {"quote_id": quote_id, "code": code}


async def _a_treatment(world: World, shop: Shop) -> dict[str, object]:
    procedure = await world.value("signing", _A_TREATMENT, shop.merchant_id)
    return {"procedure": procedure, "species": "cat"}


async def _an_order(world: World, shop: Shop, agreement: Agreement) -> object:
    """Return an order by which the second period is about to be paid."""
    rows = "SELECT instalment_id, amount_fen FROM instalments WHERE seq = 2"
    (second,) = await world.rows("billing", rows)
    body = {
        "instalment_ids": [str(second["instalment_id"])],
        "total_fen": second["amount_fen"],
    }
    path = f"/v1/agreements/{agreement.agreement_id}/payment-orders"
    return (await shop.post("billing", path, body))["order_id"]


async def _a_claim(shop: Shop, agreement: Agreement) -> object:
    """Return a hardship, about which staff have a task."""
    body = {"reason": "lost_job", "reported_by": "gateway"}
    path = f"/v1/agreements/{agreement.agreement_id}/hardship"
    return (await shop.post("billing", path, body))["claim_id"]


async def _a_statement(world: World, shop: Shop) -> object:
    columns = "'day', '2026-12-01', '2026-12-01', '{}', 0, 0, 0, '', '', '', now()"
    return await world.value(
        "wallet",
        f"""
        INSERT INTO statements VALUES ('{shop.merchant_id}', uuidv7(), {columns})
        RETURNING statement_id
        """,
    )


async def _a_payout(world: World, shop: Shop) -> object:
    return await world.value(
        "wallet",
        f"""
        INSERT INTO payouts (merchant_id, payout_id, beneficiary, account, account_ref,
                             amount_fen, day, state, created_at, ended_at)
        VALUES ('{shop.merchant_id}', uuidv7(), 'merchant', 'merchant:payable', 'acct_x', 5,
                '2027-01-19', 'failed', now(), now())
        RETURNING payout_id
        """,
    )


async def _an_advance(world: World, shop: Shop) -> object:
    return await world.value(
        "wallet",
        f"""
        INSERT INTO advances (merchant_id, advance_id, state, amount_fen, covered_fen,
                              interest_ppm, quote_ref, valid_until, asked_at)
        VALUES ('{shop.merchant_id}', uuidv7(), 'refused', 1, 2, 300, 'Q1', now(), now())
        RETURNING advance_id
        """,
    )


async def _a_redemption(world: World, shop: Shop, agreement: Agreement) -> object:
    """Return a redemption that fell short, which needs no money."""
    ids = f"'{shop.merchant_id}', uuidv7(), uuidv7(), '{agreement.customer_id}'"
    return await world.value(
        "wallet",
        f"""
        INSERT INTO redemptions
               (merchant_id, redemption_id, code_id, customer_id, amount_fen, bonus_fen, fee_fen,
                category, clerk, state, missing_fen, accepted_at, booked_at)
        VALUES ({ids}, 100, 0, 0, 'food', 'clerk', 'short', 100, now(), now())
        RETURNING redemption_id
        """,
    )


@pytest.mark.parametrize("service", SERVICES)
async def test_the_document_is_served_and_valid(callers: Callers, service: str):
    url = f"{callers.world.around.services[service]}/openapi.json"
    async with callers.world.session.get(url) as answer:
        served = await answer.json()

    OpenAPIV31SpecValidator(served).validate()
    assert {one.path for one in ALL if one.service == service} <= set(served["paths"])


@pytest.mark.parametrize("one", ALL, ids=str)
def test_every_operation_tells_how_it_may_be_refused(one: Operation):
    assert one.described["summary"]
    if one.webhook:
        return
    wanted = {400, 503}
    wanted |= {401, 403, 429} if one.scope else set()
    wanted |= {404} if one.path_schemas() else set()
    wanted |= {413, 415} if one.body is not None else set()
    wanted |= {409, 422} if one.keyed else set()
    assert wanted <= one.statuses
    for status in one.statuses - {200, 201, 204}:
        told = one.described["responses"][str(status)]
        assert "application/problem+json" in told["content"]
        assert CODE.search(told["description"])


@pytest.mark.parametrize("one", [one for one in GUARDED if one.method == "POST"], ids=str)
def test_every_post_is_keyed_or_safe_to_repeat(one: Operation):
    """Those without a key only look at something now, or do what an operator says again."""
    if not one.keyed:
        assert re.search(r"/(result|placed|replay|preview|release|sweep)$", one.path), one


@pytest.mark.parametrize("one", GUARDED, ids=str)
async def test_no_key_is_401_and_a_key_without_the_scope_403(callers: Callers, one: Operation):
    nobody = await callers.ask(one)
    useless = await callers.ask(one, key=callers.useless)

    assert (nobody.status, nobody.problem["code"]) == (401, "unauthentic")
    assert (useless.status, useless.problem["code"]) == (403, "scope-missing")


@pytest.mark.parametrize("one", [one for one in GUARDED if one.keyed], ids=str)
async def test_without_an_idempotency_key_nothing_is_done(callers: Callers, one: Operation):
    answer = await callers.ask(one, key=callers.shop.key, token="")

    if answer.status != 403:  # the operator's own endpoints
        assert (answer.status, answer.problem["code"]) == (400, "idempotency-key-missing")


@pytest.mark.parametrize("one", WITH_BODY, ids=str)
async def test_bodies_that_are_not_what_they_should_be(callers: Callers, one: Operation):
    schema = one.body
    assert schema is not None
    properties = schema.get("properties", {})
    wrong = json.dumps({name: {"no": ["such", {"thing": 1}]} for name in properties}).encode()
    key = callers.world.operator if _is_operators(one) else callers.shop.key

    malformed = await callers.ask(one, key=key, raw=b'{"a":')
    for raw in (wrong, b"[]", b"null", b'"text"', b'{"unheard_of": 1}', b"\xff\xfe\x00"):
        answer = await callers.ask(one, key=key, raw=raw)
        assert (answer.status, answer.problem["code"]) == (400, "malformed"), raw
    assert (malformed.status, malformed.problem["code"]) == (400, "malformed")
    if schema.get("required"):
        missing = await callers.ask(one, key=key, raw=b"{}")
        assert missing.status == 400
        assert missing.problem["errors"]
    other = await callers.ask(one, key=key, content_type="text/plain")
    assert other.status == 415
    assert other.problem["code"]


@pytest.mark.parametrize("one", WITH_BODY, ids=str)
async def test_a_body_without_end_is_413(callers: Callers, one: Operation):
    key = callers.world.operator if _is_operators(one) else callers.shop.key
    endless = b'{"a": "' + b"x" * (20 * 2**20) + b'"}'

    answer = await callers.ask(one, key=key, raw=endless)

    assert (answer.status, answer.problem["code"]) == (413, "too-large")


@pytest.mark.parametrize("one", WITH_IDS, ids=str)
async def test_ids_that_are_none_and_ids_of_nobody(callers: Callers, one: Operation):
    schemas = one.path_schemas()
    uuids = [name for name, schema in schemas.items() if schema.get("format") == "uuid"]
    key = callers.world.operator if _is_operators(one) else callers.shop.key
    for name in uuids:
        odd = await callers.ask(one, path=one.at(**{name: "not-an-id"}), key=key)
        assert (odd.status, odd.problem["code"]) == (400, "malformed")

    unknown = await callers.ask(one, key=callers.shop.key)

    assert unknown.status in one.statuses
    if one.body is None and not _is_operators(one) and not _lists_nothing(one):
        assert (unknown.status, bool(unknown.problem["code"])) == (404, True)


@pytest.mark.parametrize("one", [one for one in WITH_IDS if one.method == "GET"], ids=str)
async def test_what_is_ours_is_as_good_as_unknown_to_a_stranger(callers: Callers, one: Operation):
    path = one.at(**callers.ids)
    assert NOBODY not in path, f"this test knows no {path}"

    operators = "{day_id}" in one.path
    key = callers.world.operator if operators else callers.shop.key
    ours = await callers.ask(one, path=path, key=key)
    foreign = await callers.ask(one, path=path, key=callers.stranger)

    assert ours.status == 200, ours
    if foreign.status == 200:
        assert _lists_nothing(one)
        assert str(callers.agreement.agreement_id) not in foreign.text
    else:
        assert (foreign.status, bool(foreign.problem["code"])) == (404, True)


@pytest.mark.parametrize(
    "one", [one for one in WITH_IDS if one.method == "POST" and one.body is None], ids=str
)
async def test_a_stranger_moves_nothing_of_ours(callers: Callers, one: Operation):
    answer = await callers.ask(one, path=one.at(**callers.ids), key=callers.stranger)

    assert answer.status in {403, 404}
    assert answer.problem["code"]


@pytest.mark.parametrize("raw", [b"", b"\x00\xff\xfe", b"{}", b"<xml></xml>", b"a=b&sign=c"])
@pytest.mark.parametrize("one", WEBHOOKS, ids=str)
async def test_what_providers_did_not_send_is_never_our_failure(
    callers: Callers, one: Operation, raw: bytes
):
    answer = await callers.ask(one, path=one.at(**callers.ids), raw=raw, content_type="text/xml")

    assert answer.status < 500
    assert not (answer.status == 200 and "SUCCESS" in answer.text)


async def test_paths_and_methods_that_there_are_not(callers: Callers):
    for name in SERVICES:
        base = callers.world.around.services[name]
        async with callers.world.session.get(f"{base}/v1/nothing-here") as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "not-found")
        one = next(one for one in ALL if one.service == name and one.method == "GET")
        async with callers.world.session.delete(f"{base}{one.at()}") as answer:
            assert answer.status == 405
            assert "GET" in answer.headers["Allow"]


def _is_operators(one: Operation) -> bool:
    return one.scope in OPERATORS or "unplaced" in one.path


def _lists_nothing(one: Operation) -> bool:
    """Tell whether a stranger gets a list that is empty, or an account without money."""
    return one.method == "GET" and one.path.startswith("/v1/customers/")
