"""Sign flows at the e-contract provider: their form, whose turn it is, what callbacks say."""

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from deploy.sandbox.kit import Doc
from deploy.sandbox.provider_time import milliseconds
from shared.ids import derived_id

MAX_SIGNERS: Final = 10
LONGEST_LIFE: Final = timedelta(days=90)
_PERSON: Final = 0


class FlowStatus(IntEnum):
    """Status numbers of a flow (e签宝, sign-flow detail)."""

    DRAFT = 0
    SIGNING = 1
    DONE = 2
    REVOKED = 3
    EXPIRED = 5
    REFUSED = 7


class Refused(Exception):
    """The provider says no with a business code."""

    def __init__(self, code: int, message: str) -> None:
        """Say no with *code*."""
        super().__init__(code)
        self.code = code
        self.message = message


def account_of(signer: Any) -> str:
    """Return the account (mobile or e-mail) or else the id of a signer; empty when it has none."""
    info = (signer.get("psnSignerInfo") if isinstance(signer, dict) else None) or {}
    return str(info.get("psnAccount") or info.get("psnId") or "")


def new_flow(body: Doc, *, flow_id: str, now: datetime) -> Doc:
    """
    Return the flow that *body* asks for.

    Raises:
        Refused: A part is missing or out of bounds.
    """
    config = body.get("signFlowConfig") or {}
    signers, documents = body.get("signers") or [], body.get("docs") or []
    if not config.get("signFlowTitle") or not documents or not signers:
        raise Refused(1435002, "参数错误: docs, signers, signFlowTitle")
    if len(signers) > MAX_SIGNERS:
        raise Refused(1437608, "签署人数量超限")
    auto_start = config.get("autoStart", True) is True
    return {
        "flow_id": flow_id,
        "title": str(config["signFlowTitle"]),
        "file_ids": [str(document["fileId"]) for document in documents],
        "signers": [_signer(signer, now) for signer in signers],
        "status": (FlowStatus.SIGNING if auto_start else FlowStatus.DRAFT).value,
        "auto_finish": config.get("autoFinish", False) is True,
        "notify_url": str(config.get("notifyUrl") or ""),
        "created_at": now.isoformat(),
        "expire_at": _expire_at(config.get("signFlowExpireTime"), now).isoformat(),
        "finished_at": None,
        "description": "",
        "evidence_sha256": None,
    }


def _expire_at(stamp: Any, now: datetime) -> datetime:
    if stamp is None:
        return now + LONGEST_LIFE
    moment = datetime.fromtimestamp(int(stamp) / 1000, UTC)
    if not now < moment <= now + LONGEST_LIFE:
        raise Refused(1435002, "参数错误: signFlowExpireTime")
    return moment


def _signer(signer: Doc, now: datetime) -> Doc:
    """Return one signer; an organisation that seals by itself has signed already."""
    fields = signer.get("signFields") or []
    if not fields:
        raise Refused(1435002, "参数错误: signFields")
    order = int((signer.get("signConfig") or {}).get("signOrder", 1))
    if signer.get("signerType") != _PERSON:
        automatic = all((one.get("normalSignFieldConfig") or {}).get("autoSign") for one in fields)
        organisation = signer.get("orgSignerInfo") or {}
        account = str(organisation.get("orgId") or organisation.get("orgName") or "")
        signed_at = now.isoformat() if automatic else None
    else:
        account, signed_at = account_of(signer), None
    if not account:
        raise Refused(1435203, "账号不存在")
    return {
        "psn_id": derived_id("esign", account).hex,
        "account": account,
        "order": order,
        "custom_biz_num": str(fields[0].get("customBizNum", "")),
        "signed_at": signed_at,
        "refused": False,
        "video_ref": "",
        "device": "",
    }


def waiting(flow: Doc) -> list[Doc]:
    """Return the signers who have neither signed nor refused."""
    return [one for one in flow["signers"] if one["signed_at"] is None and not one["refused"]]


def signer_of(flow: Doc, who: str) -> Doc | None:
    """Return the signer with the id or account *who*."""
    found: list[Doc] = [one for one in flow["signers"] if who in {one["psn_id"], one["account"]}]
    return found[0] if found else None


def is_turn_of(flow: Doc, who: str) -> bool:
    """Tell whether nobody of a lower order still has to sign before *who*."""
    signer = signer_of(flow, who)
    first = min(one["order"] for one in waiting(flow))
    return signer is not None and bool(signer["order"] == first)


def sign(flow: Doc, who: str, proof: Doc, *, now: datetime) -> Doc:
    """Return *flow* after *who* signed, or refused, with what the page recorded in *proof*."""
    refused = bool(proof.get("refuse", False))
    mark = {
        "signed_at": None if refused else now.isoformat(),
        "refused": refused,
        "video_ref": str(proof.get("video_ref", "")),
        "device": str(proof.get("device", "")),
    }
    signers = [
        one | mark if who in {one["psn_id"], one["account"]} else one for one in flow["signers"]
    ]
    return flow | {"signers": signers}


def detail(flow: Doc) -> Doc:
    """Return a flow as the query shows it."""
    return {
        "signFlowId": flow["flow_id"],
        "signFlowTitle": flow["title"],
        "signFlowStatus": flow["status"],
        "signFlowDescription": flow["description"],
        "signFlowCreateTime": _stamp(flow["created_at"]),
        "signFlowFinishTime": _stamp(flow["finished_at"]),
        "docs": [{"fileId": file_id} for file_id in flow["file_ids"]],
        "signers": [
            {
                "psnSigner": {
                    "psnId": one["psn_id"],
                    "psnAccount": {"accountMobile": one["account"]},
                },
                "signOrder": one["order"],
                "signStatus": 4 if one["refused"] else 1 if one["signed_at"] is None else 2,
                "signTime": _stamp(one["signed_at"]),
            }
            for one in flow["signers"]
        ],
    }


def signed_event(flow: Doc, signer: Doc) -> Doc:
    """Return the callback after one signer; the action's spelling is the vendor's."""
    return {
        "action": "SIGN_MISSON_COMPLETE",
        "signFlowId": flow["flow_id"],
        "signResult": 4 if signer["refused"] else 2,
        "operateTime": _stamp(signer["signed_at"]),
        "signOrder": signer["order"],
        "customBizNum": signer["custom_biz_num"],
        "operator": {
            "psnId": signer["psn_id"],
            "psnAccount": {"accountMobile": signer["account"]},
        },
        "organization": None,
        "resultDescription": "拒签" if signer["refused"] else "",
    }


def completed_event(flow: Doc) -> Doc:
    """Return the callback at the end of a flow."""
    return {
        "action": "SIGN_FLOW_COMPLETE",
        "signFlowId": flow["flow_id"],
        "signFlowStatus": str(flow["status"]),
        "signFlowFinishTime": _stamp(flow["finished_at"]),
        "statusDescription": flow["description"],
    }


def _stamp(moment: str | None) -> int | None:
    return None if moment is None else milliseconds(datetime.fromisoformat(moment))
