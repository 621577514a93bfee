"""
How each provider signs what it receives and what it sends: pure functions over bytes and keys.

The simulators verify our adapters with these, and sign their pushes with them.  The
adapters have their own code: a mistake in one of the two then shows as a refusal.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import md5, sha1, sha256
from hmac import HMAC, compare_digest
from typing import Final
from urllib.parse import quote, urlencode

ACS3: Final = "ACS3-HMAC-SHA256"
TC3: Final = "TC3-HMAC-SHA256"


def same(left: str, right: str) -> bool:
    """Compare two signatures in constant time; any text is allowed on either side."""
    return compare_digest(left.encode(), right.encode())


def authorization_parts(header: str, algorithm: str) -> dict[str, str]:
    """
    Split ``ALGORITHM Credential=…,SignedHeaders=…,Signature=…`` into its parts.

    Another algorithm, or text of another form, gives an empty dict.
    """
    name, _, rest = header.partition(" ")
    if name != algorithm:
        return {}
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {key: value for key, _, value in pairs if value}


def form(fields: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a form with *fields*."""
    headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
    return headers, urlencode(fields).encode()


def acs3(
    secret: str,
    *,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    signed_headers: Sequence[str],
    body: bytes,
) -> str:
    """
    Return Aliyun's V3 signature in lower-case hex.

    Source: Aliyun OpenAPI signature V3: no date line, no key derivation.
    """
    canonical_query = "&".join(
        f"{quote(key, safe='-_.~')}={quote(query[key], safe='-_.~')}" for key in sorted(query)
    )
    block = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed_headers)
    canonical = "\n".join(
        [method, path, canonical_query, block, ";".join(signed_headers), sha256(body).hexdigest()]
    )
    text = f"{ACS3}\n{sha256(canonical.encode()).hexdigest()}"
    return HMAC(secret.encode(), text.encode(), sha256).hexdigest()


def tc3(
    secret: str,
    *,
    service: str,
    headers: Mapping[str, str],
    signed_headers: Sequence[str],
    timestamp: int,
    body: bytes,
) -> str:
    """
    Return Tencent Cloud's signature in lower-case hex.

    Source: Tencent Cloud API 3.0, TC3-HMAC-SHA256; the date is that of UTC.
    """
    block = "".join(f"{name}:{headers.get(name, '').strip().lower()}\n" for name in signed_headers)
    canonical = "\n".join(
        ["POST", "/", "", block, ";".join(signed_headers), sha256(body).hexdigest()]
    )
    day = datetime.fromtimestamp(timestamp, UTC).date().isoformat()
    scope = f"{day}/{service}/tc3_request"
    text = "\n".join([TC3, str(timestamp), scope, sha256(canonical.encode()).hexdigest()])
    key = f"TC3{secret}".encode()
    for step in (day, service, "tc3_request"):
        key = HMAC(key, step.encode(), sha256).digest()
    return HMAC(key, text.encode(), sha256).hexdigest()


def content_md5(body: bytes) -> str:
    """Return the Content-MD5 header of *body*: base64 of the raw digest."""
    return b64encode(md5(body).digest()).decode()


def esign_request(
    secret: str,
    *,
    method: str,
    accept: str,
    body_md5: str,
    content_type: str,
    date: str,
    path_and_query: str,
) -> str:
    """
    Return e签宝's request signature in base64.

    *path_and_query* has its query keys sorted and its values not encoded.

    Source: e签宝 OpenAPI V3, request signature.
    """
    text = f"{method}\n{accept}\n{body_md5}\n{content_type}\n{date}\n{path_and_query}"
    return b64encode(HMAC(secret.encode(), text.encode(), sha256).digest()).decode()


def esign_callback(secret: str, *, timestamp: str, query: Mapping[str, str], body: bytes) -> str:
    """
    Return the lower-case hex signature of e签宝's callback.

    Source: e签宝 OpenAPI V3: time stamp, query values by key, raw body.
    """
    values = "".join(query[key] for key in sorted(query))
    return HMAC(secret.encode(), (timestamp + values).encode() + body, sha256).hexdigest()


def jushuitan(secret: str, fields: Mapping[str, str]) -> str:
    """
    Return 聚水潭's lower-case MD5 over the secret and every field but ``sign``, by key.

    Source: 聚水潭 open platform, signature rule; pushes are signed by the same rule.
    """
    text = "".join(key + fields[key] for key in sorted(fields) if key != "sign")
    return md5((secret + text).encode()).hexdigest()


def kuaidi100_push(param: str, salt: str) -> str:
    """Return the upper-case MD5 of *param* and *salt* that a tracking push carries."""
    return md5((param + salt).encode()).hexdigest().upper()


def kuaidi100_query(param: str, *, key: str, customer: str) -> str:
    """Return the upper-case MD5 that a real-time query carries."""
    return md5((param + key + customer).encode()).hexdigest().upper()


def wechat_push(token: str, *, timestamp: str, nonce: str) -> str:
    """Return the signature of a WeChat message push in plain mode: SHA-1 of the sorted three."""
    return sha1("".join(sorted([token, timestamp, nonce])).encode()).hexdigest()
