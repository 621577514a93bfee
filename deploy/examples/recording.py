"""Calls with their answers as they were, and the same with names that every run shares."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

SHOWN_HEADERS: Final = (
    "Content-Type",
    "Content-Disposition",
    "Idempotency-Replayed",
    "WWW-Authenticate",
    "X-Request-Id",
)
"""Headers of an answer that a client may need; the rest says nothing about the call."""

OPAQUE: Final = frozenset(
    {
        "agreement_no",
        "extra_data",
        "next_cursor",
        "nonceStr",
        "package",
        "paySign",
        "rail_trade_no",
        "refund_no",
        "sign_str",
        "timeStamp",
        "token",
        "tracking_no",
        "trade_no",
        "tradeNO",
    }
)
"""Members whose texts differ from run to run, or are too long to read."""

KEY_ID: Final = f"{0:016x}"
API_KEY: Final = f"yf_live_{KEY_ID}_{0:048x}"
OPAQUE_MIN: Final = 8
"""Shorter texts are left as they are: there is nothing in them."""

_KEY = re.compile(r"yf_[a-z]+_([0-9a-f]{16})_[0-9a-f]{48}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{32})(?![0-9a-f])")

Doc = dict[str, Any]


class Unexpected(Exception):
    """A service answered something else than the example is to show."""


@dataclass(frozen=True, slots=True)
class Example:
    """One call and its answer; *name* is the file's, *service* whose base URL it went to."""

    name: str
    title: str
    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int
    answered_headers: Mapping[str, str]
    answer: Any

    def as_document(self) -> Doc:
        """Return what stands in the file."""
        return {
            "title": self.title,
            "service": self.service,
            "request": {
                "method": self.method,
                "path": self.path,
                "headers": dict(self.headers),
                "body": self.body,
            },
            "response": {
                "status": self.status,
                "headers": dict(self.answered_headers),
                "body": self.answer,
            },
        }


@dataclass
class Recorder:
    """Calls services with one merchant's key, and keeps each call."""

    session: aiohttp.ClientSession
    services: Mapping[str, str]
    key: str
    examples: list[Example] = field(default_factory=list)

    async def get(self, name: str, title: str, at: str, *, expect: int = 200) -> Any:
        """Read ``service:/path``; see ``call``."""
        return await self.call("GET", name, title, at, expect=expect)

    async def post(
        self,
        name: str,
        title: str,
        at: str,
        body: object = None,
        *,
        key: str = "",
        expect: int = 200,
    ) -> Any:
        """Post *body* to ``service:/path`` under the Idempotency-Key *key*; see ``call``."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self.call("POST", name, title, at, body, headers=headers, expect=expect)

    async def call(
        self,
        method: str,
        name: str,
        title: str,
        at: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
        expect: int = 200,
    ) -> Any:
        """
        Call ``service:/path``, keep the call, and return the answer's body.

        *body* is sent as JSON, bytes as they are; not *signed* leaves the API key out.

        Raises:
            Unexpected: The status is not *expect*.
        """
        service, _, path = at.partition(":")
        sent = {"Authorization": f"Bearer {self.key}"} if signed else {}
        sent |= {"Content-Type": "application/json"} if body is not None else {}
        sent |= headers or {}
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        url = self.services[service] + path
        async with self.session.request(
            method, url, data=None if body is None else raw, headers=sent
        ) as got:
            answer = await _read(got)
            answered = {one: got.headers[one] for one in SHOWN_HEADERS if one in got.headers}
            status = got.status
        if status != expect:
            raise Unexpected(f"{name}: {method} {at}: {status} {answer}")
        shown = f"({len(raw)} bytes)" if isinstance(body, bytes) else body
        made = (method, path, sent, shown, status, answered, answer)
        self.examples.append(Example(f"{len(self.examples) + 1:02}-{name}", title, service, *made))
        return answer


async def _read(answer: aiohttp.ClientResponse) -> Any:
    if "json" in answer.content_type:
        return await answer.json(content_type=None)
    return f"({answer.content_type}, begins {(await answer.read())[:5].decode('latin-1')})"


class Names:
    """Gives ids, hashes, keys and addresses of a run the names that they have in every run."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        """*hosts* are base URLs of the run, by the name of who answers there."""
        self._known = {url: f"https://{name}.example" for name, url in hosts.items()}
        self._ids: dict[str, str] = {}
        self._numbers = count(1)

    def of(self, examples: Iterable[Example]) -> list[Doc]:
        """Return the documents of *examples*, in their order."""
        return [self._named(one.as_document()) for one in examples]

    def _named(self, value: Any, member: str = "") -> Any:
        if isinstance(value, dict):
            inner = {name: member if member in OPAQUE else name for name in value}
            return {name: self._named(one, inner[name]) for name, one in value.items()}
        if isinstance(value, list):
            return [self._named(one, member) for one in value]
        if not isinstance(value, str):
            return value
        if member in OPAQUE and len(value) >= OPAQUE_MIN:
            if value not in self._known:
                self._known[value] = f"{member}-{next(self._numbers)}"
            return self._known[value]
        return self._text(value)

    def _text(self, text: str) -> str:
        for known, name in self._known.items():
            text = text.replace(known, name)
        for key in _KEY.finditer(text):
            self._known[key[1]] = KEY_ID
        text = _KEY.sub(API_KEY, text)
        text = _UUID.sub(lambda found: self._id(found[0].lower()), text)
        return _HEX.sub(lambda found: self._id(found[0]), text)

    def _id(self, found: str) -> str:
        number = len(self._ids) + 1
        if "-" in found:
            return self._ids.setdefault(found, f"01940000-0000-7000-8000-{number:012}")
        return self._ids.setdefault(found, f"{number:0{len(found)}}")


def write(documents: Mapping[str, Doc], directory: Path) -> None:
    """Write *documents* by name, and remove what is no longer among them."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob("*.json"):
        if path.stem not in documents:
            path.unlink()
    for name, document in documents.items():
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        (directory / f"{name}.json").write_bytes(text)


def read(directory: Path) -> dict[str, Doc]:
    """Return the documents in *directory* by name."""
    return {path.stem: orjson.loads(path.read_bytes()) for path in sorted(directory.glob("*.json"))}
