"""The e-contract provider over real HTTP, from the upload to the signed file and its evidence."""

import base64
import hashlib
import hmac
import io
import json
from datetime import timedelta

import pytest
from aiohttp import ServerDisconnectedError
from fpdf import FPDF
from pypdf import PdfReader

from deploy.sandbox.esign import ESign
from deploy.sandbox.kit import Options
from tests.sandbox.harness import START, Simulator, hook, running

OK = {"code": "200", "msg": "success"}
PHONE = "13800000000"
TYPE = "application/json; charset=UTF-8"


def a_pdf() -> bytes:
    pdf = FPDF()
    pdf.add_page()
    return bytes(pdf.output())


PDF = a_pdf()


async def call(
    simulator: Simulator,
    method: str,
    path: str,
    body=None,
    *,
    secret="sandbox-esign-secret",
    late_s=0,
    **headers,
):
    raw = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    body_md5 = base64.b64encode(hashlib.md5(raw).digest()).decode() if raw else ""
    text = f"{method}\n*/*\n{body_md5}\n{TYPE}\n\n{path}"
    signature = hmac.new(secret.encode(), text.encode(), "sha256").digest()
    stamp = round(simulator.now.timestamp() * 1000) - late_s * 1000
    sent = {
        "X-Tsign-Open-App-Id": "sandbox-esign-app",
        "X-Tsign-Open-Auth-Mode": "Signature",
        "X-Tsign-Open-Ca-Timestamp": str(stamp),
        "X-Tsign-Open-Ca-Signature": base64.b64encode(signature).decode(),
        "Accept": "*/*",
        "Content-Type": TYPE,
        "Content-MD5": body_md5,
    } | headers
    async with simulator.http.request(
        method, simulator.url(path), data=raw or None, headers=sent
    ) as answer:
        if answer.status >= 500:
            return {"status": answer.status}
        return await answer.json()


async def upload(simulator: Simulator, content=PDF) -> str:
    content_md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    ask = {
        "contentMd5": content_md5,
        "contentType": "application/pdf",
        "fileName": "月付协议.pdf",
        "fileSize": len(content),
        "convertToPDF": False,
    }
    data = (await call(simulator, "POST", "/v3/files/file-upload-url", ask))["data"]
    headers = {"Content-MD5": content_md5, "Content-Type": "application/pdf"}
    async with simulator.http.put(data["fileUploadUrl"], data=content, headers=headers) as answer:
        assert (await answer.json())["errCode"] == 0
    return str(data["fileId"])


def signer(account=PHONE, order=1):
    return {
        "signerType": 0,
        "signConfig": {"signOrder": order},
        "psnSignerInfo": {"psnAccount": account, "psnInfo": {"psnName": "王小明"}},
        "signFields": [{"customBizNum": "a-1", "normalSignFieldConfig": {"signFieldStyle": 1}}],
    }


def organisation(*, automatic=True):
    return {
        "signerType": 1,
        "orgSignerInfo": {"orgName": "乐福宠物店"},
        "signFields": [{"normalSignFieldConfig": {"autoSign": automatic}}],
    }


async def create(simulator: Simulator, *signers, notify_url="", **config):
    body = {
        "docs": [{"fileId": await upload(simulator), "fileName": "月付协议.pdf"}],
        "signFlowConfig": {
            "signFlowTitle": "月付协议",
            "autoFinish": True,
            "notifyUrl": notify_url,
        }
        | config,
        "signers": list(signers) or [signer()],
    }
    return await call(simulator, "POST", "/v3/sign-flow/create-by-file", body)


async def begin(simulator: Simulator, *signers, **config) -> str:
    return str((await create(simulator, *signers, **config))["data"]["signFlowId"])


async def status(simulator: Simulator, flow: str) -> int:
    answer = await call(simulator, "GET", f"/v3/sign-flow/{flow}/detail")
    return int(answer["data"]["signFlowStatus"])


async def fetch(simulator: Simulator, url: str) -> bytes:
    async with simulator.http.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


async def sign(simulator: Simulator, who=PHONE, *, expect=200, **proof):
    body = {"video_ref": "v-1", "device": "iPhone"} | proof
    return await simulator.post(f"/_sandbox/signers/{who}/sign", body, status=expect)


def heard(push, *, query=""):
    stamp = push.headers["X-Tsign-Open-TIMESTAMP"]
    signed = f"{stamp}{query}".encode() + push.raw
    expected = hmac.new(b"sandbox-esign-secret", signed, "sha256").hexdigest()
    return json.loads(push.raw), push.headers["X-Tsign-Open-SIGNATURE"] == expected


