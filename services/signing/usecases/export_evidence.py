"""Everything that proves an agreement, in one signed archive (requirement S5)."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import IO, Final
from uuid import UUID

import structlog

from services.signing.deps import Deps
from services.signing.domain import evidence_package as package
from services.signing.domain.errors import AgreementUnknown, EvidenceKeyMissing
from services.signing.gateways.vault import Vault
from services.signing.store import evidence_package as records
from services.signing.store.evidence_package import Record
from shared import evidence_bundle
from shared.evidence_bundle import Member

log = structlog.get_logger()

IN_MEMORY: Final = 1024 * 1024
"""Bytes of an archive that are kept in memory; the rest goes to a file without a name."""
PIECE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _SignedDocument:
    """The signed document, decrypted only while it is read."""

    vault: Vault
    sealed: str
    document_id: UUID
    name: str = package.DOCUMENT
    records: int = 1

    @property
    def content(self) -> bytes:
        """The document as the provider returned it."""
        return self.vault.open_pdf(self.sealed, self.document_id, column="signed_pdf")


async def export_evidence(
    deps: Deps, agreement_id: UUID, *, merchant_id: UUID, actor: str, request_id: str
) -> AsyncIterator[bytes]:
    """
    Return the archive in pieces; who takes it is on record before the first one leaves.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        EvidenceKeyMissing: The platform has no key to sign with.
    """
    if deps.evidence_key is None:
        raise EvidenceKeyMissing("The platform has no key to sign evidence with.")
    async with deps.db.transaction() as conn:
        record = await records.read(conn, agreement_id, merchant_id=merchant_id)
    if record is None:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    now = deps.clock.now()
    async with deps.db.transaction() as conn:
        await records.note_access(
            conn, agreement_id, taken="archive", actor=actor, request_id=request_id, now=now
        )
    stamp = "none" if record.stamp is None else record.stamp.state
    (agreement,) = record.sections["agreement"]
    told = package.about(agreement, record.chain, stamp=stamp, made_at=now)
    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - _pieces closes it
    files = _members(deps.vault, record)
    await asyncio.to_thread(evidence_bundle.write, told, files, deps.evidence_key, spool)
    log.info("evidence.exported", agreement_id=str(agreement_id), size=spool.tell())
    return _pieces(spool)


def _members(vault: Vault, record: Record) -> list[Member]:
    document = _SignedDocument(vault, record.sealed_pdf, record.document_id)
    files: list[Member] = [document, *package.record_files(record.sections, record.chain)]
    stamp = record.stamp
    if stamp is not None and stamp.answer is not None and stamp.roots is not None:
        files += package.stamp_files(stamp.statement, stamp.answer, stamp.roots)
    return files


async def _pieces(spool: IO[bytes]) -> AsyncIterator[bytes]:
    with spool:
        await asyncio.to_thread(spool.seek, 0)
        while piece := await asyncio.to_thread(spool.read, PIECE):
            yield piece
