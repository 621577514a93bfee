"""The identity provider over real HTTP, with requests built and signed by the test."""

import hashlib
import hmac
import json

import pytest

from deploy.sandbox.faceid import FaceId
from tests.sandbox.harness import Simulator, running

WANG = {"IdCard": "110101200001010010", "Name": "王小明"}


async def call(
    simulator: Simulator, action: str, body: dict[str, str], *, key="sandbox-faceid-key", late_s=0
):
    raw = json.dumps(body, ensure_ascii=False).encode()
    stamp = str(int(simulator.now.timestamp()) - late_s)
    day = simulator.now.strftime("%Y-%m-%d")
    canonical = (
        f"POST\n/\n\ncontent-type:application/json\nhost:{simulator.host}\n\n"
        f"content-type;host\n{hashlib.sha256(raw).hexdigest()}"
    )
    text = (
        f"TC3-HMAC-SHA256\n{stamp}\n{day}/faceid/tc3_request\n"
        f"{hashlib.sha256(canonical.encode()).hexdigest()}"
    )

    def sign(secret: bytes, message: str) -> bytes:
        return hmac.new(secret, message.encode(), "sha256").digest()

    signing = sign(sign(sign(f"TC3{key}".encode(), day), "faceid"), "tc3_request")
    signature = hmac.new(signing, text.encode(), "sha256").hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-TC-Action": action,
        "X-TC-Version": "2018-03-01",
        "X-TC-Timestamp": stamp,
        "Authorization": (
            f"TC3-HMAC-SHA256 Credential=sandbox-faceid-id/{day}/faceid/tc3_request, "
            f"SignedHeaders=content-type;host, Signature={signature}"
        ),
    }
    async with simulator.http.post(simulator.url("/"), data=raw, headers=headers) as answer:
        if answer.status != 200:
            return {"Status": answer.status}
        return (await answer.json())["Response"]


async def test_a_name_and_its_number_match_until_somebody_says_otherwise():
    async with running(FaceId) as simulator:
        first = await call(simulator, "IdCardVerification", WANG)
        await simulator.put(f"/_sandbox/people/{WANG['IdCard']}", {"name": "李四"})
        second = await call(simulator, "IdCardVerification", WANG)

        assert (first["Result"], second["Result"]) == ("0", "-1")
        assert len(await simulator.books("verifications")) == 2


@pytest.mark.parametrize("id_card", ["310101199801011234", "440524188001010014", "1101012000"])
async def test_an_impossible_number_is_no_number(id_card):
    async with running(FaceId) as simulator:
        answer = await call(simulator, "IdCardVerification", WANG | {"IdCard": id_card})

        assert answer["Result"] == "-2"


async def test_a_face_check_passes_when_the_person_passes_it():
    async with running(FaceId) as simulator:
        begun = await call(simulator, "DetectAuth", WANG | {"RuleId": "1", "Extra": "a-1"})
        query = {"BizToken": begun["BizToken"], "RuleId": "1", "InfoType": "1"}
        waiting = await call(simulator, "GetDetectInfoEnhanced", query)
        await simulator.post(f"/_sandbox/people/{WANG['IdCard']}/detect", {"passed": True})
        done = await call(simulator, "GetDetectInfoEnhanced", query)

        assert waiting["Text"]["ErrCode"] is None
        assert done["Text"]["ErrCode"] == 0
        assert float(done["Text"]["Sim"]) >= 70
        assert done["Text"]["Extra"] == "a-1"


async def test_a_failed_check_carries_its_code():
    async with running(FaceId) as simulator:
        begun = await call(simulator, "DetectAuth", WANG | {"RuleId": "1"})
        await simulator.post(
            f"/_sandbox/people/{WANG['IdCard']}/detect",
            {"passed": False, "err_code": 2012, "biz_token": begun["BizToken"]},
        )
        query = {"BizToken": begun["BizToken"], "RuleId": "1"}
        done = await call(simulator, "GetDetectInfoEnhanced", query)

        assert done["Text"]["ErrCode"] == 2012


async def test_a_token_nobody_used_expires_after_two_hours():
    async with running(FaceId) as simulator:
        begun = await call(simulator, "DetectAuth", WANG | {"RuleId": "1"})
        await simulator.advance(seconds=7201)
        query = {"BizToken": begun["BizToken"], "RuleId": "1"}
        answer = await call(simulator, "GetDetectInfoEnhanced", query)
        missed = await simulator.post(
            f"/_sandbox/people/{WANG['IdCard']}/detect", {"passed": True}, status=404
        )

        assert answer["Error"]["Code"] == "InvalidParameterValue.BizTokenExpired"
        assert missed["error"]


async def test_requests_must_be_signed_in_time_and_by_us():
    async with running(FaceId) as simulator:
        forged = await call(simulator, "IdCardVerification", WANG, key="other")
        stale = await call(simulator, "IdCardVerification", WANG, late_s=301)

        assert forged["Error"]["Code"] == "AuthFailure.SignatureFailure"
        assert stale["Error"]["Code"] == "AuthFailure.SignatureExpire"
        assert await simulator.books("verifications") == []


async def test_unknown_rules_and_actions_are_refused():
    async with running(FaceId) as simulator:
        rule = await call(simulator, "DetectAuth", WANG | {"RuleId": "9"})
        action = await call(simulator, "DetectNothing", WANG)

        assert rule["Error"]["Code"] == "InvalidParameterValue.RuleIdNotExist"
        assert action["Error"]["Code"] == "InvalidAction"


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("decline:-7", {"Result": "-7"}),
        ("http_500", {"Status": 500}),
        ("outage", {"Status": 503}),
    ],
)
async def test_a_scripted_fault_happens_once(do, expected):
    async with running(FaceId) as simulator:
        await simulator.fault(WANG["IdCard"], "IdCardVerification", do)
        first = await call(simulator, "IdCardVerification", WANG)
        second = await call(simulator, "IdCardVerification", WANG)

        assert expected.items() <= first.items()
        assert second["Result"] == "0"


async def test_a_scripted_code_is_an_error():
    async with running(FaceId) as simulator:
        await simulator.fault(
            WANG["IdCard"], "DetectAuth", "decline:FailedOperation.IdentityAuthLimitExceeded"
        )
        answer = await call(simulator, "DetectAuth", WANG | {"RuleId": "1"})

        assert answer["Error"]["Code"] == "FailedOperation.IdentityAuthLimitExceeded"
