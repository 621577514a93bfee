"""What a customer owes for one instalment now: its amount, and what being late costs."""

from dataclasses import dataclass
from datetime import datetime

from services.billing.domain.agreement import Agreement
from services.billing.domain.instalment import Instalment
from services.billing.domain.lines import principal_fen
from services.billing.domain.overdue_penalty import Lateness, penalty_fen
from services.billing.store import lines
from shared.calendar import day_in_china
from shared.db import Connection


@dataclass(frozen=True, slots=True)
class Owed:
    """Base and penalty of one instalment, in fen."""

    base_fen: int
    penalty_fen: int = 0

    @property
    def amount_fen(self) -> int:
        """Return what is to be paid, as a whole."""
        return self.base_fen + self.penalty_fen


async def owed_now(
    conn: Connection, instalment: Instalment, agreement: Agreement, *, now: datetime
) -> Owed:
    """Return what is owed; without terms in the contract being late costs nothing."""
    if instalment.overdue_since is None or agreement.penalty_ppm_per_day == 0:
        return Owed(instalment.amount_fen)
    made_of = await lines.of_instalment(conn, instalment.instalment_id)
    late_fen = penalty_fen(
        principal_fen(instalment.amount_fen, made_of),
        agreement.penalty_terms,
        Lateness(instalment.overdue_since, instalment.extended_until),
        signed_on=day_in_china(agreement.signed_at),
        today=day_in_china(now),
    )
    return Owed(instalment.amount_fen, late_fen)
