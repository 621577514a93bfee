"""Evidence of an agreement, for whoever has to prove it."""

from uuid import UUID

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.billing.contract.dunning import EvidenceKeyView
from services.billing.deps import Deps
from services.billing.domain.errors import AgreementUnknown, EvidenceKeyMissing
from services.billing.routes.table import api
from services.billing.usecases.export_evidence import export_evidence
from shared.evidence_bundle import key_id
from shared.web import Call, Raw


@api.get(
    "/v1/agreements/{agreement_id}/evidence",
    scope="billing:read",
    tags=("evidence",),
    problems=(AgreementUnknown, EvidenceKeyMissing),
)
async def get_evidence(call: Call[Deps], agreement_id: UUID) -> Raw:
    """
    Return everything on record about an agreement as one signed ZIP archive.

    Its manifest names every file with its SHA-256 and says where other services keep the
    rest; `yuefu evidence verify` checks it without the platform.
    """
    bundle = await export_evidence(call.deps, call.tenant_id, agreement_id)
    return Raw("application/zip", bundle, f"evidence-{agreement_id}.zip")


@api.get(
    "/v1/evidence-key",
    scope="billing:read",
    tags=("evidence",),
    problems=(EvidenceKeyMissing,),
)
async def get_evidence_key(call: Call[Deps]) -> EvidenceKeyView:
    """Return the public key with which bundles of evidence are verified."""
    if call.deps.evidence_key is None:
        raise EvidenceKeyMissing("The platform has no key to sign evidence with.")
    public = call.deps.evidence_key.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return EvidenceKeyView(key_id=key_id(public), public_key_pem=pem.decode())