async def test_a_contract_is_signed_and_fetched_with_its_bytes_kept():
    async with hook(OK) as us, running(ESign) as simulator:
        flow = await begin(simulator, signer(), organisation(), notify_url=us.url)
        url = await call(
            simulator,
            "POST",
            f"/v3/sign-flow/{flow}/sign-url",
            {"operator": {"psnAccount": PHONE}, "urlType": 2},
        )
        assert url["data"]["shortUrl"]
        assert await status(simulator, flow) == 1
        await sign(simulator)
        await us.wait_for(2)

        assert await status(simulator, flow) == 2
        path = f"/v3/sign-flow/{flow}/file-download-url"
        files = (await call(simulator, "POST", path, {"urlAvailableDate": 600}))["data"]["files"]
        content = await fetch(simulator, files[0]["downloadUrl"])
        (file,) = await simulator.books("files")
        assert content.startswith(PDF)
        assert content != PDF
        assert len(PdfReader(io.BytesIO(content)).pages) == 1
        assert file["sha256"] == hashlib.sha256(PDF).hexdigest()
        assert file["signed_sha256"] == hashlib.sha256(content).hexdigest()


async def test_callbacks_are_signed_over_time_query_and_body():
    async with hook(OK) as us, running(ESign) as simulator:
        flow = await begin(simulator, notify_url=f"{us.url}?b=two&a=one")
        await sign(simulator)
        await us.wait_for(2)

        events = [heard(push, query="onetwo") for push in us.pushes]
        assert all(fits for _, fits in events)
        signed, completed = sorted((event for event, _ in events), key=lambda e: e["action"])[::-1]
        assert (signed["action"], signed["signResult"]) == ("SIGN_MISSON_COMPLETE", 2)
        assert (signed["signFlowId"], signed["customBizNum"]) == (flow, "a-1")
        assert completed["action"] == "SIGN_FLOW_COMPLETE"
        assert completed["signFlowStatus"] == "2"


async def test_an_app_level_address_gets_a_second_push_of_each():
    async with hook(OK) as us, running(ESign, esign_notify_url=us.url) as simulator:
        await begin(simulator, notify_url=us.url)
        await sign(simulator)

        assert len(await us.wait_for(4)) == 4


async def test_an_untaken_callback_is_repeated_sixteen_times_with_its_first_body():
    async with hook({"code": "500"}) as us, running(ESign) as simulator:
        await begin(simulator, notify_url=us.url)
        await sign(simulator, refuse=True)
        await simulator.advance(days=2)

        bodies = {push.raw for push in us.pushes}
        stamps = {push.headers["X-Tsign-Open-TIMESTAMP"] for push in us.pushes}
        assert (len(us.pushes), len(bodies), len(stamps)) == (34, 2, 17)


async def test_a_badly_signed_callback_and_its_right_successor():
    async with hook({"code": "500"}) as us, running(ESign) as simulator:
        await begin(simulator, notify_url=us.url, autoFinish=False)
        await simulator.fault(PHONE, "notify", "bad_signature")
        await sign(simulator)
        await simulator.advance(seconds=10)

        assert [heard(push)[1] for push in us.pushes] == [False, True]


async def test_a_customer_may_refuse():
    async with running(ESign) as simulator:
        flow = await begin(simulator)
        await sign(simulator, refuse=True)
        answer = await call(simulator, "POST", f"/v3/sign-flow/{flow}/file-download-url", {})

        assert await status(simulator, flow) == 7
        assert answer["code"] == 1437518


async def test_nobody_signs_twice_or_out_of_turn():
    async with running(ESign) as simulator:
        flow = await begin(simulator, signer(order=2), signer("13900000000", order=1))
        await sign(simulator, expect=409)
        await sign(simulator, "13900000000", flow_id=flow)
        assert await status(simulator, flow) == 1
        await sign(simulator)
        await sign(simulator, expect=404)

        assert await status(simulator, flow) == 2


async def test_without_auto_finish_a_flow_waits_to_be_finished():
    async with running(ESign) as simulator:
        flow = await begin(simulator, autoFinish=False)
        early = await call(simulator, "POST", f"/v3/sign-flow/{flow}/finish", {})
        await sign(simulator)
        assert await status(simulator, flow) == 1
        done = await call(simulator, "POST", f"/v3/sign-flow/{flow}/finish", {})

        assert (early["code"], done["code"]) == (1437103, 0)
        assert await status(simulator, flow) == 2


async def test_a_draft_starts_once_and_can_be_revoked():
    async with running(ESign) as simulator:
        flow = await begin(simulator, autoStart=False)
        assert await status(simulator, flow) == 0
        await sign(simulator, expect=404)
        codes = [
            (await call(simulator, "POST", f"/v3/sign-flow/{flow}/{verb}", {}))["code"]
            for verb in ("start", "start", "revoke", "revoke")
        ]

        assert codes == [0, 1437203, 0, 1437168]
        assert await status(simulator, flow) == 3


async def test_an_unsigned_flow_expires():
    async with hook(OK) as us, running(ESign) as simulator:
        until = round((START + timedelta(hours=24)).timestamp() * 1000)
        flow = await begin(simulator, notify_url=us.url, signFlowExpireTime=until)
        await simulator.advance(hours=24)

        assert await status(simulator, flow) == 5
        assert heard((await us.wait_for(1))[0])[0]["signFlowStatus"] == "5"


