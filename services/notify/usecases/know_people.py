"""Customers, merchants and agreements are told to us: keep what messages need of them."""

from collections.abc import Sequence

from services.notify.deps import Deps
from services.notify.domain.contact import Agreement, Contact, Merchant, normal_phone
from services.notify.store import contacts
from services.signing.contract import (
    AgreementCancelled,
    AgreementTerminated,
    ContactChanged,
    CustomerRegistered,
    MerchantApproved,
)
from services.signing.contract import AgreementSigned as Signed
from shared.db import Connection
from shared.sealing import NotReadable


async def know_customer(
    conn: Connection, told: CustomerRegistered | ContactChanged, deps: Deps
) -> None:
    """
    Keep a customer's contact data, encrypted; older data than is known changes nothing.

    Raises:
        NotReadable: The box was not sealed for us, or holds something else.
    """
    contact = _contact(deps.keys.unsealer.open(told.sealed_for_notify))
    phone = normal_phone(contact.phone)
    await contacts.save_contact(
        conn,
        (told.merchant_id, told.customer_id),
        contact,
        cipher=deps.keys.cipher,
        phone_index=deps.keys.index(phone) if phone else None,
        told_at=told.occurred_at,
    )


async def know_merchant(conn: Connection, told: MerchantApproved, deps: Deps) -> None:
    """Keep the names that messages show of a merchant."""
    del deps
    merchant = Merchant(told.merchant_id, told.display_name, told.service_phone)
    await contacts.save_merchant(conn, merchant, told_at=told.occurred_at)


async def know_agreements(conn: Connection, signed: Sequence[Signed]) -> None:
    """Keep rail and plan of what was signed."""
    await contacts.save_agreements(
        conn,
        [
            Agreement(one.merchant_id, one.agreement_id, one.rail.value, one.plan_name, ended=False)
            for one in signed
        ],
    )


async def end_agreements(
    conn: Connection, ended: Sequence[AgreementCancelled | AgreementTerminated], deps: Deps
) -> None:
    """Note that nothing more is charged, so that queued notices of charges are not sent."""
    keys = [(one.merchant_id, one.agreement_id) for one in ended]
    await contacts.end_agreements(conn, keys, now=deps.clock.now())


def _contact(opened: object) -> Contact:
    if not isinstance(opened, dict):
        raise NotReadable("The box does not hold contact data.")
    names = ("phone", "salutation", "alipay_user_id", "wechat_openid")
    return Contact(**{name: str(opened.get(name) or "") for name in names})
