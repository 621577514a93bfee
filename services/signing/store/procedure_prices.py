"""Merchants' own lists of what treatments cost."""

from uuid import UUID

from services.signing.domain.errors import ProcedureUnknown
from services.signing.domain.medical_estimate import ProcedurePrice
from shared.db import Connection


async def put(conn: Connection, price: ProcedurePrice) -> ProcedurePrice:
    """Add a line of a list or replace it; the same again changes nothing, not even its time."""
    row = await conn.fetchrow(
        """
        INSERT INTO procedure_prices AS old (merchant_id, procedure, species, name, low_fen,
                    likely_fen, high_fen, insurance_per_mille, changed_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (merchant_id, procedure, species) DO UPDATE
               SET name = excluded.name,
                   low_fen = excluded.low_fen,
                   likely_fen = excluded.likely_fen,
                   high_fen = excluded.high_fen,
                   insurance_per_mille = excluded.insurance_per_mille,
                   changed_at = excluded.changed_at
             WHERE (old.name, old.low_fen, old.likely_fen, old.high_fen,
                    old.insurance_per_mille)
                   IS DISTINCT FROM
                   (excluded.name, excluded.low_fen, excluded.likely_fen, excluded.high_fen,
                    excluded.insurance_per_mille)
        RETURNING *
        """,
        price.merchant_id,
        price.procedure,
        price.species,
        price.name,
        price.low_fen,
        price.likely_fen,
        price.high_fen,
        price.insurance_per_mille,
        price.changed_at,
    )
    if row is not None:
        return ProcedurePrice(**row)
    return await read(conn, price.procedure, price.species, merchant_id=price.merchant_id)


async def read(
    conn: Connection, procedure: str, species: str, *, merchant_id: UUID
) -> ProcedurePrice:
    """Return one line of this merchant's list, or raise ProcedureUnknown."""
    row = await conn.fetchrow(
        """
        SELECT * FROM procedure_prices
         WHERE merchant_id = $1 AND procedure = $2 AND species = $3
        """,
        merchant_id,
        procedure,
        species,
    )
    if row is None:
        raise ProcedureUnknown("No such procedure.", procedure=procedure, species=species)
    return ProcedurePrice(**row)


async def page(
    conn: Connection, *, merchant_id: UUID, after: tuple[str, str] | None, limit: int
) -> list[ProcedurePrice]:
    """Return lines of this merchant's list by procedure and species."""
    rows = await conn.fetch(
        """
        SELECT * FROM procedure_prices
         WHERE merchant_id = $1
           AND ($2::text IS NULL OR (procedure, species) > ($2, $3))
         ORDER BY procedure, species
         LIMIT $4
        """,
        merchant_id,
        *(after or (None, None)),
        limit,
    )
    return [ProcedurePrice(**row) for row in rows]


async def remove(conn: Connection, procedure: str, species: str, *, merchant_id: UUID) -> None:
    """Take a line off this merchant's list, or raise ProcedureUnknown."""
    found = await conn.fetchval(
        """
        DELETE FROM procedure_prices
         WHERE merchant_id = $1 AND procedure = $2 AND species = $3
        RETURNING procedure
        """,
        merchant_id,
        procedure,
        species,
    )
    if found is None:
        raise ProcedureUnknown("No such procedure.", procedure=procedure, species=species)
