"""
Checks an evidence bundle without the platform.

``python -m deploy.verify_evidence FILE --key PUB``: PUB is the platform's public key (PEM).
"""

import argparse
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from services.billing.contract.evidence import BundleInvalid, Checked, verify


def check(bundle: Path, key: Path) -> Checked:
    """
    Return what *bundle* holds, if it is as the owner of *key* signed it.

    Raises:
        BundleInvalid: It is not, or *key* is no Ed25519 public key.
        OSError: A file cannot be read.
    """
    try:
        public = load_pem_public_key(key.read_bytes())
    except ValueError as error:
        raise BundleInvalid(f"{key} is no public key in PEM.") from error
    if not isinstance(public, Ed25519PublicKey):
        raise BundleInvalid(f"{key} is no Ed25519 key.")
    return verify(bundle.read_bytes(), public)


def told(checked: Checked) -> str:
    """Return one line for a person, and one for each file with records."""
    manifest = checked.manifest
    head = (
        f"valid: agreement {manifest['agreement_no']}, made at {manifest['made_at']}, "
        f"key {manifest['key_id']}, {len(checked.files)} files"
    )
    lines = [
        f"  {entry['records']:>5}  {entry['name']}"
        for entry in manifest["files"]
        if entry["name"].endswith(".json")
    ]
    return "\n".join([head, *lines])


def main() -> None:
    """Say what the bundle is about, or what is wrong with it; exit 1 if it is not valid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the archive")
    parser.add_argument("--key", type=Path, required=True, help="the platform's public key, PEM")
    given = parser.parse_args()
    try:
        sys.stdout.write(told(check(given.file, given.key)) + "\n")
    except (BundleInvalid, OSError) as error:
        sys.stderr.write(f"NOT VALID: {error}\n")
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
