"""
The form of an evidence bundle: one ZIP archive that anybody can verify without us.

``manifest.json`` names every other file with its SHA-256; ``signature.json`` holds the
platform's Ed25519 signature over the bytes of the manifest.  Nothing is compressed and
nothing in the archive depends on the machine, so the same content gives the same bytes,
and a bundle of which any byte was changed is not the one that was signed.
"""

import base64
import binascii
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

FORMAT: Final = "yuefu-evidence-1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.json"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the archive: when it was made stands in the manifest."""


class BundleInvalid(Exception):
    """The archive is not the one that was signed; the text says what is wrong."""


class Member(Protocol):
    """
    What a file of a bundle is made from.

    ``content`` is read twice, and only then: a large one need not be held in between.
    """

    @property
    def name(self) -> str:
        """Its path in the archive."""
        ...

    @property
    def records(self) -> int:
        """How many things it tells of."""
        ...

    @property
    def content(self) -> bytes:
        """All of it; the same each time."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """One file of a bundle that is in memory anyway."""

    name: str
    content: bytes
    records: int


@dataclass(frozen=True, slots=True)
class Checked:
    """What a valid bundle is about."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


def key_id(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the raw public key."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def sign(about: Mapping[str, Any], files: Sequence[Member], key: Ed25519PrivateKey) -> bytes:
    """Return the archive of *files*, with *about* in its manifest; same input, same bytes."""
    buffer = io.BytesIO()
    write(about, files, key, buffer)
    return buffer.getvalue()


def write(
    about: Mapping[str, Any], files: Sequence[Member], key: Ed25519PrivateKey, out: IO[bytes]
) -> None:
    """Write what ``sign`` returns into *out*, with no more than one file in memory at a time."""
    signed_by = key_id(key.public_key())
    entries = [_entry(file) for file in sorted(files, key=lambda file: file.name)]
    manifest = as_json({**about, "format": FORMAT, "key_id": signed_by, "files": entries})
    own = [
        File(MANIFEST, manifest, 0),
        File(SIGNATURE, _signature(key.sign(manifest), signed_by), 0),
    ]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted([*files, *own], key=lambda file: file.name):
            archive.writestr(_info(file.name), file.content)


def verify(archive: bytes, key: Ed25519PublicKey) -> Checked:
    """
    Return what *archive* holds, if every byte of it is as *key*'s owner signed it.

    Raises:
        BundleInvalid: Something was changed, added, taken away, or signed by another key.
    """
    contents = _unpack(archive)
    manifest = _manifest(contents)
    signature = _read_signature(contents, key)
    try:
        key.verify(signature, contents[MANIFEST])
    except InvalidSignature as error:
        raise BundleInvalid("The manifest was not signed by this key.") from error
    files = {name: contents[name] for name in contents if name not in {MANIFEST, SIGNATURE}}
    _compare(manifest, files)
    if pack(contents) != archive:
        raise BundleInvalid("The archive has bytes that belong to no file.")
    return Checked(manifest, files)


def pack(contents: Mapping[str, bytes]) -> bytes:
    """Return an archive of *contents*, always the same for the same contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            archive.writestr(_info(name), contents[name])
    return buffer.getvalue()


def as_json(value: Any) -> bytes:
    """Return *value* as JSON that is always written the same way."""
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    return (text + "\n").encode()


def _entry(file: Member) -> dict[str, Any]:
    content = file.content
    return {
        "name": file.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "records": file.records,
    }


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


def _signature(signature: bytes, signed_by: object) -> bytes:
    return as_json(
        {
            "algorithm": "Ed25519",
            "key_id": signed_by,
            "signed": MANIFEST,
            "signature": base64.b64encode(signature).decode(),
        }
    )


def _unpack(archive: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names = opened.namelist()
            if len(names) != len(set(names)):
                raise BundleInvalid("A file stands twice in the archive.")
            return {name: opened.read(name) for name in names}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise BundleInvalid(f"The archive cannot be read: {error}") from error
    except (EOFError, UnicodeError, OverflowError, MemoryError) as error:
        raise BundleInvalid("The archive cannot be read.") from error


def _manifest(contents: Mapping[str, bytes]) -> Mapping[str, Any]:
    found = _json(contents, MANIFEST)
    if found.get("format") != FORMAT:
        raise BundleInvalid(f"This is no bundle of the form {FORMAT}.")
    return found


def _read_signature(contents: Mapping[str, bytes], key: Ed25519PublicKey) -> bytes:
    found = _json(contents, SIGNATURE)
    if found.get("key_id") != key_id(key):
        raise BundleInvalid(f"Signed by key {found.get('key_id')}, not by {key_id(key)}.")
    try:
        signature = base64.b64decode(str(found.get("signature")), validate=True)
    except binascii.Error as error:
        raise BundleInvalid("The signature cannot be read.") from error
    if _signature(signature, key_id(key)) != contents[SIGNATURE]:
        raise BundleInvalid("The signature's file was changed.")
    return signature


def _json(contents: Mapping[str, bytes], name: str) -> dict[str, Any]:
    if name not in contents:
        raise BundleInvalid(f"{name} is missing.")
    try:
        found = json.loads(contents[name])
    except ValueError as error:
        raise BundleInvalid(f"{name} cannot be read.") from error
    if not isinstance(found, dict):
        raise BundleInvalid(f"{name} is no object.")
    return found


def _compare(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    named = {entry["name"]: entry for entry in manifest["files"]}
    for name in sorted(set(named) - set(files)):
        raise BundleInvalid(f"{name} is missing.")
    for name in sorted(set(files) - set(named)):
        raise BundleInvalid(f"{name} is not in the manifest.")
    for name, content in sorted(files.items()):
        if hashlib.sha256(content).hexdigest() != named[name]["sha256"]:
            raise BundleInvalid(f"{name} was changed.")
