"""
Tencent FaceID as we use it: name and number, face check on its page, the result by query.

Provider's side: ``POST /`` with ``X-TC-Action`` IdCardVerification, DetectAuth or
GetDetectInfoEnhanced (2018-03-01), signed by TC3-HMAC-SHA256.

Our side: ``PUT /_sandbox/people/{id_card}`` ``{"name": ..., "exists": true}`` says who that is
(anybody with a valid number matches until then); ``POST /_sandbox/people/{id_card}/detect``
``{"passed": true, "biz_token": optional, "err_code": optional}`` is the person in front of the
camera; without a token it is the latest open check of that person.

Faults: account = ID number; ``on`` = the action's name.  ``decline:CODE`` answers ``Error.Code``,
or for IdCardVerification with a number (``decline:-7``) that ``Result``.

Start: ``python -m deploy.sandbox.faceid --port P [--faceid-rule-id 1]``.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from aiohttp import web

from deploy.sandbox import provider_settings as settings
from deploy.sandbox import provider_signatures as signatures
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from deploy.sandbox.provider_time import within
from shared.calendar import CHINA
from shared.ids import new_id

VERSION: Final = "2018-03-01"
SKEW_S: Final = 300
TOKEN_LIVES_S: Final = 7200
"""How long the person may use the page (Tencent FaceID, DetectAuth)."""
RESULT_LIVES: Final = timedelta(days=3)
"""How long a finished check can be read; confirmed for the E证通 twin only."""

RESULTS: Final = {
    "0": "姓名和身份证号一致",
    "-1": "姓名和身份证号不一致",
    "-2": "非法身份证号（长度、校验位等不正确）",
    "-3": "非法姓名（长度、格式等不正确）",
    "-4": "证件库服务异常",
    "-5": "证件库中无此身份证记录",
    "-6": "权威比对系统升级中，请稍后再试",
    "-7": "认证次数超过当日限制",
}
_MAX_NAME: Final = 32


class Refused(Exception):
    """The provider says no with an error code."""

    def __init__(self, code: str, message: str = "") -> None:
        """Say no with *code*."""
        super().__init__(code)
        self.code = code
        self.message = message or code


class FaceId(Sandbox):
    """The identity provider."""

    name = "faceid"

    def __init__(self, options: Options) -> None:
        """Take one customer: our key and our rule."""
        super().__init__(options)
        self.secret_id = settings.credential(options, "faceid_secret_id")
        self.secret_key = settings.credential(options, "faceid_secret_key")
        self.rule_id = settings.text(options, "faceid_rule_id", "1")
        self._actions: dict[str, Callable[[Doc, Fault | None], Doc]] = {
            "IdCardVerification": self._id_card_verification,
            "DetectAuth": self._detect_auth,
            "GetDetectInfoEnhanced": self._get_detect_info,
        }
        self.app.router.add_post("/", self._call)
        self.app.router.add_put("/_sandbox/people/{id_card}", self._put_person)
        self.app.router.add_post("/_sandbox/people/{id_card}/detect", self._detect)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        action = request.headers.get("X-TC-Action", "")
        try:
            fields = orjson.loads(body)
        except orjson.JSONDecodeError:
            fields = {}
        fault = self.fault(action, self._person_of(fields))

        async def act() -> web.StreamResponse:
            return self._answer(request, body, action, fields, fault)

        return await self.disturb(request, fault, act)

    def _person_of(self, fields: Doc) -> str:
        check = self.books.get("checks", str(fields.get("BizToken", "")))
        return str(fields.get("IdCard", "") if check is None else check["id_card"])

    def _answer(
        self, request: web.Request, body: bytes, action: str, fields: Doc, fault: Fault | None
    ) -> web.Response:
        try:
            self._authenticate(request, body)
            answer = self._act(action, request.headers.get("X-TC-Version"), fields, fault)
        except Refused as refusal:
            answer = {"Error": {"Code": refusal.code, "Message": refusal.message}}
        return json_reply({"Response": answer | {"RequestId": str(new_id())}})

    def _act(self, action: str, version: str | None, fields: Doc, fault: Fault | None) -> Doc:
        if action not in self._actions or version != VERSION:
            raise Refused("InvalidAction", "The action or its version is unknown.")
        if fault is not None and fault.kind is FaultKind.DECLINE and fault.argument[:1] != "-":
            raise Refused(fault.argument)
        return self._actions[action](fields, fault)

    def _authenticate(self, request: web.Request, body: bytes) -> None:
        header = request.headers.get("Authorization", "")
        parts = signatures.authorization_parts(header, signatures.TC3)
        names = parts.get("SignedHeaders", "").split(";")
        stamp = request.headers.get("X-TC-Timestamp", "")
        if not stamp.isdigit() or not {"content-type", "host"} <= set(names):
            raise Refused("AuthFailure.InvalidAuthorization", "Headers are missing.")
        moment = datetime.fromtimestamp(int(stamp), CHINA)
        if not within(moment, of=self.now(), seconds=SKEW_S):
            raise Refused("AuthFailure.SignatureExpire", "The time stamp is off.")
        if parts.get("Credential", "").partition("/")[0] != self.secret_id:
            raise Refused("AuthFailure.SecretIdNotFound")
        expected = signatures.tc3(
            self.secret_key,
            service="faceid",
            headers=request.headers,
            signed_headers=names,
            timestamp=int(stamp),
            body=body,
        )
        if not signatures.same(expected, parts.get("Signature", "")):
            raise Refused("AuthFailure.SignatureFailure", "The signature does not fit.")

    def _id_card_verification(self, fields: Doc, fault: Fault | None) -> Doc:
        id_card, name = _text(fields, "IdCard"), _text(fields, "Name")
        if fault is not None and fault.kind is FaultKind.DECLINE:
            result = fault.argument
        else:
            result = self._compare(id_card, name)
        number = self.next_number("verifications")
        entry = {"id_card": id_card, "name": name, "result": result, "at": self.now().isoformat()}
        self.books.put("verifications", str(number), entry)
        return {"Result": result, "Description": RESULTS.get(result, "")}

    def _compare(self, id_card: str, name: str) -> str:
        if not valid_id_card(id_card, today=self.now().astimezone(CHINA)):
            return "-2"
        if not 0 < len(name) <= _MAX_NAME:
            return "-3"
        person = self.books.get("people", id_card)
        if person is None:
            return "0"
        if not person["exists"]:
            return "-5"
        return "0" if person["name"] in {None, name} else "-1"

    def _detect_auth(self, fields: Doc, _fault: Fault | None) -> Doc:
        self._check_rule(fields)
        id_card, name = _text(fields, "IdCard"), _text(fields, "Name")
        if not valid_id_card(id_card, today=self.now().astimezone(CHINA)):
            raise Refused("FailedOperation.IdFormatError")
        if not 0 < len(name) <= _MAX_NAME:
            raise Refused("FailedOperation.NameFormatError")
        token = str(new_id()).upper()
        check = {
            "biz_token": token,
            "id_card": id_card,
            "name": name,
            "extra": str(fields.get("Extra", "")),
            "redirect_url": str(fields.get("RedirectUrl", "")),
            "started_at": self.now().isoformat(),
            "finished_at": None,
            "err_code": None,
        }
        self.books.put("checks", token, check)
        return {"Url": f"https://faceid.sandbox.invalid/detect?token={token}", "BizToken": token}

    def _get_detect_info(self, fields: Doc, _fault: Fault | None) -> Doc:
        self._check_rule(fields)
        check = self.books.get("checks", str(fields.get("BizToken", "")))
        if check is None:
            raise Refused("InvalidParameterValue.BizTokenIllegal")
        if self._too_old(check):
            raise Refused("InvalidParameterValue.BizTokenExpired")
        return {"Text": _result_text(check)}

    def _too_old(self, check: Doc) -> bool:
        if check["finished_at"] is None:
            started = datetime.fromisoformat(check["started_at"])
            return self.now() > started + timedelta(seconds=TOKEN_LIVES_S)
        return self.now() > datetime.fromisoformat(check["finished_at"]) + RESULT_LIVES

    def _check_rule(self, fields: Doc) -> None:
        if fields.get("RuleId") != self.rule_id:
            raise Refused("InvalidParameterValue.RuleIdNotExist")

    async def _put_person(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        id_card = request.match_info["id_card"]
        person = {"id_card": id_card, "name": body.get("name"), "exists": body.get("exists", True)}
        return json_reply(self.books.put("people", id_card, person))

    async def _detect(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        id_card = request.match_info["id_card"]
        check = self._open_check(id_card, body.get("biz_token"))
        if check is None:
            return json_reply({"error": "no open check of this person"}, status=404)
        err_code = 0 if body["passed"] else int(body.get("err_code", 1004))
        done = self.books.change(
            "checks", check["biz_token"], err_code=err_code, finished_at=self.now().isoformat()
        )
        return json_reply(done)

    def _open_check(self, id_card: str, token: str | None) -> Doc | None:
        open_checks = [
            check
            for check in self.books.all("checks")
            if check["id_card"] == id_card
            and token in {None, check["biz_token"]}
            and check["finished_at"] is None
            and not self._too_old(check)
        ]
        return max(open_checks, key=lambda check: str(check["started_at"]), default=None)


def _text(fields: Doc, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise Refused("MissingParameter", f"{name} is missing.")
    return value


def _result_text(check: Doc) -> dict[str, Any]:
    passed = check["err_code"] == 0
    done = check["finished_at"] is not None
    return {
        "ErrCode": check["err_code"],
        "ErrMsg": None if not done else "成功" if passed else "比对相似度未达到通过标准",
        "IdCard": check["id_card"],
        "Name": check["name"],
        "UseIDType": 0,
        "LiveStatus": check["err_code"],
        "LiveMsg": None if not done else "成功" if passed else "失败",
        "Comparestatus": check["err_code"],
        "Comparemsg": None if not done else "成功" if passed else "失败",
        "Sim": None if not done else "93.50" if passed else "42.10",
        "Extra": check["extra"],
        "Mobile": "",
        "LivenessInfoTag": [],
    }


def valid_id_card(text: str, *, today: datetime) -> bool:
    """
    Tell whether *text* can be a resident's number: 18 characters, a real birth date, the check.

    Source: GB 11643-1999, check by ISO 7064 MOD 11-2; unknown division codes are let through.
    """
    if len(text) != 18 or not (text[:17].isascii() and text[:17].isdigit()):  # noqa: PLR2004
        return False
    try:
        born = datetime.strptime(text[6:14], "%Y%m%d").replace(tzinfo=CHINA)
    except ValueError:
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(weight * int(digit) for weight, digit in zip(weights, text, strict=False))
    return born.year >= 1900 and born <= today and "10X98765432"[total % 11] == text[17]  # noqa: PLR2004


if __name__ == "__main__":
    main(FaceId, "faceid-rule-id")