async def test_the_evidence_report_is_a_pdf_that_stays_the_same():
    async with running(ESign) as simulator:
        flow = await begin(simulator)
        path = f"/v3/sign-flow/{flow}/evidence-report"
        early = await call(simulator, "POST", path, {})
        await sign(simulator, video_ref="video-77")
        reports = [
            await fetch(
                simulator, (await call(simulator, "POST", path, {}))["data"]["reportDownloadUrl"]
            )
            for _ in range(2)
        ]

        text = PdfReader(io.BytesIO(reports[0])).pages[0].extract_text()
        assert early["code"] == 1437518
        assert reports[0] == reports[1]
        assert "video-77" in text
        assert hashlib.sha256(PDF).hexdigest() in text
        assert PHONE not in text


async def test_a_download_address_ends():
    async with running(ESign) as simulator:
        flow = await begin(simulator)
        await sign(simulator)
        path = f"/v3/sign-flow/{flow}/file-download-url"
        answer = await call(simulator, "POST", path, {"urlAvailableDate": 60})
        await simulator.advance(seconds=61)

        async with simulator.http.get(answer["data"]["files"][0]["downloadUrl"]) as late:
            assert late.status == 403


async def test_a_file_must_arrive_as_announced():
    async with running(ESign) as simulator:
        ask = {
            "contentMd5": "other",
            "contentType": "application/pdf",
            "fileName": "a.pdf",
            "fileSize": len(PDF),
        }
        data = (await call(simulator, "POST", "/v3/files/file-upload-url", ask))["data"]
        async with simulator.http.put(data["fileUploadUrl"], data=PDF) as answer:
            assert answer.status == 400
        waiting = await call(simulator, "GET", f"/v3/files/{data['fileId']}")
        ready = await call(simulator, "GET", f"/v3/files/{await upload(simulator)}")

        assert waiting["data"]["fileStatus"] == 0
        assert ready["data"]["fileStatus"] == 2


async def test_a_flow_needs_a_file_that_is_there():
    async with running(ESign) as simulator:
        body = {
            "docs": [{"fileId": "nothing"}],
            "signFlowConfig": {"signFlowTitle": "月付协议"},
            "signers": [signer()],
        }
        answer = await call(simulator, "POST", "/v3/sign-flow/create-by-file", body)

        assert answer["code"] == 1435002


@pytest.mark.parametrize(
    ("signers", "config", "code"),
    [
        ([signer(f"1380000{n:04d}") for n in range(11)], {}, 1437608),
        ([signer("")], {}, 1435203),
        ([signer()], {"signFlowTitle": ""}, 1435002),
        ([signer()], {"signFlowExpireTime": 1}, 1435002),
    ],
)
async def test_flows_that_break_a_rule(signers, config, code):
    async with running(ESign) as simulator:
        assert (await create(simulator, *signers, **config))["code"] == code
        assert simulator.sandbox.books.count("flows") == 0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"secret": "other"}, "INVALID_SIGNATURE"),
        ({"late_s": 901}, "INVALID_TIMESTAMP"),
        ({"X-Tsign-Open-App-Id": "other"}, "无效的应用"),
        ({"X-Tsign-Open-Auth-Mode": ""}, "TOKEN_CANT_BE_NULL"),
        ({"Content-MD5": "other"}, "INVALID_SIGNATURE"),
    ],
)
async def test_the_gateway_lets_only_us_in(more, message):
    async with running(ESign) as simulator:
        answer = await call(simulator, "POST", "/v3/files/file-upload-url", {"a": 1}, **more)

        assert answer == {"success": False, "code": 401, "message": message}


async def test_a_query_is_signed_by_its_sorted_keys():
    async with running(ESign) as simulator:
        file_id = await upload(simulator)
        answer = await call(simulator, "GET", f"/v3/files/{file_id}?a=1&b=2")

        assert answer["code"] == 0


async def test_scripted_codes_outages_and_hidden_answers():
    async with running(ESign) as simulator:
        steps = [
            {"on": "create", "do": "decline:1437328"},
            {"on": "create", "do": "outage"},
            {"on": "create", "do": "hide_answer"},
        ]
        await simulator.put(f"/_sandbox/faults/{PHONE}", {"steps": steps})
        declined, out = await create(simulator), await create(simulator)
        with pytest.raises(ServerDisconnectedError):
            await create(simulator)

        assert declined["code"] == 1437328
        assert out == {"status": 503}
        assert simulator.sandbox.books.count("flows") == 1


async def test_a_restarted_provider_still_has_the_files(tmp_path):
    options = Options(now=START, books=tmp_path / "esign.sqlite")
    async with running(ESign, options) as simulator:
        flow = await begin(simulator)
    async with running(ESign, options) as simulator:
        await sign(simulator, flow_id=flow)
        path = f"/v3/sign-flow/{flow}/file-download-url"
        files = (await call(simulator, "POST", path, {}))["data"]["files"]

        assert (await fetch(simulator, files[0]["downloadUrl"])).startswith(PDF)
