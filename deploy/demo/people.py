"""Customers: who they are, and what they do on their phones and with the providers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from stdnum.cn import ric

Doc = dict[str, Any]

_SURNAMES: Final = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高梁宋郑谢"
_GIVEN: Final = ("雨桐", "子涵", "思远", "晓峰", "佳怡", "梓萱", "浩然", "静怡", "一诺", "俊杰")
_HOMES: Final = (
    ("浙江省", "杭州市", "西湖区", "文三路"),
    ("上海市", "上海市", "徐汇区", "漕溪北路"),
    ("广东省", "深圳市", "南山区", "科苑路"),
    ("四川省", "成都市", "锦江区", "春熙路"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """Customer number *number* of the demo; everything about them follows from it."""

    number: int

    @property
    def name(self) -> str:
        """Return the full name."""
        given = _GIVEN[(self.number * 7) % len(_GIVEN)]
        return _SURNAMES[self.number % len(_SURNAMES)] + given

    @property
    def id_number(self) -> str:
        """Return a resident identity number with its check digit; an adult's."""
        year, month, day = 1975 + self.number % 28, 1 + self.number % 12, 1 + self.number % 28
        text = f"110105{year}{month:02}{day:02}{100 + self.number % 900}"
        return text + ric.calc_check_digit(text + "0")

    @property
    def phone(self) -> str:
        """Return the mobile number."""
        return f"1390000{self.number:04}"

    @property
    def alipay_user_id(self) -> str:
        """Return the Alipay account."""
        return f"2088{self.number:012}"

    @property
    def wechat_openid(self) -> str:
        """Return the openid in the shop's mini-program."""
        return f"oDemo{self.number:023}"

    def payer_no(self, rail: str) -> str:
        """Return the account at *rail*."""
        return self.alipay_user_id if rail == "alipay" else self.wechat_openid

    def as_applicant(self) -> Doc:
        """Return what the customer types into the mini-program."""
        province, city, district, street = _HOMES[self.number % len(_HOMES)]
        return {
            "name": self.name,
            "id_number": self.id_number,
            "phone": self.phone,
            "province": province,
            "city": city,
            "district": district,
            "address": f"{street}{self.number}号{1 + self.number % 9}单元",
            "alipay_user_id": self.alipay_user_id,
            "wechat_openid": self.wechat_openid,
        }


class Refusal(Exception):
    """A provider's page told the customer no."""


class Phones:
    """What customers do outside our platform: on providers' pages and in their wallets."""

    def __init__(self, session: aiohttp.ClientSession, simulators: Mapping[str, str]) -> None:
        self._session = session
        self._simulators = simulators

    async def show_face(self, person: Person) -> None:
        """Pass the face check that waits for *person*."""
        await self._post("faceid", f"people/{person.id_number}/detect", {"passed": True})

    async def sign_document(self, person: Person) -> None:
        """Sign what waits on the e-contract provider's page."""
        body = {"video_ref": f"video-{person.number}", "device": "iPhone"}
        await self._post("esign", f"signers/{person.phone}/sign", body)

    async def sign_mandate(self, person: Person, rail: str, invitation: Doc) -> None:
        """
        Let the rail charge, on its own screen.

        Raises:
            Refusal: The rail does not accept it.
        """
        path = f"users/{person.payer_no(rail)}/sign"
        if rail == "alipay":
            answer = await self._post(rail, path, {"sign_str": invitation["sign_str"]})
            done = answer["resultStatus"] in {"7000", "6001"}
        else:
            answer = await self._post(rail, path, {"extra_data": invitation["extra_data"]})
            done = answer["return_code"] == "SUCCESS"
        if not done:
            raise Refusal(str(answer))

    async def revoke_mandate(self, person: Person, rail: str, rail_agreement_no: str) -> None:
        """End the mandate in the wallet, without a word to the shop."""
        name = "agreement_no" if rail == "alipay" else "contract_id"
        path = f"users/{person.payer_no(rail)}/unsign"
        await self._post(rail, path, {name: rail_agreement_no})

    async def pay(self, person: Person, rail: str, client: Doc) -> None:
        """Pay what the mini-program opened: *client* is the argument of its payment call."""
        path = f"users/{person.payer_no(rail)}/pay"
        if rail == "alipay":
            number = client.get("trade_no") or client.get("tradeNO")
            await self._post(rail, path, {"trade_no": number})
        else:
            await self._post(rail, path, {"prepay_id": str(client["package"]).partition("=")[2]})

    async def disturb(self, simulator: str, account: str, steps: list[Doc]) -> None:
        """Let something go wrong for *account* at a provider, step by step."""
        await self._put(simulator, f"faults/{account}", {"steps": steps})

    async def set_stock(self, sku: str, quantity: int) -> None:
        """Let the warehouse have so many of *sku*."""
        await self._put("jst", f"stock/{sku}", {"qty": quantity})

    async def books(self, simulator: str, kind: str) -> list[Doc]:
        """Return what a provider has on record."""
        url = f"{self._simulators[simulator]}/_sandbox/books"
        async with self._session.get(url, params={"kind": kind}) as answer:
            found: list[Doc] = (await answer.json())[kind]
            return found

    async def _post(self, simulator: str, path: str, body: Doc) -> Doc:
        return await self._ask("POST", simulator, path, body)

    async def _put(self, simulator: str, path: str, body: Doc) -> Doc:
        return await self._ask("PUT", simulator, path, body)

    async def _ask(self, method: str, simulator: str, path: str, body: Doc) -> Doc:
        url = f"{self._simulators[simulator]}/_sandbox/{path}"
        async with self._session.request(method, url, json=body) as answer:
            if not answer.ok:
                raise Refusal(f"{simulator} {path}: {answer.status} {await answer.text()}")
            found: Doc = await answer.json()
            return found
