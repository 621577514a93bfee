"""
e签宝 (OpenAPI V3): upload a contract, have it signed on the provider's page, fetch the result.

Provider's side: ``POST /v3/files/file-upload-url``, ``PUT`` to the address that it names,
``GET /v3/files/{id}``, ``POST /v3/sign-flow/create-by-file``, and of a flow ``/start``,
``/finish``, ``/revoke``, ``/sign-url``, ``/detail`` (GET), ``/file-download-url`` and
``/evidence-report`` (the vendor's path for it is unconfirmed; it answers
``{"reportDownloadUrl"}``).  Callbacks SIGN_MISSON_COMPLETE and SIGN_FLOW_COMPLETE go to the
flow's ``notifyUrl`` and, where set, to ``--esign-notify-url`` as well: two pushes, as in reality;
to be answered ``{"code":"200",...}``, else up to sixteen more times.

Our side: ``POST /_sandbox/signers/{psn id or account}/sign`` ``{"flow_id": optional,
"video_ref": ..., "device": ..., "refuse": false}`` is the customer on the provider's page; without
a flow it is the latest that waits for this person.

The signed file is the uploaded one, byte for byte, with a marker behind it; the books name the
sha-256 of both.

Faults: account = the signer's account or the flow id; ``on`` = ``upload`` (both steps; account
``*``), ``create``, ``sign-url``, ``detail``, ``start``, ``finish``, ``revoke``, ``download``,
``evidence``, ``notify``.  ``decline:1437328`` answers that code.

Start: ``python -m deploy.sandbox.esign --port P [--esign-notify-url URL]``.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import orjson
from aiohttp import web

from deploy.sandbox import esign_files, esign_flows
from deploy.sandbox import provider_settings as settings
from deploy.sandbox import provider_signatures as signatures
from deploy.sandbox.esign_flows import FlowStatus, Refused
from deploy.sandbox.kit import Doc, Fault, FaultKind, Options, Sandbox, json_body, json_reply, main
from deploy.sandbox.provider_time import milliseconds, within
from shared.ids import new_id

SKEW_S: Final = 900
UPLOAD_URL_LIVES: Final = timedelta(minutes=60)
MAX_FILE_BYTES: Final = 50 * 2**20
_DOWNLOAD_LIVES_S: Final = (1, 3600)

Handler = Callable[[web.Request, Doc], Doc]


class ESign(Sandbox):
    """The e-contract provider."""

    name = "esign"
    resend_gaps_s = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, *(7200,) * 7)

    def __init__(self, options: Options) -> None:
        """Take one app; keep files beside the books."""
        super().__init__(options)
        self.app_id = settings.credential(options, "esign_app_id")
        self.secret = settings.credential(options, "esign_app_secret")
        self.notify_url = settings.text(options, "esign_notify_url")
        directory = None if options.books is None else options.books.with_suffix(".files")
        self.blobs = esign_files.Blobs(directory)
        self.composers["callback"] = self._compose
        self.timeline.kinds["expire"] = self._expire
        router = self.app.router
        router.add_post("/v3/files/file-upload-url", self._route("upload", self._upload_url))
        router.add_put("/_storage/{file_id}", self._store)
        router.add_get("/_storage/{grant}", self._serve)
        router.add_get("/v3/files/{file_id}", self._route("file", self._file))
        router.add_post("/v3/sign-flow/create-by-file", self._route("create", self._create))
        flow = "/v3/sign-flow/{flow_id}"
        router.add_get(f"{flow}/detail", self._route("detail", self._detail))
        for path, on, handler in (
            ("start", "start", self._start),
            ("finish", "finish", self._finish),
            ("revoke", "revoke", self._revoke),
            ("sign-url", "sign-url", self._sign_url),
            ("file-download-url", "download", self._download_url),
            ("evidence-report", "evidence", self._evidence),
        ):
            router.add_post(f"{flow}/{path}", self._route(on, handler))
        router.add_post("/_sandbox/signers/{who}/sign", self._sign)

    def _route(
        self, on: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def route(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            body = _object(raw)
            fault = self.fault(on, *self._accounts(request, body))

            async def act() -> web.StreamResponse:
                return self._answer(request, raw, body, fault, handler)

            return await self.disturb(request, fault, act)

        return route

    def _accounts(self, request: web.Request, body: Doc) -> list[str]:
        flow_id = request.match_info.get("flow_id", "")
        flow = self.books.get("flows", flow_id)
        if flow is not None:
            return [flow_id, *(str(signer["account"]) for signer in flow["signers"])]
        return [esign_flows.account_of(signer) for signer in body.get("signers") or []]

    def _answer(
        self, request: web.Request, raw: bytes, body: Doc, fault: Fault | None, handler: Handler
    ) -> web.Response:
        refusal = self._gate(request, raw)
        if refusal is not None:
            answer = {"success": False, "code": 401, "message": refusal}
            return json_reply(answer, status=401)
        if fault is not None and fault.kind is FaultKind.DECLINE:
            return json_reply({"code": int(fault.argument), "message": "操作失败", "data": None})
        try:
            data = handler(request, body)
        except Refused as refused:
            return json_reply({"code": refused.code, "message": refused.message, "data": None})
        return json_reply({"code": 0, "message": "成功", "data": data})

    def _gate(self, request: web.Request, raw: bytes) -> str | None:
        """Return why the gateway refuses the request, or None."""
        headers = request.headers
        if headers.get("X-Tsign-Open-Auth-Mode") != "Signature":
            return "TOKEN_CANT_BE_NULL"
        if headers.get("X-Tsign-Open-App-Id") != self.app_id:
            return "无效的应用"
        stamp = headers.get("X-Tsign-Open-Ca-Timestamp", "")
        if not stamp.isdigit() or not within(
            datetime.fromtimestamp(int(stamp) / 1000, UTC), of=self.now(), seconds=SKEW_S
        ):
            return "INVALID_TIMESTAMP"
        body_md5 = headers.get("Content-MD5", "")
        if raw and body_md5 != signatures.content_md5(raw):
            return "INVALID_SIGNATURE"
        expected = signatures.esign_request(
            self.secret,
            method=request.method,
            accept=headers.get("Accept", ""),
            body_md5=body_md5,
            content_type=headers.get("Content-Type", ""),
            date=headers.get("Date", ""),
            path_and_query=_path_and_query(request),
        )
        fits = signatures.same(expected, headers.get("X-Tsign-Open-Ca-Signature", ""))
        return None if fits else "INVALID_SIGNATURE"

    def _upload_url(self, request: web.Request, body: Doc) -> Doc:
        names = ("contentMd5", "contentType", "fileName", "fileSize")
        if any(not body.get(name) for name in names):
            raise Refused(1435002, "参数错误: contentMd5, contentType, fileName, fileSize")
        if int(body["fileSize"]) > MAX_FILE_BYTES:
            raise Refused(1435002, "参数错误: fileSize")
        file_id = new_id().hex
        file = {
            "file_id": file_id,
            "name": str(body["fileName"]),
            "content_md5": str(body["contentMd5"]),
            "content_type": str(body["contentType"]),
            "size": int(body["fileSize"]),
            "sha256": None,
            "signed_sha256": None,
            "upload_until": (self.now() + UPLOAD_URL_LIVES).isoformat(),
        }
        self.books.put("files", file_id, file)
        return {"fileId": file_id, "fileUploadUrl": f"{request.url.origin()}/_storage/{file_id}"}

    async def _store(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        file = self.books.get("files", request.match_info["file_id"])
        fault = self.fault("upload", "storage")

        async def act() -> web.StreamResponse:
            if file is None or datetime.fromisoformat(file["upload_until"]) < self.now():
                return json_reply({"errCode": -1, "msg": "链接已失效"}, status=403)
            md5_fits = signatures.content_md5(raw) == file["content_md5"]
            header_fits = request.headers.get("Content-MD5") == file["content_md5"]
            type_fits = request.headers.get("Content-Type") == file["content_type"]
            if not (md5_fits and header_fits and type_fits and len(raw) == file["size"]):
                return json_reply({"errCode": -1, "msg": "文件校验失败"}, status=400)
            self.books.change("files", file["file_id"], sha256=self.blobs.put(raw))
            return json_reply({"errCode": 0, "msg": "成功"})

        return await self.disturb(request, fault, act)

    def _file(self, request: web.Request, _body: Doc) -> Doc:
        file = self.books.get("files", request.match_info["file_id"])
        if file is None:
            raise Refused(1435002, "文件不存在")
        status = 0 if file["sha256"] is None else 2
        return {
            "fileId": file["file_id"],
            "fileName": file["name"],
            "fileSize": file["size"],
            "fileStatus": status,
        }

    def _create(self, _request: web.Request, body: Doc) -> Doc:
        flow = esign_flows.new_flow(body, flow_id=new_id().hex, now=self.now())
        for file_id in flow["file_ids"]:
            file = self.books.get("files", file_id)
            if file is None:
                raise Refused(1435002, "文件不存在")
            if file["sha256"] is None:
                raise Refused(1437513, "文件未准备好")
        self.books.put("flows", flow["flow_id"], flow)
        expire_at = datetime.fromisoformat(flow["expire_at"])
        self.later(expire_at, "expire", {"flow_id": flow["flow_id"]})
        return {"signFlowId": flow["flow_id"]}

    def _flow(self, request: web.Request) -> Doc:
        flow = self.books.get("flows", request.match_info["flow_id"])
        if flow is None:
            raise Refused(1435002, "流程不存在")
        return flow

    def _start(self, request: web.Request, _body: Doc) -> Doc:
        flow = self._flow(request)
        if flow["status"] != FlowStatus.DRAFT:
            raise Refused(1437203, "流程状态不支持该操作")
        self.books.change("flows", flow["flow_id"], status=FlowStatus.SIGNING.value)
        return {}

    def _finish(self, request: web.Request, _body: Doc) -> Doc:
        flow = self._flow(request)
        if flow["status"] != FlowStatus.SIGNING:
            raise Refused(1437203, "流程状态不支持该操作")
        if esign_flows.waiting(flow):
            raise Refused(1437103, "签署人未全部签署")
        self._complete(flow, FlowStatus.DONE)
        return {}

    def _revoke(self, request: web.Request, body: Doc) -> Doc:
        flow = self._flow(request)
        if flow["status"] not in {FlowStatus.DRAFT, FlowStatus.SIGNING}:
            raise Refused(1437168, "流程状态不支持撤销")
        self._complete(flow, FlowStatus.REVOKED, str(body.get("revokeReason", "")))
        return {}

    def _sign_url(self, request: web.Request, body: Doc) -> Doc:
        flow = self._flow(request)
        if flow["status"] != FlowStatus.SIGNING:
            raise Refused(1437203, "流程状态不支持该操作")
        operator = body.get("operator") or {}
        who = str(operator.get("psnId") or operator.get("psnAccount") or "")
        signer = esign_flows.signer_of(flow, who)
        if signer is None:
            raise Refused(1435203, "账号不存在")
        url = f"https://esign.sandbox.invalid/sign/{flow['flow_id']}/{signer['psn_id']}"
        return {"shortUrl": url, "url": url}

    def _detail(self, request: web.Request, _body: Doc) -> Doc:
        return esign_flows.detail(self._flow(request))

    def _download_url(self, request: web.Request, body: Doc) -> Doc:
        flow = self._finished(request)
        least_s, most_s = _DOWNLOAD_LIVES_S
        lives_s = int(body.get("urlAvailableDate", most_s))
        if not least_s <= lives_s <= most_s:
            raise Refused(1435002, "参数错误: urlAvailableDate")
        files = []
        for file in self._documents(flow):
            url = self._grant(request, file["signed_sha256"], lives_s)
            row = {"fileId": file["file_id"], "fileName": file["name"], "downloadUrl": url}
            files.append(row)
        return {"files": files, "attachments": []}

    def _evidence(self, request: web.Request, _body: Doc) -> Doc:
        flow = self._finished(request)
        digest = flow.get("evidence_sha256")
        if digest is None:
            report = esign_files.evidence_report(flow, self._documents(flow))
            digest = self.blobs.put(report)
            self.books.change("flows", flow["flow_id"], evidence_sha256=digest)
        return {"reportDownloadUrl": self._grant(request, digest, _DOWNLOAD_LIVES_S[1])}

    def _finished(self, request: web.Request) -> Doc:
        flow = self._flow(request)
        if flow["status"] != FlowStatus.DONE:
            raise Refused(1437518, "流程未完成")
        return flow

    def _documents(self, flow: Doc) -> list[Doc]:
        found = (self.books.get("files", file_id) for file_id in flow["file_ids"])
        return [file for file in found if file is not None]

    def _grant(self, request: web.Request, digest: str, lives_s: int) -> str:
        grant = new_id().hex
        until = self.now() + timedelta(seconds=lives_s)
        self.books.put("_grants", grant, {"sha256": digest, "until": until.isoformat()})
        return f"{request.url.origin()}/_storage/{grant}"

    async def _serve(self, request: web.Request) -> web.Response:
        grant = self.books.get("_grants", request.match_info["grant"])
        if grant is None or datetime.fromisoformat(grant["until"]) < self.now():
            return json_reply({"errCode": -1, "msg": "链接已失效"}, status=403)
        return web.Response(body=self.blobs.get(grant["sha256"]), content_type="application/pdf")

    async def _sign(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        who = request.match_info["who"]
        flow = self._waiting_flow(who, body.get("flow_id"))
        if flow is None:
            return json_reply({"error": "no flow waits for this person"}, status=404)
        if not esign_flows.is_turn_of(flow, who):
            return json_reply({"error": "somebody signs before this person"}, status=409)
        refuse = bool(body.get("refuse", False))
        flow = esign_flows.sign(flow, who, body, now=self.now())
        self.books.put("flows", flow["flow_id"], flow)
        signer = esign_flows.signer_of(flow, who)
        assert signer is not None
        self._call_back(flow, esign_flows.signed_event(flow, signer))
        if refuse:
            self._complete(flow, FlowStatus.REFUSED, "签署人拒签")
        elif flow["auto_finish"] and not esign_flows.waiting(flow):
            self._complete(flow, FlowStatus.DONE)
        return json_reply(self.books.get("flows", flow["flow_id"]))

    def _waiting_flow(self, who: str, flow_id: str | None) -> Doc | None:
        flows = [
            flow
            for flow in self.books.all("flows")
            if flow["status"] == FlowStatus.SIGNING
            and flow_id in {None, flow["flow_id"]}
            and any(who in {one["psn_id"], one["account"]} for one in esign_flows.waiting(flow))
        ]
        return max(flows, key=lambda flow: str(flow["created_at"]), default=None)

    async def _expire(self, payload: Doc) -> None:
        flow = self.books.get("flows", payload["flow_id"])
        if flow is not None and flow["status"] in {FlowStatus.DRAFT, FlowStatus.SIGNING}:
            self._complete(flow, FlowStatus.EXPIRED, "流程过期")

    def _complete(self, flow: Doc, status: FlowStatus, description: str = "") -> None:
        flow = self.books.change(
            "flows",
            flow["flow_id"],
            status=status.value,
            finished_at=self.now().isoformat(),
            description=description,
        )
        if status is FlowStatus.DONE:
            for file in self._documents(flow):
                content = esign_files.signed(self.blobs.get(file["sha256"]), flow)
                digest = self.blobs.put(content)
                self.books.change("files", file["file_id"], signed_sha256=digest)
        self._call_back(flow, esign_flows.completed_event(flow))

    def _call_back(self, flow: Doc, event: Doc) -> None:
        body = orjson.dumps(event | {"timestamp": milliseconds(self.now())}).decode()
        for url in filter(None, (flow["notify_url"], self.notify_url)):
            self.notify(
                "callback",
                {"url": url, "body": body},
                url=url,
                account=flow["signers"][0]["account"],
                accepted='"code":"200"',
            )

    def _compose(self, payload: Doc, spoil: bool) -> tuple[dict[str, str], bytes]:
        timestamp = str(milliseconds(self.now()))
        body = str(payload["body"]).encode()
        query = dict(parse_qsl(urlsplit(payload["url"]).query, keep_blank_values=True))
        secret = "stranger" if spoil else self.secret
        signature = signatures.esign_callback(secret, timestamp=timestamp, query=query, body=body)
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Tsign-Open-App-Id": self.app_id,
            "X-Tsign-Open-TIMESTAMP": timestamp,
            "X-Tsign-Open-SIGNATURE-ALGORITHM": "hmac-sha256",
            "X-Tsign-Open-SIGNATURE": signature,
        }
        return headers, body


def _object(raw: bytes) -> Any:
    try:
        body = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _path_and_query(request: web.Request) -> str:
    query = "&".join(f"{key}={value}" for key, value in sorted(request.query.items()))
    return f"{request.path}?{query}" if query else request.path


if __name__ == "__main__":
    main(ESign, "esign-notify-url")
