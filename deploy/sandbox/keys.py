"""
Keys of every party of the sandbox, made once: ``python -m deploy.sandbox.keys DIR``.

A file that stands already is kept, so that the command may run before each start.  Private keys
are PKCS#8 PEM ``<party>.pem`` with the public half in ``<party>.pub.pem``; symmetric secrets and
the public names that go with them are in ``secrets.json``.  ``evidence`` is our own Ed25519 key,
with which bundles of evidence are signed.  The time-stamping authority has a certificate
``tsa.crt.pem`` under a root ``tsa-root.crt.pem``, whose key is thrown away.
"""

import argparse
import secrets
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PARTIES: Final = (
    "alipay-app",
    "alipay",
    "wechat-merchant",
    "wechat-platform",
    "card-merchant",
    "card-aggregator",
    "nobody",
)
"""Ourselves at each rail and each rail itself, and a stranger for tests."""

_FIXED: Final = {
    "alipay_app_id": "2021000000000001",
    "wechat_appid": "wx0000000000000001",
    "wechat_mchid": "1900000001",
    "wechat_plan_id": "130001",
    "card_merchant_no": "880000000001",
    "wechat_platform_serial": "PUB_KEY_ID_0119000000012026010100000000000001",
}
_RANDOM: Final = {
    "wechat_merchant_serial": 40,
    "wechat_apiv2_key": 32,
    "wechat_apiv3_key": 32,
    "wechat_app_secret": 32,
    "wechat_push_token": 32,
    "esign_app_id": 10,
    "esign_app_secret": 32,
    "faceid_secret_id": 36,
    "faceid_secret_key": 32,
    "aliyun_access_key_id": 24,
    "aliyun_access_key_secret": 30,
    "jst_app_key": 32,
    "jst_app_secret": 32,
    "jst_access_token": 32,
    "kuaidi100_key": 16,
    "kuaidi100_customer": 32,
    "kuaidi100_salt": 16,
    "payout_app_id": 16,
    "payout_app_secret": 32,
    "factor_app_id": 16,
    "factor_app_secret": 32,
}
"""Names of the random secrets and their lengths in characters."""

_VALID_FROM: Final = datetime(2020, 1, 1, tzinfo=UTC)
_VALID_UNTIL: Final = datetime(2060, 1, 1, tzinfo=UTC)
"""The authority outlives every test clock."""


def make(directory: Path, *, bits: int = 2048) -> None:
    """Create in *directory* what is missing there; repeats safely."""
    directory.mkdir(parents=True, exist_ok=True)
    for party in PARTIES:
        if not (directory / f"{party}.pem").exists():
            _write_pair(directory, party, rsa.generate_private_key(65537, bits))
    if not (directory / "evidence.pem").exists():
        _write_pair(directory, "evidence", ed25519.Ed25519PrivateKey.generate())
    if not (directory / "tsa.crt.pem").exists():
        make_authority(directory, bits=bits)
    file = directory / "secrets.json"
    known = orjson.loads(file.read_bytes()) if file.exists() else {}
    fresh = {name: _token(length) for name, length in _RANDOM.items() if name not in known}
    file.write_bytes(orjson.dumps(_FIXED | known | fresh, option=orjson.OPT_INDENT_2))
    file.chmod(0o600)


def secret(directory: Path, name: str) -> str:
    """Return one entry of ``secrets.json``."""
    return str(orjson.loads((directory / "secrets.json").read_bytes())[name])


def private_pem(directory: Path, party: str) -> str:
    """Return the private key of *party* as PEM."""
    return (directory / f"{party}.pem").read_text()


def public_pem(directory: Path, party: str) -> str:
    """Return the public key of *party* as PEM."""
    return (directory / f"{party}.pub.pem").read_text()


def make_authority(directory: Path, *, bits: int = 2048) -> None:
    """Make the time-stamping authority: its root, and its certificate for time stamps only."""
    root_key, key = (rsa.generate_private_key(65537, bits) for _ in range(2))
    root_name, name = _common_name("Yuefu sandbox root"), _common_name("Yuefu sandbox TSA")
    root = (
        _certificate(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _certificate(name, root_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    _write_pair(directory, "tsa", key)
    pem = serialization.Encoding.PEM
    (directory / "tsa-root.crt.pem").write_bytes(root.public_bytes(pem))
    (directory / "tsa.crt.pem").write_bytes(certificate.public_bytes(pem))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=not ca,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(
    directory: Path, party: str, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
) -> None:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (directory / f"{party}.pub.pem").write_bytes(public)
    target = directory / f"{party}.pem"
    target.touch(mode=0o600)
    target.write_bytes(private)


def _token(length: int) -> str:
    return "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(length))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Create the sandbox's keys.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--bits", type=int, default=2048)
    arguments = parser.parse_args()
    make(arguments.directory, bits=arguments.bits)
