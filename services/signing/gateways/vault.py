"""Personal data in and out: encrypted for our own tables, sealed for notify and fulfillment."""

import base64
from dataclasses import asdict
from uuid import UUID

import orjson

from services.signing.domain.application import Applicant
from shared.sealing import FieldCipher, blind_index, seal


class Vault:
    """Knows the keys; nobody else turns a person into text or back."""

    def __init__(
        self,
        cipher: FieldCipher,
        *,
        index_key: bytes,
        notify_public_key: str,
        fulfillment_public_key: str,
    ) -> None:
        """Take our own cipher and index key, and the receivers' public keys (base64)."""
        self._cipher = cipher
        self._index_key = index_key
        self._notify_public_key = notify_public_key
        self._fulfillment_public_key = fulfillment_public_key

    def lock_applicant(self, applicant: Applicant, application_id: UUID) -> str:
        """Return *applicant* encrypted for its row in ``applications``."""
        return self._cipher.encrypt(
            orjson.dumps(applicant).decode(),
            table="applications",
            column="applicant",
            row=application_id,
        )

    def open_applicant(self, stored: str, application_id: UUID) -> Applicant:
        """Return what ``lock_applicant`` was given."""
        text = self._cipher.decrypt(
            stored, table="applications", column="applicant", row=application_id
        )
        return Applicant(**orjson.loads(text))

    def lock_person(self, applicant: Applicant, customer_id: UUID) -> str:
        """Return *applicant* encrypted for its row in ``customers``."""
        return self._cipher.encrypt(
            orjson.dumps(applicant).decode(), table="customers", column="person", row=customer_id
        )

    def open_person(self, stored: str, customer_id: UUID) -> Applicant:
        """Return what ``lock_person`` was given."""
        text = self._cipher.decrypt(stored, table="customers", column="person", row=customer_id)
        return Applicant(**orjson.loads(text))

    def lock_pdf(self, pdf: bytes, document_id: UUID, *, column: str = "pdf") -> str:
        """Return a document encrypted for its row in ``agreement_documents``."""
        return self._cipher.encrypt(
            base64.b64encode(pdf).decode(),
            table="agreement_documents",
            column=column,
            row=document_id,
        )

    def open_pdf(self, stored: str, document_id: UUID, *, column: str = "pdf") -> bytes:
        """Return what ``lock_pdf`` was given."""
        return base64.b64decode(
            self._cipher.decrypt(
                stored, table="agreement_documents", column=column, row=document_id
            )
        )

    def index(self, value: str) -> str:
        """Return the blind index of a normalised identity or phone number."""
        return blind_index(self._index_key, value)

    def seal_for_notify(self, person: Applicant) -> str:
        """Return what notify may know of a person, sealed for it."""
        known = asdict(person)
        return seal(
            self._notify_public_key,
            {
                "phone": person.phone,
                "salutation": f"{person.name[:1]}先生/女士",
                "alipay_user_id": known["alipay_user_id"],
                "wechat_openid": known["wechat_openid"],
            },
        )

    def seal_for_fulfillment(self, person: Applicant) -> str:
        """Return what a parcel's label needs, sealed for fulfillment."""
        known = asdict(person)
        names = ("name", "phone", "province", "city", "district", "address")
        return seal(self._fulfillment_public_key, {name: known[name] for name in names})
