"""Everything on record about an agreement, in one signed archive (requirement D4)."""

from uuid import UUID

import structlog

from services.billing.deps import Deps
from services.billing.domain.errors import AgreementUnknown, EvidenceKeyMissing
from services.billing.domain.evidence import about, files_of
from services.billing.store import evidence
from shared.evidence_bundle import sign

log = structlog.get_logger()


async def export_evidence(deps: Deps, merchant_id: UUID, agreement_id: UUID) -> bytes:
    """
    Return the bundle; but for its ``made_at``, the same bytes for the same record.

    Raises:
        AgreementUnknown: There is none, or it is another merchant's.
        EvidenceKeyMissing: The platform has no key to sign with.
    """
    if deps.evidence_key is None:
        raise EvidenceKeyMissing("The platform has no key to sign evidence with.")
    async with deps.db.transaction() as conn:
        sections = await evidence.read(conn, agreement_id)
    (agreement,) = sections["agreement"] or [{"merchant_id": None}]
    if agreement["merchant_id"] != merchant_id:
        raise AgreementUnknown("No such agreement.", agreement_id=agreement_id)
    told = about(agreement, made_at=deps.clock.now())
    bundle = sign(told, files_of(sections), deps.evidence_key)
    log.info("evidence.exported", agreement_id=str(agreement_id), size=len(bundle))
    return bundle
