"""An agreement begins or ends: keep what later messages need, and tell the customer."""

from collections.abc import Sequence

from services.notify.deps import Deps
from services.notify.usecases import describe
from services.notify.usecases.know_people import end_agreements, know_agreements
from services.notify.usecases.queue_messages import telling
from services.signing.contract import AgreementCancelled, AgreementSigned, AgreementTerminated
from shared.db import Connection

_signed = telling(describe.agreement_signed)
_cancelled = telling(describe.agreement_cancelled)
_terminated = telling(describe.agreement_terminated)


async def tell_signed(conn: Connection, events: Sequence[AgreementSigned], deps: Deps) -> None:
    """Keep rail and plan, and confirm what was signed."""
    await know_agreements(conn, events)
    await _signed(conn, events, deps)


async def tell_cancelled(
    conn: Connection, events: Sequence[AgreementCancelled], deps: Deps
) -> None:
    """Stop what was queued about charges, and confirm the cancellation."""
    await end_agreements(conn, events, deps)
    await _cancelled(conn, events, deps)


async def tell_terminated(
    conn: Connection, events: Sequence[AgreementTerminated], deps: Deps
) -> None:
    """Stop what was queued about charges, and confirm the end."""
    await end_agreements(conn, events, deps)
    await _terminated(conn, events, deps)
