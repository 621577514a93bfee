"""The lines of instalments: written with them, and read for whoever asks what an amount is."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from services.billing.domain.instalment import Instalment
from services.signing.contract import SignedLine
from shared.db import Connection


async def write(
    conn: Connection, lines: Mapping[UUID, Sequence[SignedLine]], instalments: Sequence[Instalment]
) -> None:
    """Replace the lines of *instalments*, whose agreements are locked; repeats safely."""
    await conn.execute(
        "DELETE FROM instalment_lines WHERE instalment_id = ANY($1::uuid[])",
        [one.instalment_id for one in instalments],
    )
    await conn.execute(
        """
        INSERT INTO instalment_lines
        SELECT * FROM jsonb_populate_recordset(NULL::instalment_lines, $1)
        """,
        [
            {
                "instalment_id": one.instalment_id,
                "line_no": number,
                "merchant_id": one.merchant_id,
                **line.model_dump(mode="json"),
            }
            for one in instalments
            for number, line in enumerate(lines[one.instalment_id], 1)
        ],
    )


async def of_instalment(conn: Connection, instalment_id: UUID) -> list[SignedLine]:
    """Return an instalment's lines in order."""
    rows = await conn.fetch(
        """
        SELECT kind, amount_fen, note FROM instalment_lines
         WHERE instalment_id = $1 ORDER BY line_no
        """,
        instalment_id,
    )
    return [SignedLine.model_validate(dict(row)) for row in rows]
