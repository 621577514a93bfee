"""
快递100 (kuaidi100): tracking by subscription, pushed to us, and the real-time query.

Provider's side: ``POST /poll`` (form ``schema``, ``param``), ``POST /poll/query.do`` (form
``customer``, ``sign``, ``param``).  After a subscription the parcel is collected after 6 h of
business time, under way after 24 h, out for delivery after 44 h and signed for after 48 h; each
step pushes the full list, newest first, to the ``callbackurl``, with ``sign`` when ``salt`` was
given, to be answered ``{"result":true,"returnCode":"200",...}``; else three more times, half an
hour apart.

Our side: ``PUT /_sandbox/parcels/{number}`` ``{"fate": ...}`` before or after the subscription,
one of ``FATES``: signed, lost (under way, then ``abort`` 60天无变化), no_record (``abort``
3天查询无记录), refused (returned to the sender), damaged (209, then signed with exception), locker
(501, then 304).

Faults: account = waybill number, its beginning, or the phone of the subscription; ``on`` =
``subscribe`` (``decline:701``), ``track`` (``decline:lost`` or another fate, met at the
subscription), ``query``, ``notify``.

Start: ``python -m deploy.sandbox.kuaidi100 --port P``.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from aiohttp import web

from deploy.sandbox import provider_settings as settings
from deploy.sandbox import provider_signatures as signatures
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from deploy.sandbox.provider_time import china_text
from shared.calendar import day_in_china

PER_MONTH: Final = 4
"""Subscriptions of one number in a month (kuaidi100, subscription rules)."""
COMPANIES: Final = {
    "shunfeng": "顺丰",
    "yuantong": "圆通",
    "zhongtong": "中通",
    "shentong": "申通",
    "yunda": "韵达",
    "jd": "京东",
    "ems": "EMS",
    "youzhengguonei": "邮政",
    "jtexpress": "极兔",
    "debangkuaidi": "德邦",
}
NEEDS_PHONE: Final = {"shunfeng", "zhongtong"}
MESSAGES: Final = {
    "200": "提交成功",
    "501": "重复订阅",
    "600": "您不是合法的订阅者（即授权Key出错）",
    "700": "订阅方的订阅数据存在错误（如不支持的快递公司、单号为空、单号超长等）",
    "701": "拒绝订阅的快递公司",
    "500": "服务器错误",
}


@dataclass(frozen=True)
class Step:
    """What happens to a parcel *after_h* hours after its subscription."""

    after_h: int
    state: str
    code: str
    status: str
    context: str
    ends: str = ""
    """``shutdown`` or ``abort`` when nothing follows."""


_COLLECTED: Final = Step(6, "1", "103", "揽收", "快件已被揽收")
_UNDER_WAY: Final = Step(24, "0", "1002", "干线", "快件已发往目的地城市")
_OUT: Final = Step(44, "5", "5", "派件", "快递员正在派件")
_START: Final = (_COLLECTED, _UNDER_WAY, _OUT)

FATES: Final = {
    "signed": (*_START, Step(48, "3", "301", "本人签收", "快件已签收", "shutdown")),
    "locker": (
        *_START,
        Step(46, "5", "501", "投柜或驿站", "快件已放入快递柜"),
        Step(52, "3", "304", "投柜或站签收", "快件已从快递柜取出", "shutdown"),
    ),
    "damaged": (
        *_START,
        Step(46, "2", "209", "破损", "快件外包装破损"),
        Step(48, "3", "302", "派件异常后签收", "快件已签收", "shutdown"),
    ),
    "refused": (
        *_START,
        Step(46, "14", "14", "拒签", "收件人拒收"),
        Step(54, "6", "6", "退回", "快件退回中"),
        Step(96, "4", "4", "退签", "寄件人已签收退件", "shutdown"),
    ),
    "lost": (
        _COLLECTED,
        _UNDER_WAY,
        Step(24 + 60 * 24, "0", "", "", "60天无变化", "abort"),
    ),
    "no_record": (Step(72, "", "", "", "3天查询无记录", "abort"),),
}


class Kuaidi100(Sandbox):
    """The tracking aggregator."""

    name = "kuaidi100"
    resend_gaps_s = (1800, 1800, 1800)

    def __init__(self, options: Options) -> None:
        """Take one customer."""
        super().__init__(options)
        self.key = settings.credential(options, "kuaidi100_key")
        self.customer = settings.credential(options, "kuaidi100_customer")
        self.composers["track"] = self._compose
        self.timeline.kinds["step"] = self._step
        self.app.router.add_post("/poll", self._poll)
        self.app.router.add_post("/poll/query.do", self._query)
        self.app.router.add_put("/_sandbox/parcels/{number}", self._put_fate)

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        param = _param(form.get("param"))
        fault = self.fault("subscribe", *_accounts(param))

        async def act() -> web.StreamResponse:
            declined = fault is not None and fault.kind is FaultKind.DECLINE
            code = (
                fault.argument
                if fault is not None and declined
                else self._subscribe(form.get("schema"), param)
            )
            result = {
                "result": code == "200",
                "returnCode": code,
                "message": MESSAGES.get(code, "失败"),
            }
            return json_reply(result)

        return await self.disturb(request, fault, act)

    def _subscribe(self, schema: object, param: Doc) -> str:
        """Take up tracking, unless it runs; return the code that is answered."""
        if param.get("key") != self.key:
            return "600"
        parameters = param.get("parameters")
        if schema != "json" or not isinstance(parameters, dict):
            return "700"
        error = _form_error(param, parameters)
        if error is not None:
            return error
        number = str(param["number"])
        former = self.books.get("parcels", number)
        month = day_in_china(self.now()).isoformat()[:7]
        this_month = [day for day in (former or {}).get("months", []) if day == month]
        if former is not None and (former["ended"] is None or len(this_month) >= PER_MONTH):
            return "501"
        self._begin(param, parameters, months=[*(former or {}).get("months", []), month])
        return "200"

    def _begin(self, param: Doc, parameters: Doc, *, months: list[str]) -> None:
        number = str(param["number"])
        parcel = {
            "number": number,
            "company": param["company"],
            "phone": parameters.get("phone", ""),
            "callback_url": parameters["callbackurl"],
            "salt": parameters.get("salt"),
            "months": months,
            "round": len(months),
            "fate": self._fate(number, str(parameters.get("phone", ""))),
            "subscribed_at": self.now().isoformat(),
            "nodes": [],
            "state": "",
            "ended": None,
        }
        self.books.put("parcels", number, parcel)
        self._await_step(parcel, 0)

    def _fate(self, number: str, phone: str) -> str:
        fault = self.fault("track", number, phone)
        if fault is not None and fault.kind is FaultKind.DECLINE and fault.argument in FATES:
            return fault.argument
        wished = self.books.get("fates", number)
        return "signed" if wished is None else str(wished["fate"])

    def _await_step(self, parcel: Doc, index: int) -> None:
        step = FATES[parcel["fate"]][index]
        moment = datetime.fromisoformat(parcel["subscribed_at"]) + timedelta(hours=step.after_h)
        payload = {
            "number": parcel["number"],
            "round": parcel["round"],
            "fate": parcel["fate"],
            "index": index,
        }
        self.later(moment, "step", payload)

    async def _step(self, payload: Doc) -> None:
        parcel = self.books.get("parcels", payload["number"])
        assert parcel is not None
        if (parcel["round"], parcel["fate"]) != (payload["round"], payload["fate"]):
            return
        step = FATES[parcel["fate"]][payload["index"]]
        if step.ends != "abort":
            node = _node(step, self.now())
            parcel = self.books.change(
                "parcels",
                parcel["number"],
                nodes=[node, *parcel["nodes"]],
                state=step.state,
            )
        if step.ends:
            parcel = self.books.change("parcels", parcel["number"], ended=step.ends)
        else:
            self._await_step(parcel, payload["index"] + 1)
        self._push(parcel, step)

    def _push(self, parcel: Doc, step: Step) -> None:
        param = {
            "status": step.ends or "polling",
            "billstatus": "",
            "message": step.context if step.ends == "abort" else "",
            "autoCheck": "0",
            "comOld": "",
            "comNew": "",
            "lastResult": _last_result(parcel),
        }
        self.notify(
            "track",
            {"param": orjson.dumps(param).decode(), "salt": parcel["salt"]},
            url=parcel["callback_url"],
            account=parcel["number"],
            accepted='"returnCode":"200"',
        )

    def _compose(self, payload: Doc, spoil: bool) -> tuple[dict[str, str], bytes]:
        fields = {"param": str(payload["param"])}
        if payload["salt"] is not None:
            salt = f"{payload['salt']}{'-stranger' if spoil else ''}"
            fields["sign"] = signatures.kuaidi100_push(fields["param"], salt)
        return signatures.form(fields)

    async def _query(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        text = str(form.get("param", ""))
        param = _param(text)
        fault = self.fault("query", str(param.get("num", "")))

        async def act() -> web.StreamResponse:
            sign = signatures.kuaidi100_query(text, key=self.key, customer=self.customer)
            known = form.get("customer") == self.customer
            if not known or not signatures.same(sign, str(form.get("sign", ""))):
                return _no_result("503", "验证签名失败")
            return self._found(param, fault)

        return await self.disturb(request, fault, act)

    def _found(self, param: Doc, fault: Fault | None) -> web.Response:
        if fault is not None and fault.kind is FaultKind.DECLINE:
            return _no_result(fault.argument, "查询失败")
        parcel = self.books.get("parcels", str(param.get("num", "")))
        if parcel is None or parcel["company"] != param.get("com") or not parcel["nodes"]:
            return _no_result("500", "查询无结果，请隔段时间再查")
        return json_reply(_last_result(parcel))

    async def _put_fate(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        fate = str((await json_body(request))["fate"])
        if fate not in FATES:
            return json_reply({"error": f"unknown fate: {fate}"}, status=400)
        parcel = self.books.get("parcels", number)
        if parcel is not None and parcel["ended"] is None and parcel["fate"] != fate:
            self._change_fate(parcel, fate)
        return json_reply(self.books.put("fates", number, {"number": number, "fate": fate}))

    def _change_fate(self, parcel: Doc, fate: str) -> None:
        elapsed = self.now() - datetime.fromisoformat(parcel["subscribed_at"])
        ahead = [
            index
            for index, step in enumerate(FATES[fate])
            if timedelta(hours=step.after_h) > elapsed
        ]
        if ahead:
            changed = self.books.change("parcels", parcel["number"], fate=fate)
            self._await_step(changed, ahead[0])


def _accounts(param: Doc) -> list[str]:
    parameters = param.get("parameters")
    phone = parameters.get("phone", "") if isinstance(parameters, dict) else ""
    return [str(param.get("number", "")), str(phone)]


def _form_error(param: Doc, parameters: Doc) -> str | None:
    number, company = str(param.get("number", "")), param.get("company")
    if not 6 <= len(number) <= 32 or not parameters.get("callbackurl"):  # noqa: PLR2004
        return "700"
    if company not in COMPANIES or (company in NEEDS_PHONE and not parameters.get("phone")):
        return "700"
    return None


def _param(text: object) -> Any:
    try:
        param = orjson.loads(str(text))
    except orjson.JSONDecodeError:
        return {}
    return param if isinstance(param, dict) else {}


def _node(step: Step, moment: datetime) -> Doc:
    return {
        "time": china_text(moment),
        "ftime": china_text(moment),
        "context": step.context,
        "status": step.status,
        "statusCode": step.code,
        "areaCode": "CN310115000000",
        "areaName": "上海,上海市,浦东新区",
        "areaCenter": "121.544379,31.221517",
        "areaPinYin": "pu dong xin qu",
        "location": "上海市",
    }


def _last_result(parcel: Doc) -> Doc:
    return {
        "message": "ok",
        "nu": parcel["number"],
        "ischeck": "1" if parcel["state"] == "3" else "0",
        "com": parcel["company"],
        "status": "200",
        "state": parcel["state"],
        "condition": "00",
        "data": parcel["nodes"],
    }


def _no_result(code: str, message: str) -> web.Response:
    return json_reply({"result": False, "returnCode": code, "message": message})


if __name__ == "__main__":
    main(Kuaidi100)
