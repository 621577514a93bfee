"""Every move and every refusal of the debit gate, appended and never changed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.billing.domain.debit_gate import Refusal
from services.billing.domain.gate_action import GateAction
from services.billing.domain.history import Move
from services.billing.domain.instalment import Instalment
from shared.db import Connection, Row


async def add(conn: Connection, moves: Sequence[Move]) -> None:
    """Append moves, in their order."""
    if not moves:
        return
    await conn.execute(
        """
        INSERT INTO history
               (thing, thing_id, instalment_id, from_state, to_state, actor, reason, moved_at)
        SELECT thing, thing_id, instalment_id, from_state, to_state, actor, reason, moved_at
          FROM jsonb_populate_recordset(NULL::history, $1)
        """,
        list(moves),
    )


async def add_refusals(
    conn: Connection,
    refused: Sequence[tuple[Instalment, Sequence[Refusal], GateAction]],
    *,
    now: datetime,
) -> None:
    """Append why automatic charges did not start."""
    if not refused:
        return
    await conn.execute(
        """
        INSERT INTO gate_refusals (instalment_id, merchant_id, refused_at, reasons, action)
        SELECT instalment_id, merchant_id, $2, reasons, action
          FROM jsonb_populate_recordset(NULL::gate_refusals, $1)
        """,
        [
            {
                "instalment_id": instalment.instalment_id,
                "merchant_id": instalment.merchant_id,
                "reasons": list(reasons),
                "action": action,
            }
            for instalment, reasons, action in refused
        ],
        now,
    )


async def of_instalment(conn: Connection, instalment_id: UUID) -> list[Row]:
    """Return every move of an instalment and what hangs on it, oldest first."""
    return await conn.fetch(
        """
        SELECT thing, thing_id, from_state, to_state, actor, reason, moved_at
          FROM history
         WHERE instalment_id = $1
         ORDER BY history_id
        """,
        instalment_id,
    )


async def of_thing(conn: Connection, thing_id: UUID) -> list[Row]:
    """Return every move of one thing, oldest first."""
    return await conn.fetch(
        """
        SELECT from_state, to_state, actor, reason, moved_at FROM history
         WHERE thing_id = $1
         ORDER BY history_id
        """,
        thing_id,
    )


async def refusals_of(conn: Connection, instalment_id: UUID) -> list[Row]:
    """Return every refusal of the gate for an instalment, oldest first."""
    return await conn.fetch(
        """
        SELECT refused_at, reasons, action FROM gate_refusals
         WHERE instalment_id = $1
         ORDER BY refusal_id
        """,
        instalment_id,
    )
