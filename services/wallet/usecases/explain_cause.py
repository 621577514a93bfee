"""The whole story of one cause in the books, for a person who asks why."""

from dataclasses import dataclass
from uuid import UUID

from services.wallet.domain.errors import CauseUnknown
from services.wallet.domain.hold import Hold
from services.wallet.domain.ledger import Settlement
from services.wallet.domain.spending import Lot, Redemption, lots_of
from services.wallet.domain.transfer import Transfer
from services.wallet.store import (
    holds,
    ledgers,
    redemptions,
    settlements,
    spending,
    statements,
    transfers,
)
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Explained:
    """What stands in the books of one cause, transfers oldest first."""

    hold: Hold | None
    redemption: Redemption | None
    settlement: Settlement | None
    lots: list[Lot]
    transfers: list[Transfer]
    lines: list[Row]


async def explain_cause(conn: Connection, merchant_id: UUID, cause_id: UUID) -> Explained:
    """
    Return everything booked for an instalment, hold, redemption, settlement or refund.

    Raises:
        CauseUnknown: Nothing was booked for it, or it is another merchant's.
    """
    hold = await holds.find(conn, merchant_id, cause_id)
    redemption = await redemptions.get(conn, merchant_id, cause_id)
    settlement = await settlements.find(conn, merchant_id, cause_id)
    parts = await redemptions.parts_of(conn, merchant_id, cause_id)
    causes = {cause_id} | ({hold.instalment_id} if hold else set())
    causes |= {part.part_id for part in parts} | {part.return_id for part in parts}
    booked = await transfers.of_causes(conn, merchant_id, sorted(causes))
    if not booked and not (hold or redemption or settlement):
        raise CauseUnknown("Nothing was booked for this.", cause_id=str(cause_id))
    return Explained(
        hold,
        redemption,
        settlement,
        await _lots(conn, merchant_id, booked),
        booked,
        await statements.lines_of_causes(conn, merchant_id, sorted(causes)),
    )


async def _lots(conn: Connection, merchant_id: UUID, booked: list[Transfer]) -> list[Lot]:
    """Return what these transfers credited, and what of it is free now."""
    customer_id = next((one.customer_id for one in booked if one.customer_id), None)
    if customer_id is None:
        return []
    causes = {one.cause_id for one in booked}
    books = await ledgers.of_customer(conn, merchant_id, customer_id)
    credits_ = await spending.credits_of(conn, merchant_id, customer_id)
    return [lot for lot in lots_of(books, credits_) if lot.cause_id in causes]
