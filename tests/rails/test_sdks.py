"""Our signatures against independent packages, each of which others use against the real rails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from wechatpayv3.utils import (  # type: ignore[import-untyped]  # it has no types
    aes_decrypt,
    rsa_sign,
    rsa_verify,
)
from wechatpy.pay.utils import (  # type: ignore[import-untyped]  # it has no types
    calculate_signature,
    calculate_signature_hmac,
    dict_to_xml,
)

from deploy.sandbox import keys
from shared.rails.alipay_signing import canonical_text, notification_texts
from shared.rails.signer import RsaSigner, RsaVerifier
from shared.rails.wechatpay_v2 import V2Hash, parse_xml, v2_sign, v2_signed, v2_verify
from shared.rails.wechatpay_v3 import answer_text, encrypt, request_text
from tests.rails.test_vectors import ALIPAY_CALL, KEY, V2_CALL, V2_SAMPLE

SDK_ROOT = Path(__file__).parents[2] / "var" / "test-sdks"

SDKS = {
    # Both install a package named `alipay`, therefore each has its own directory.
    "community": ("python-alipay-sdk==3.4.0", "pycryptodomex", "pyOpenSSL"),
    "official": ("alipay-sdk-python==3.7.1411", "pycryptodome", "rsa", "pyasn1"),
}

COMMUNITY = """
import json, sys
from alipay import AliPay
asked = json.load(sys.stdin)
rail = AliPay(appid="1", app_notify_url="", app_private_key_string=asked["private"],
              alipay_public_key_string=asked["public"], sign_type="RSA2")
sign = rail._sign(asked["text"])
fields = dict(asked["fields"])
given = fields.pop("sign")
print(json.dumps({"sign": sign, "verified": rail._verify(asked["text"], asked["sign"]),
                  "notified": rail.verify(fields, given)}))
"""

OFFICIAL = """
import json, sys
from alipay.aop.api.util.SignatureUtils import get_sign_content, sign_with_rsa2, verify_with_rsa
asked = json.load(sys.stdin)
content = get_sign_content(asked["call"])
sign = sign_with_rsa2(asked["pkcs1"], content, "utf-8")
verified = verify_with_rsa(asked["public_bare"], asked["text"].encode(), asked["sign"])
print(json.dumps({"content": content, "sign": sign, "verified": bool(verified)}))
"""


def _installed(name: str) -> Path:
    """Install one package with what it needs into its own directory, once."""
    target = SDK_ROOT / name
    if not (target / ".complete").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target)]
        subprocess.run([*command, "--upgrade", *SDKS[name]], check=True, timeout=240)
        (target / ".complete").touch()
    return target


def _ask(name: str, script: str, asked: dict[str, object]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(asked),
        env={"PYTHONPATH": str(_installed(name)), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _bare(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if "-----" not in line)


@pytest.fixture(scope="module")
def asked(keys_dir: Path) -> dict[str, object]:
    """One call, one notification, and the keys in the forms the packages want."""
    from cryptography.hazmat.primitives import serialization

    private = keys.private_pem(keys_dir, "alipay")
    loaded = serialization.load_pem_private_key(private.encode(), password=None)
    pkcs1 = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    public = keys.public_pem(keys_dir, "alipay")
    fields = {"notify_id": "1", "subject": "宠粮", "body": "", "total_amount": "88.00"}
    signer = RsaSigner(private)
    text = canonical_text(ALIPAY_CALL)
    told = signer.sign(notification_texts(list(fields.items()))[0].encode())
    return {
        "call": ALIPAY_CALL,
        "text": text,
        "sign": signer.sign(text.encode()),
        "fields": fields | {"sign": told, "sign_type": "RSA2"},
        "private": pkcs1,
        "pkcs1": _bare(pkcs1),
        "public": public,
        "public_bare": _bare(public),
    }


def test_the_community_alipay_package_agrees(asked):
    answer = _ask("community", COMMUNITY, asked)

    assert answer == {"sign": asked["sign"], "verified": True, "notified": True}


def test_the_official_alipay_package_agrees(asked):
    answer = _ask("official", OFFICIAL, asked)

    assert answer == {"content": asked["text"], "sign": asked["sign"], "verified": True}


@pytest.mark.parametrize("fields", [V2_CALL, V2_SAMPLE])
def test_wechatpy_agrees_about_v2(fields):
    assert calculate_signature(dict(fields), KEY).upper() == v2_sign(fields, KEY)
    hmac = calculate_signature_hmac(dict(fields), KEY)
    assert hmac.upper() == v2_sign(fields, KEY, how=V2Hash.HMAC_SHA256)
    signed = v2_signed(fields, KEY)
    xml = dict_to_xml(dict(fields), signed["sign"])
    assert parse_xml(xml.encode() if isinstance(xml, str) else xml) == signed
    assert v2_verify(signed, KEY)


def test_wechatpayv3_agrees_about_v3(keys_dir):
    from cryptography.hazmat.primitives import serialization

    pem = keys.private_pem(keys_dir, "wechat-merchant").encode()
    private = serialization.load_pem_private_key(pem, password=None)
    ours = RsaSigner(pem.decode())
    text = request_text("POST", "/v3/refund/domestic/refunds", 1736127000, "NONCE", b'{"a":1}')
    theirs = rsa_sign(private, text.decode())
    told = ours.sign(answer_text("1736127000", "NONCE", b'{"a":1}'))
    sealed = encrypt(KEY, nonce="abcdef012345", plain="宠粮".encode(), associated_data="refund")

    assert theirs == ours.sign(text)
    assert rsa_verify("1736127000", "NONCE", '{"a":1}', told, private.public_key())
    assert RsaVerifier(keys.public_pem(keys_dir, "wechat-merchant")).verify(text, theirs)
    assert aes_decrypt("abcdef012345", sealed, "refund", KEY) == "宠粮"
