"""
Checks evidence without the platform: a signed archive of billing's or of signing's.

``python -m deploy.verify_evidence FILE --key PUB [--tsa ROOTS]``: PUB is the platform's public
key (PEM); ROOTS are the certificates (PEM) of time-stamping authorities one trusts oneself.
Says what holds, or what is broken and exits 1.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import Certificate

from services.signing.domain import evidence_package
from shared import time_stamp
from shared.evidence_bundle import BundleInvalid, Checked, verify
from shared.time_stamp import StampInvalid


@dataclass(frozen=True, slots=True)
class Proven:
    """A valid archive, and what was found to hold besides its signature."""

    checked: Checked
    findings: Sequence[str]


def check(bundle: Path, key: Path, tsa: Path | None = None) -> Proven:
    """
    Return what *bundle* proves, if it is as the owner of *key* signed it.

    Raises:
        BundleInvalid: It is not, its parts do not fit together, or *key* or *tsa* is none.
        OSError: A file cannot be read.
    """
    trusted = None if tsa is None else _roots(tsa)
    checked = verify(bundle.read_bytes(), _public(key))
    if checked.manifest.get("made_by") != evidence_package.MADE_BY:
        return Proven(checked, ())
    findings = evidence_package.check(checked.manifest, checked.files, trusted=trusted)
    return Proven(checked, findings)


def told(proven: Proven) -> str:
    """Return one line for a person, one for each finding, one for each file with records."""
    manifest = proven.checked.manifest
    head = (
        f"valid: agreement {manifest['agreement_no']}, made at {manifest['made_at']}, "
        f"key {manifest['key_id']}, {len(proven.checked.files)} files"
    )
    lines = [
        f"  {entry['records']:>5}  {entry['name']}"
        for entry in manifest["files"]
        if entry["name"].endswith(".json")
    ]
    return "\n".join([head, *(f"  {finding}" for finding in proven.findings), *lines])


def main() -> None:
    """Say what the archive proves, or what is wrong with it; exit 1 if it is not valid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the archive")
    parser.add_argument("--key", type=Path, required=True, help="the platform's public key, PEM")
    parser.add_argument("--tsa", type=Path, help="authorities whose time stamps count, PEM")
    given = parser.parse_args()
    try:
        sys.stdout.write(told(check(given.file, given.key, given.tsa)) + "\n")
    except (BundleInvalid, OSError) as error:
        sys.stderr.write(f"NOT VALID: {error}\n")
        raise SystemExit(1) from error


def _public(key: Path) -> Ed25519PublicKey:
    try:
        public = load_pem_public_key(key.read_bytes())
    except ValueError as error:
        raise BundleInvalid(f"{key} is no public key in PEM.") from error
    if not isinstance(public, Ed25519PublicKey):
        raise BundleInvalid(f"{key} is no Ed25519 key.")
    return public


def _roots(tsa: Path) -> list[Certificate]:
    try:
        return time_stamp.load_roots(tsa.read_bytes())
    except StampInvalid as error:
        raise BundleInvalid(f"{tsa}: {error}") from error


if __name__ == "__main__":
    main()
