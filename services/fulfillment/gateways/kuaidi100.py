"""快递100 (kuaidi100), which follows parcels of all carriers and pushes what it hears."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from hmac import compare_digest
from typing import Any, Final

import aiohttp
import orjson
import structlog

from services.fulfillment.domain.carriers import NEED_PHONE
from services.fulfillment.domain.parcel import Node, ParcelState, Track, masked
from services.fulfillment.gateways.carrier import TrackingRefused, TrackingUnclear
from services.fulfillment.gateways.forms import from_china, post, read_form, read_json
from shared.errors import Malformed, Unauthentic

log = structlog.get_logger()

CODES: Final[Mapping[str, str]] = {
    "sf": "shunfeng",
    "zto": "zhongtong",
    "yto": "yuantong",
    "sto": "shentong",
    "yunda": "yunda",
    "jd": "jd",
    "ems": "ems",
    "china_post": "youzhengguonei",
    "jtexpress": "jtexpress",
    "deppon": "debangkuaidi",
}
"""Our code of a carrier to kuaidi100's."""
_OURS: Final = {theirs: ours for ours, theirs in CODES.items()}

_TAKEN: Final = {"200", "501"}
"""Taken up, or taken up before."""
_REFUSED: Final = {"600", "601", "700", "701", "702"}
MOST_NODES: Final = 500

_S = ParcelState
STATES: Final[Mapping[str, ParcelState]] = {
    "0": _S.IN_TRANSIT,
    "1": _S.PICKED_UP,
    "2": _S.EXCEPTION,
    "3": _S.DELIVERED,
    "4": _S.RETURNED,
    "5": _S.OUT_FOR_DELIVERY,
    "6": _S.RETURNING,
    "7": _S.IN_TRANSIT,
    "8": _S.IN_TRANSIT,
    "10": _S.IN_TRANSIT,
    "11": _S.IN_TRANSIT,
    "12": _S.IN_TRANSIT,
    "13": _S.EXCEPTION,
    "14": _S.REFUSED,
    "101": _S.INFO_RECEIVED,
    "102": _S.INFO_RECEIVED,
    "103": _S.PICKED_UP,
    "201": _S.EXCEPTION,
    "202": _S.EXCEPTION,
    "203": _S.REFUSED,
    "204": _S.ATTEMPT_FAILED,
    "205": _S.EXCEPTION,
    "206": _S.ATTEMPT_FAILED,
    "207": _S.ATTEMPT_FAILED,
    "208": _S.EXCEPTION,
    "209": _S.EXCEPTION,
    "210": _S.CANCELLED,
    "301": _S.DELIVERED,
    "302": _S.DELIVERED,
    "303": _S.DELIVERED,
    "304": _S.DELIVERED,
    "401": _S.CANCELLED,
    "501": _S.READY_FOR_PICKUP,
    "1001": _S.IN_TRANSIT,
    "1002": _S.IN_TRANSIT,
    "1003": _S.IN_TRANSIT,
}
"""Base and advanced codes (resultv2=4) in our vocabulary.  Source: kuaidi100, state table."""


@dataclass(frozen=True, slots=True)
class Account:
    """Our account at kuaidi100; *salt* signs what it pushes to us."""

    url: str
    key: str
    customer: str
    salt: str


class Kuaidi100:
    """The carrier port in kuaidi100's language."""

    def __init__(self, session: aiohttp.ClientSession, account: Account) -> None:
        self._session = session
        self._account = account

    async def subscribe(
        self, carrier: str, tracking_no: str, *, phone: str, callback_url: str
    ) -> None:
        """Have news of a parcel sent to *callback_url*; 501, "again", is a success."""
        parameters = {"callbackurl": callback_url, "salt": self._account.salt, "resultv2": "4"}
        if carrier in NEED_PHONE:
            parameters["phone"] = phone
        param = {
            "company": _code(carrier),
            "number": tracking_no,
            "key": self._account.key,
            "parameters": parameters,
        }
        fields = {"schema": "json", "param": orjson.dumps(param).decode()}
        told = await post(
            self._session, f"{self._account.url}/poll", fields, unclear=TrackingUnclear
        )
        code = str(told.get("returnCode"))
        if code in _REFUSED:
            raise TrackingRefused("The parcel is not followed.", code=code)
        if code not in _TAKEN:
            raise TrackingUnclear("The subscription may not stand.", code=code)

    async def query(self, carrier: str, tracking_no: str, *, phone: str) -> Track | None:
        """Return a parcel's track now; the same number at most twice an hour."""
        param = {"com": _code(carrier), "num": tracking_no, "resultv2": "4"}
        if carrier in NEED_PHONE:
            param["phone"] = phone
        text = orjson.dumps(param).decode()
        fields = {
            "customer": self._account.customer,
            "sign": _upper_md5(text + self._account.key + self._account.customer),
            "param": text,
        }
        url = f"{self._account.url}/poll/query.do"
        told = await post(self._session, url, fields, unclear=TrackingUnclear)
        if told.get("result") is False:
            if str(told.get("returnCode")) == "500":
                return None
            raise TrackingUnclear("The query was refused.", code=told.get("returnCode"))
        try:
            return _track(told, aborted=False, carrier=None)
        except Malformed as error:
            raise TrackingUnclear("The track makes no sense.") from error

    def read_push(self, body: bytes, *, now: datetime) -> Track:  # noqa: ARG002 - none is signed
        """
        Return what a push says.

        Nothing in it tells when it was signed: it can be replayed for ever, and only
        its own times say what is news.
        """
        fields = read_form(body)
        param = fields.get("param", "")
        right = _upper_md5(param + self._account.salt)
        if not compare_digest(right.encode(), fields.get("sign", "").upper().encode()):
            raise Unauthentic("The push is not signed by the tracking service.")
        told = read_json(param)
        result = told.get("lastResult")
        corrected = str(told.get("autoCheck")) == "1" and str(told.get("comNew") or "")
        return _track(
            result if isinstance(result, dict) else {},
            aborted=told.get("status") == "abort",
            carrier=_OURS.get(corrected) if corrected else None,
        )


def _track(result: Mapping[str, Any], *, aborted: bool, carrier: str | None) -> Track:
    rows = result.get("data") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Malformed("The track makes no sense.")
    head = str(result.get("state") or "")
    nodes = tuple(
        _node(row, head if index == 0 else "") for index, row in enumerate(rows[:MOST_NODES])
    )
    return Track(str(result.get("nu") or ""), nodes, aborted=aborted, carrier=carrier)


def _node(row: Mapping[str, Any], head: str) -> Node:
    code = str(row.get("statusCode") or head)
    state = STATES.get(code) or STATES.get(head)
    if state is None and code:
        log.warning("track.code_unknown", code=code)
    text = str(row.get("context") or "")
    return Node(from_china(str(row.get("ftime") or row.get("time"))), state, code, masked(text))


def _code(carrier: str) -> str:
    if carrier not in CODES:
        raise TrackingRefused("This carrier is unknown.", carrier=carrier)
    return CODES[carrier]


def _upper_md5(text: str) -> str:
    return md5(text.encode()).hexdigest().upper()  # noqa: S324 - their rule, not ours
