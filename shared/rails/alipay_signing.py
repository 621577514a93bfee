"""What Alipay signs and how its answers are cut out: texts only, no keys, no network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, quote

_DECODER: Final = json.JSONDecoder()
_BLANK: Final = " \t\r\n"


def canonical_text(fields: Mapping[str, str]) -> str:
    """
    Return the text that is signed: ``k=v`` joined by ``&``, keys in ASCII order.

    Values stand raw, never URL-encoded; empty ones are left out, and so is ``sign``, while
    ``sign_type`` takes part.  Source: Alipay open docs, signing rule.
    """
    pairs = sorted((key, value) for key, value in fields.items() if value and key != "sign")
    return "&".join(f"{key}={value}" for key, value in pairs)


def order_string(fields: Mapping[str, str]) -> str:
    """Return signed *fields* (``sign`` included) as the query string that a client SDK takes."""
    return "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(fields.items()))


@dataclass(frozen=True)
class SignedNode:
    """The value of one top-level key, byte for byte as received, and the signature beside it."""

    name: str
    raw: str
    value: Any
    sign: str | None


class OddResponse(ValueError):
    """The body is not one JSON object with the expected node."""


def cut_node(body: str, name: str) -> SignedNode:
    """
    Find the node *name*, or ``error_response``, and the text that its signature covers.

    The scanner knows JSON strings, so braces inside a text do not matter, and ``sign`` may stand
    before or after the node.

    Raises:
        OddResponse: Not an object, a key twice, or neither node present.
    """
    spans = _top_level(body)
    for candidate in (name, "error_response"):
        if candidate in spans:
            start, end, value = spans[candidate]
            sign = spans.get("sign", (0, 0, None))[2]
            return SignedNode(
                candidate, body[start:end], value, sign if isinstance(sign, str) else None
            )
    raise OddResponse(f"No {name} in the answer")


def parse_form(body: bytes) -> list[tuple[str, str]]:
    """
    Return the decoded fields of a notification, blank values kept, in its own charset.

    Raises:
        ValueError: The bytes do not decode.
    """
    raw = parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding="latin-1")
    named = {value for key, value in raw if key == "charset"}
    charset = {"gbk": "gb18030", "gb2312": "gb18030"}.get(next(iter(named), "utf-8").lower())
    return [
        (_decoded(key, charset or "utf-8"), _decoded(value, charset or "utf-8"))
        for key, value in raw
    ]


def notification_texts(fields: Sequence[tuple[str, str]]) -> list[str]:
    """
    Return the texts that a notification's signature may cover, likeliest first.

    Documented: all received fields but ``sign`` and ``sign_type``.  Libraries disagree about
    empty values and about ``alipay_cert_sn``, so the forms without them follow; a valid RSA
    signature of any of them cannot be an accident.
    """
    kept = {key: value for key, value in fields if key not in {"sign", "sign_type"}}
    filled = {key: value for key, value in kept.items() if value}
    no_cert = {key: value for key, value in kept.items() if key != "alipay_cert_sn"}
    filled_no_cert = {key: value for key, value in filled.items() if key != "alipay_cert_sn"}
    texts = [_joined(form) for form in (kept, filled, no_cert, filled_no_cert)]
    return list(dict.fromkeys(texts))


def _joined(fields: Mapping[str, str]) -> str:
    return "&".join(f"{key}={value}" for key, value in sorted(fields.items()))


def _decoded(text: str, charset: str) -> str:
    return text.encode("latin-1").decode(charset)


def _top_level(body: str) -> dict[str, tuple[int, int, Any]]:
    spans: dict[str, tuple[int, int, Any]] = {}
    try:
        at = _past(body, _skip(body, 0), "{")
        while body[at] != "}":
            key, at = _DECODER.raw_decode(body, at)
            at = _past(body, _skip(body, at), ":")
            value, end = _DECODER.raw_decode(body, at)
            if not isinstance(key, str) or key in spans:
                raise OddResponse(f"A key that cannot be: {key!r}")
            spans[key] = (at, end, value)
            at = _skip(body, end)
            if body[at] == ",":
                at = _past(body, at, ",")
        if body[at + 1 :].strip():
            raise OddResponse("Something follows the object")
    except (json.JSONDecodeError, IndexError, RecursionError) as error:
        raise OddResponse("Not a JSON object") from error
    return spans


def _skip(body: str, at: int) -> int:
    while body[at] in _BLANK:
        at += 1
    return at


def _past(body: str, at: int, mark: str) -> int:
    if body[at] != mark:
        raise OddResponse(f"No {mark} at {at}")
    return _skip(body, at + 1)
