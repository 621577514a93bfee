"""The merchant says what can be sent, and what may replace what."""

from datetime import datetime
from uuid import UUID

from services.fulfillment.domain.contents import Sku, Substitute
from services.fulfillment.domain.errors import SkuExists, SkuUnknown, SubstituteForbidden
from services.fulfillment.store import catalogue
from shared.db import Connection


async def add_sku(conn: Connection, merchant_id: UUID, sku: Sku, *, now: datetime) -> Sku:
    """
    Put a SKU into the catalogue; the same once more changes nothing.

    Raises:
        SkuExists: It stands already, with other particulars.
    """
    if not await catalogue.add_sku(conn, merchant_id, sku, now=now):
        standing = await catalogue.find_sku(conn, merchant_id, sku.sku)
        if standing != sku:
            raise SkuExists("This SKU stands with other particulars.", sku=sku.sku)
    return sku


async def change_sku(conn: Connection, merchant_id: UUID, sku: Sku, *, now: datetime) -> Sku:
    """
    Give a SKU new particulars; parcels told to customers keep what they were.

    Raises:
        SkuUnknown: It is not in the catalogue.
    """
    if not await catalogue.change_sku(conn, merchant_id, sku, now=now):
        raise SkuUnknown("No such SKU.", sku=sku.sku)
    return sku


async def add_substitute(
    conn: Connection, merchant_id: UUID, *, sku: str, by: str, now: datetime
) -> Substitute:
    """
    Publish that *by* may replace *sku*, for agreements signed from now on.

    Raises:
        SkuUnknown: One of them is not in the catalogue.
        SubstituteForbidden: They are the same, or *by* costs more.
    """
    found = {code: await catalogue.find_sku(conn, merchant_id, code) for code in (sku, by)}
    old, new = found[sku], found[by]
    if old is None or new is None:
        raise SkuUnknown("No such SKU.", sku=sku if old is None else by)
    if sku == by or new.supply_cost_fen > old.supply_cost_fen:
        raise SubstituteForbidden("A substitute is another SKU at no higher cost.", sku=sku)
    substitute = Substitute(sku, by, now)
    await catalogue.add_substitute(conn, merchant_id, substitute)
    return substitute
