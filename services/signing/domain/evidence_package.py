"""An agreement's evidence as files of one signed archive, and what must hold among them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any, Final
from uuid import UUID

from cryptography.x509 import Certificate

from services.signing.domain.evidence import Entry, canonical, first_broken
from shared import time_stamp
from shared.evidence_bundle import BundleInvalid, File, as_json
from shared.time_stamp import StampInvalid

MADE_BY: Final = "signing"
DOCUMENT: Final = "agreement.pdf"
CHAIN: Final = "chain.json"
STATEMENT: Final = "time-stamp/statement.json"
STAMP: Final = "time-stamp/answer.tsr"
ROOTS: Final = "time-stamp/roots.pem"

RETENTION: Final = {"class": "C", "keep": "until five years after the agreement has ended"}
"""Platform's default; limitation runs three years from the last instalment (民法典 188-189)."""

Rows = Sequence[Mapping[str, Any]]
Files = Mapping[str, bytes]


def statement(agreement_id: UUID, agreement_no: str, *, signed_sha256: str, head: Entry) -> str:
    """Return what a time stamp is taken over: the signed document's hash and the chain's head."""
    return canonical(
        {
            "agreement_id": str(agreement_id),
            "agreement_no": agreement_no,
            "signed_sha256": signed_sha256,
            "chain_head": head.entry_hash,
            "chain_length": head.seq,
        }
    )


def about(
    agreement: Mapping[str, Any], chain: Sequence[Entry], *, stamp: str, made_at: datetime
) -> dict[str, Any]:
    """Return what the manifest says; *stamp* is the state of the time stamp."""
    ids = ("agreement_id", "merchant_id", "customer_id", "application_id")
    return {
        **{name: str(agreement[name]) for name in ids},
        "agreement_no": agreement["agreement_no"],
        "signed_sha256": agreement["document_sha256"],
        "made_at": made_at.astimezone(UTC).isoformat(),
        "made_by": MADE_BY,
        "chain_head": chain[-1].entry_hash,
        "chain_length": len(chain),
        "time_stamp": stamp,
        "retention": RETENTION,
    }


def record_files(sections: Mapping[str, Rows], chain: Sequence[Entry]) -> list[File]:
    """Return one file for each section, and the chain."""
    files = [
        File(f"{name}.json", as_json([_plain(row) for row in rows]), len(rows))
        for name, rows in sections.items()
    ]
    return [*files, File(CHAIN, as_json([_plain(asdict(entry)) for entry in chain]), len(chain))]


def stamp_files(stated: str, answer: bytes, roots: str) -> list[File]:
    """Return the files of a granted stamp: what was stamped, the answer, whom to trust."""
    return [
        File(STATEMENT, stated.encode(), 1),
        File(STAMP, answer, 1),
        File(ROOTS, roots.encode(), 1),
    ]


def check(
    manifest: Mapping[str, Any], files: Files, *, trusted: Sequence[Certificate] | None = None
) -> list[str]:
    """
    Return what was found to hold, a line each; the signature was checked before.

    The time stamp must be by an authority under *trusted*; None: under those that the
    platform trusted, which the archive holds.

    Raises:
        BundleInvalid: Something does not fit together; the text says what.
    """
    chain = _chain(files)
    _check_chain(manifest, chain)
    _check_document(manifest, files, chain)
    said = [
        f"chain: {len(chain)} entries, each follows the one before",
        f"document: {DOCUMENT} is the one that the chain says was signed",
    ]
    if STAMP not in files:
        if trusted is not None:
            raise BundleInvalid("There is no time stamp in the archive.")
        return [*said, "time stamp: none yet"]
    return [*said, _check_stamp(manifest, files, chain, trusted)]


def _check_chain(manifest: Mapping[str, Any], chain: Sequence[Entry]) -> None:
    broken = first_broken(chain)
    if broken is not None:
        raise BundleInvalid(f"Entry {broken} of {CHAIN} was changed, moved or left out.")
    head = chain[-1].entry_hash if chain else None
    if (len(chain), head) != (manifest.get("chain_length"), manifest.get("chain_head")):
        raise BundleInvalid(f"{CHAIN} does not end where the manifest says.")
    if {str(entry.application_id) for entry in chain} != {manifest.get("application_id")}:
        raise BundleInvalid(f"{CHAIN} is of another application.")


def _check_document(manifest: Mapping[str, Any], files: Files, chain: Sequence[Entry]) -> None:
    digest = hashlib.sha256(_file(files, DOCUMENT)).hexdigest()
    signed = [_payload(entry) for entry in chain if entry.kind == "document_signed"]
    if digest != manifest.get("signed_sha256") or digest not in {
        one.get("signed_sha256") for one in signed
    }:
        raise BundleInvalid(f"{DOCUMENT} is not the document that {CHAIN} says was signed.")
    shown = {_payload(entry).get("sha256") for entry in chain if entry.kind == "document_shown"}
    of_it = {one.get("sha256") for one in signed if one.get("signed_sha256") == digest}
    if not of_it <= shown:
        raise BundleInvalid("What was signed was never shown before.")


def _check_stamp(
    manifest: Mapping[str, Any],
    files: Files,
    chain: Sequence[Entry],
    trusted: Sequence[Certificate] | None,
) -> str:
    stated = _file(files, STATEMENT)
    told = _object(stated, STATEMENT)
    length = told.get("chain_length")
    heads = {entry.seq: entry.entry_hash for entry in chain}
    if (told.get("agreement_id"), told.get("signed_sha256")) != (
        manifest.get("agreement_id"),
        manifest.get("signed_sha256"),
    ) or heads.get(length if isinstance(length, int) else 0) != told.get("chain_head"):
        raise BundleInvalid("The time stamp is of another document or another chain.")
    try:
        roots = trusted if trusted is not None else time_stamp.load_roots(_file(files, ROOTS))
        stamp = time_stamp.read(_file(files, STAMP), stated, roots)
    except StampInvalid as error:
        raise BundleInvalid(str(error)) from error
    whom = "the archive names" if trusted is None else "you trust"
    return (
        f"time stamp: {stamp.at.isoformat()}, number {stamp.serial}, over the document and "
        f"entries 1 to {length}, by an authority that {whom}"
    )


def _chain(files: Files) -> list[Entry]:
    try:
        rows = json.loads(_file(files, CHAIN))
        return [
            Entry(
                **{
                    **row,
                    "application_id": UUID(row["application_id"]),
                    "occurred_at": datetime.fromisoformat(row["occurred_at"]),
                }
            )
            for row in rows
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise BundleInvalid(f"{CHAIN} cannot be read.") from error


def _payload(entry: Entry) -> dict[str, Any]:
    return _object(entry.payload.encode(), f"Entry {entry.seq} of {CHAIN}")


def _object(content: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise BundleInvalid(f"{name} cannot be read.") from error
    if not isinstance(found, dict):
        raise BundleInvalid(f"{name} is no object.")
    return found


def _file(files: Files, name: str) -> bytes:
    if name not in files:
        raise BundleInvalid(f"{name} is missing.")
    return files[name]


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as_json(value) for name, value in row.items()}


def _as_json(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case bool() | int() | list() | dict() | None:
            return value
        case _:
            return str(value)
