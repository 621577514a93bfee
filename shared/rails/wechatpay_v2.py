"""WeChat Pay's v2 protocol: XML, and signatures made with the APIv2 key."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from enum import StrEnum
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring


class V2Hash(StrEnum):
    """How a v2 message is signed; HMAC-SHA256 is named in ``sign_type``, MD5 is the default."""

    MD5 = "MD5"
    HMAC_SHA256 = "HMAC-SHA256"


class OddXml(ValueError):
    """The body is not the flat ``<xml>`` of this protocol."""


def v2_text(fields: Mapping[str, str], key: str) -> str:
    """Return the text that is signed: filled fields but ``sign`` in ASCII order, then the key."""
    pairs = sorted((name, value) for name, value in fields.items() if value and name != "sign")
    return "&".join(f"{name}={value}" for name, value in pairs) + f"&key={key}"


def v2_sign(fields: Mapping[str, str], key: str, *, how: V2Hash = V2Hash.MD5) -> str:
    """Return the signature of *fields*, upper-case hexadecimal."""
    text = v2_text(fields, key).encode()
    if how is V2Hash.MD5:
        # The rail's own choice of hash; the secret key at the end is what is trusted.
        return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest().upper()


def v2_verify(fields: Mapping[str, str], key: str) -> bool:
    """
    Return whether ``sign`` holds over all that came, new fields included.

    Without a ``sign_type`` both hashes are tried, since answers often do not repeat it.
    """
    given = fields.get("sign", "").upper()
    hashes = [V2Hash(fields["sign_type"])] if fields.get("sign_type") in list(V2Hash) else V2Hash
    return any(hmac.compare_digest(v2_sign(fields, key, how=how), given) for how in hashes)


def v2_signed(fields: Mapping[str, str], key: str, *, how: V2Hash = V2Hash.MD5) -> dict[str, str]:
    """Return the filled *fields* with their ``sign``, and ``sign_type`` if it is not MD5."""
    filled = {name: value for name, value in fields.items() if value}
    if how is not V2Hash.MD5:
        filled["sign_type"] = how.value
    return filled | {"sign": v2_sign(filled, key, how=how)}


def build_xml(fields: Mapping[str, str]) -> bytes:
    """Return *fields* as the protocol's XML, every value in CDATA."""
    parts = [f"<{name}><![CDATA[{_cdata(value)}]]></{name}>" for name, value in fields.items()]
    return f"<xml>{''.join(parts)}</xml>".encode()


def parse_xml(body: bytes) -> dict[str, str]:
    """
    Return the fields of a flat ``<xml>``; entities and DTDs are refused.

    Raises:
        OddXml: Anything else than a flat list of elements, each named once.
    """
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise OddXml("Not the protocol's XML") from error
    fields = {child.tag: child.text or "" for child in root}
    if root.tag != "xml" or len(fields) != len(root) or any(len(child) for child in root):
        raise OddXml("Not a flat list of fields")
    return fields


def nonce() -> str:
    """Return 32 random characters, as both protocols want them."""
    return secrets.token_hex(16).upper()


def _cdata(value: str) -> str:
    return value.replace("]]>", "]]]]><![CDATA[>")


NOTIFICATION_TAKEN = build_xml({"return_code": "SUCCESS", "return_msg": "OK"})
"""The body that stops WeChat Pay from sending a v2 notification again."""

NOTIFICATION_REFUSED = build_xml({"return_code": "FAIL", "return_msg": "not taken"})
"""The body that asks for the same v2 notification later."""
