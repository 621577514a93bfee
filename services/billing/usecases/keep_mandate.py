"""Mandates as signing tells of them; one that ended lets no charge pass from this moment."""

from services.billing.deps import Deps
from services.billing.domain.errors import MandateUnknown
from services.billing.domain.mandate import Mandate, MandateState
from services.billing.store import mandates
from services.signing.contract import MandateClosed, MandateGranted, MandateRevoked
from shared.db import Connection


async def grant_mandate(conn: Connection, granted: MandateGranted, deps: Deps) -> None:  # noqa: ARG001
    """Keep a mandate, also when its agreement is not here yet; repeats safely."""
    await mandates.add(
        conn,
        Mandate(
            mandate_id=granted.mandate_id,
            agreement_id=granted.agreement_id,
            merchant_id=granted.merchant_id,
            customer_id=granted.customer_id,
            rail=granted.rail.value,
            product=granted.product,
            rail_agreement_no=granted.rail_agreement_no,
            payer_no=granted.payer_no,
            payee_no=granted.payee_no,
            ceiling_fen=granted.ceiling_fen,
            valid_until=granted.valid_until,
            state=MandateState.ACTIVE,
            granted_at=granted.occurred_at,
        ),
    )


async def revoke_mandate(conn: Connection, revoked: MandateRevoked, deps: Deps) -> None:  # noqa: ARG001
    """
    Let no charge pass any more.

    Raises:
        MandateUnknown: It was not heard of yet; the event comes again.
    """
    await _end(conn, revoked, MandateState.REVOKED)


async def close_mandate(conn: Connection, closed: MandateClosed, deps: Deps) -> None:  # noqa: ARG001
    """
    Note that the rail confirmed the end.

    Raises:
        MandateUnknown: It was not heard of yet; the event comes again.
    """
    await _end(conn, closed, MandateState.CLOSED)


async def _end(conn: Connection, told: MandateRevoked | MandateClosed, state: MandateState) -> None:
    if not await mandates.end(conn, told.mandate_id, state, at=told.occurred_at):
        raise MandateUnknown("No such mandate yet.", mandate_id=told.mandate_id)
