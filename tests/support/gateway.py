"""The mini-program's gateway and the people behind it, as a scenario needs them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from importlib import import_module
from typing import Any, Final
from uuid import UUID

import aiohttp
from stdnum.cn import ric

from shared.api_keys import new_token
from shared.ids import derived_id
from tests.support.world import World, let_in

CONSENTS = ("personal_data", "face_check", "credit_enquiry", "substitutes")
TRIES = 8


@dataclass(frozen=True)
class Person:
    """A customer with everything that providers know them by."""

    number: int
    name: str = "王小明"

    @property
    def id_number(self) -> str:
        digits = f"11010519900101{self.number:03d}"
        return digits + str(ric.calc_check_digit(digits + "0"))

    @property
    def phone(self) -> str:
        return f"138{self.number:08d}"

    @property
    def alipay_user_id(self) -> str:
        return f"2088{self.number:012d}"

    @property
    def wechat_openid(self) -> str:
        return f"oWx{self.number:025d}"

    def body(self, rail: str) -> dict[str, str]:
        """Return what the customer types in; the gateway knows one mini-program account."""
        return {
            "name": self.name,
            "id_number": self.id_number,
            "phone": self.phone,
            "province": "北京市",
            "city": "北京市",
            "district": "朝阳区",
            "address": "幸福路1号2单元301室",
            "alipay_user_id": self.alipay_user_id if rail == "alipay" else "",
            "wechat_openid": self.wechat_openid if rail == "wechatpay" else "",
        }


@dataclass(frozen=True)
class Agreement:
    """A signed agreement, and how everybody calls it."""

    agreement_id: UUID
    merchant_id: UUID
    customer_id: UUID
    pet_id: UUID
    rail: str
    person: Person
    due_on: tuple[date, ...]
    amounts_fen: tuple[int, ...]
    hold_fen: int

    @property
    def payer(self) -> str:
        """Return the account at the rail, as fault scripts call it."""
        return self.person.alipay_user_id if self.rail == "alipay" else self.person.wechat_openid


def plan_body(**changes: Any) -> dict[str, Any]:
    bundles = [
        {
            "stage": stage,
            "items": [
                {
                    "sku": f"FOOD-{stage.upper()}",
                    "quantity": 2,
                    "name": "主粮",
                    "substitutes": [f"FOOD-{stage.upper()}-B"],
                }
            ],
        }
        for stage in ("young", "growing", "adult", "senior")
    ]
    known = {
        "name": "安心月付",
        "species": "cat",
        "periods": 12,
        "monthly_fen": 29900,
        "auto_ship": True,
        "bundle_fen": 19900,
        "bundles": bundles,
        "price_card": [{"name": "主粮", "list_price_fen": 12000, "deal_price_fen": 9950}],
    }
    return known | changes


MERCHANT: Final = derived_id("merchant", "scenario")
"""Always the same: ids follow from it, and from them the hour of a charge."""


@dataclass
class Shop:
    """A merchant with one store and one plan, calling from its gateway."""

    world: World
    merchant_id: UUID = MERCHANT
    key: str = field(default_factory=lambda: new_token("live"))
    store_id: str = ""
    plan_id: str = ""
    signed: int = 0
    calls: int = 0
    first_person: int = 1

    async def open(self, *, plan: Mapping[str, Any] | None = None, **merchant: Any) -> None:
        """Be approved, open a store, fill the catalogue, publish a plan."""
        for name in self.world.members:
            await let_in(
                self.world, name, self.key, tenant_id=self.merchant_id, scopes=scopes_of(name)
            )
        body = {
            "merchant_id": str(self.merchant_id),
            "legal_name": "北京团子宠物用品有限公司",
            "display_name": "团子宠物",
            "legal_kind": "company",
            "licence_no": f"91110{self.merchant_id.int % 10**13:013d}",
            "service_phone": "4008001234",
            "payees": [
                {"rail": "alipay", "payee_no": "2088111122223333"},
                {"rail": "wechatpay", "payee_no": "1900000001"},
            ],
        }
        await self._as_operator("/v1/merchants", body | merchant)
        await self._as_operator(f"/v1/merchants/{self.merchant_id}/approval", {"reason": "齐全"})
        store = {"name": "朝阳店", "city": "北京市", "address": "朝阳路8号"}
        self.store_id = (await self.post("signing", "/v1/stores", store))["store_id"]
        self.plan_id = await self.publish(**(plan or {}))
        await self._fill_catalogue()
        await self.world.settle()

    async def publish(self, **changes: Any) -> str:
        plan = await self.post("signing", "/v1/plans", plan_body(**changes))
        path = f"/v1/plans/{plan['plan_id']}/versions/1/publication"
        await self.post("signing", path)
        return str(plan["plan_id"])

    async def sign(
        self,
        *,
        rail: str = "alipay",
        charge_day: int = 15,
        plan_id: str = "",
        pet_age: timedelta = timedelta(days=730),
        substitutes: bool = True,
    ) -> Agreement:
        """Sign one more customer, step by step, as the mini-program does."""
        person = self._next_person()
        body = self._application(person, rail, charge_day, plan_id, pet_age)
        started = await self.post("signing", "/v1/applications", body)
        path = f"/v1/applications/{started['application_id']}"
        await self._identify(path, person, substitutes=substitutes)
        await self._agree(path, person)
        await self._authorise(path, person, rail)
        return await self._agreement(path, person)

    async def ask_to_sign(self, *, rail: str = "alipay", charge_day: int) -> tuple[int, Any]:
        """Begin an application that may be refused; return what is answered."""
        age = timedelta(days=730)
        return await self.world.call(
            "signing",
            "POST",
            "/v1/applications",
            self._application(self._next_person(), rail, charge_day, "", age),
            key=self.key,
            idempotency_key=derived_id("ask", self.merchant_id, self.signed).hex,
        )

    def _next_person(self) -> Person:
        self.signed += 1
        return Person(self.first_person + self.signed - 1)

    def _application(
        self, person: Person, rail: str, charge_day: int, plan_id: str, pet_age: timedelta
    ) -> dict[str, Any]:
        return {
            "store_id": self.store_id,
            "plan_id": plan_id or self.plan_id,
            "plan_version": 1,
            "charge_day": charge_day,
            "rail": rail,
            "customer": person.body(rail),
            "pet": {
                "name": "团子",
                "species": "cat",
                "breed": "英国短毛猫",
                "size": "medium",
                "born_on": (self.world.now - pet_age).date().isoformat(),
                "sex": "female",
            },
        }

    async def _identify(self, path: str, person: Person, *, substitutes: bool) -> None:
        consents = [
            {
                "kind": kind,
                "text_version": "2026-11",
                "agreed": kind != "substitutes" or substitutes,
                "shown_ms": 5000,
            }
            for kind in CONSENTS
        ]
        await self.post("signing", f"{path}/consents", {"consents": consents})
        await self.post("signing", f"{path}/identity")
        await self.world.act(
            "faceid", "POST", f"/_sandbox/people/{person.id_number}/detect", {"passed": True}
        )
        await self.post("signing", f"{path}/identity/result")
        await self.post("signing", f"{path}/credit")

    async def _agree(self, path: str, person: Person) -> None:
        preview = await self.post("signing", f"{path}/preview")
        sitting = {
            "clauses_shown_ms": dict.fromkeys(preview["key_clauses"], 9000),
            "device": "iPhone15,2",
            "ip": "203.0.113.7",
        }
        await self.post("signing", f"{path}/signature", sitting)
        proof = {"video_ref": "v-1", "device": "iPhone15,2"}
        await self.world.act("esign", "POST", f"/_sandbox/signers/{person.phone}/sign", proof)
        await self.world.settle()
        await self.post("signing", f"{path}/signature/result")

    async def _authorise(self, path: str, person: Person, rail: str) -> None:
        screen = {"agreed": True, "screen_version": "w-1", "shown_ms": 6000}
        invited = await self.post("signing", f"{path}/mandate", screen)
        if rail == "alipay":
            told, payer = {"sign_str": invited["sign_str"]}, person.alipay_user_id
        else:
            told, payer = {"extra_data": invited["extra_data"]}, person.wechat_openid
        await self.world.act(rail, "POST", f"/_sandbox/users/{payer}/sign", told)
        await self.world.settle()
        await self.post("signing", f"{path}/mandate/result")
        await self.world.settle()

    async def _agreement(self, path: str, person: Person) -> Agreement:
        application = await self.get("signing", path)
        for _ in range(TRIES if self.world.on_start else 0):
            if application["state"] == "completed":
                break
            await self.world.pass_time(seconds=61)
            application = await self.get("signing", path)
        assert application["state"] == "completed", application
        found = await self.get("signing", f"/v1/agreements/{application['agreement_id']}")
        return Agreement(
            agreement_id=UUID(found["agreement_id"]),
            merchant_id=self.merchant_id,
            customer_id=UUID(found["customer_id"]),
            pet_id=UUID(found["pet_id"]),
            rail=found["rail"],
            person=person,
            due_on=tuple(date.fromisoformat(line["due_on"]) for line in found["instalments"]),
            amounts_fen=tuple(line["amount_fen"] for line in found["instalments"]),
            hold_fen=found["hold_fen"],
        )

    async def cancel(self, agreement: Agreement) -> None:
        await self.post("signing", f"/v1/agreements/{agreement.agreement_id}/cancellation")
        await self.world.settle()

    async def terminate(self, agreement: Agreement, reason: str = "customer_wish") -> None:
        path = f"/v1/agreements/{agreement.agreement_id}/termination"
        await self.post("signing", path, {"reason": reason})
        await self.world.settle()

    async def open_payment(self, agreement: Agreement, seq: int) -> Any:
        """Open the payment that the link of one instalment leads to."""
        instalment_id = await self.world.value(
            "billing",
            "SELECT instalment_id FROM instalments WHERE agreement_id = $1 AND seq = $2",
            agreement.agreement_id,
            seq,
        )
        link = await self.post("billing", f"/v1/instalments/{instalment_id}/pay-link")
        path = f"/v1/pay-links/{link['token']}/payments"
        return await self.post("billing", path, {"amount_fen": link["amount_fen"]})

    async def pay(self, agreement: Agreement, payment: Any) -> None:
        """Let the customer pay what was opened."""
        status, answer = await self.try_to_pay(agreement, payment)
        assert status == 200, answer

    async def try_to_pay(self, agreement: Agreement, payment: Any) -> tuple[int, Any]:
        """Let the customer try; the rail may say that it is too late."""
        client = payment["client"]
        if agreement.rail == "alipay":
            told = {"trade_no": client.get("trade_no") or client.get("tradeNO")}
        else:
            told = {"prepay_id": str(client["package"]).partition("=")[2]}
        path = f"/_sandbox/users/{agreement.payer}/pay"
        answered = await self.world.try_to_act(agreement.rail, "POST", path, told)
        await self.world.settle()
        return answered

    async def revoke(self, agreement: Agreement) -> None:
        """Let the customer end the mandate in the wallet, without a word to us."""
        number = await self.world.value(
            "signing",
            "SELECT rail_agreement_no FROM mandates WHERE agreement_id = $1",
            agreement.agreement_id,
        )
        name = "agreement_no" if agreement.rail == "alipay" else "contract_id"
        path = f"/_sandbox/users/{agreement.payer}/unsign"
        await self.world.act(agreement.rail, "POST", path, {name: number})
        await self.world.settle()

    async def get(self, service: str, path: str) -> Any:
        status, answer = await self.world.call(service, "GET", path, key=self.key)
        assert status == 200, answer
        return answer

    async def post(self, service: str, path: str, body: object = None) -> Any:
        return await self._insist(service, path, body, key=self.key)

    async def _as_operator(self, path: str, body: object) -> Any:
        return await self._insist("signing", path, body, key=self.world.operator)

    async def _insist(self, service: str, path: str, body: object, *, key: str) -> Any:
        """Post; where processes die, until there is an answer: one key makes one call of it."""
        self.calls += 1
        token = derived_id("call", self.merchant_id, self.calls).hex
        for _ in range(TRIES):
            try:
                status, answer = await self.world.call(
                    service, "POST", path, body, key=key, idempotency_key=token
                )
            except (OSError, aiohttp.ClientError) as error:
                status, answer = 0, repr(error)
            if 200 <= status < 300:
                return answer
            assert self.world.on_start is not None, (status, path, answer)
            if status == 409 and answer["code"] == "step-not-next":
                return answer  # done before the process died; the application names what is next
            assert status in {0, 409, 500, 503}, (status, path, answer)
            await self.world.revive()
            await self.world.pass_time(seconds=61)
        raise AssertionError(f"{path}: {status} {answer}")

    async def _fill_catalogue(self) -> None:
        if "fulfillment" not in self.world.members:
            return
        for stage in ("young", "growing", "adult", "senior"):
            for sku in (f"FOOD-{stage.upper()}", f"FOOD-{stage.upper()}-B"):
                body = {
                    "sku": sku,
                    "name": "主粮",
                    "supply_cost_fen": 8000,
                    "supplier": "warehouse",
                }
                await self.post("fulfillment", "/v1/skus", body)


def scopes_of(service: str) -> list[str]:
    """Return what a merchant's key may do: everything but what is the operator's."""
    endpoints = import_module(f"services.{service}.app").SERVICE.api.endpoints
    scopes = {one.scope for one in endpoints if one.scope is not None}
    return sorted(scopes - {"merchants:write", "merchants:decide", "wallet:operate"})
