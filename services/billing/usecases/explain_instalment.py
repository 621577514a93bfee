"""The whole story of one instalment, for a person who asks why."""

from dataclasses import dataclass
from uuid import UUID

from services.billing.domain.attempt import Attempt
from services.billing.domain.instalment import Instalment
from services.billing.domain.refund import Refund
from services.billing.store import attempts, history, instalments, lines, notices, refunds
from services.signing.contract import SignedLine
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class Story:
    """Everything on record about one instalment, each part oldest first."""

    instalment: Instalment
    lines: list[SignedLine]
    notices: list[Row]
    refusals: list[Row]
    attempts: list[Attempt]
    refunds: list[Refund]
    history: list[Row]


async def explain_instalment(conn: Connection, merchant_id: UUID, instalment_id: UUID) -> Story:
    """
    Return the story.

    Raises:
        InstalmentUnknown: There is no such instalment, or it is another merchant's.
    """
    instalment = await instalments.find(conn, merchant_id, instalment_id)
    return Story(
        instalment,
        await lines.of_instalment(conn, instalment_id),
        await notices.story(conn, instalment_id),
        await history.refusals_of(conn, instalment_id),
        await attempts.of_instalment(conn, instalment_id),
        await refunds.of_instalment(conn, instalment_id),
        await history.of_instalment(conn, instalment_id),
    )
