"""What became of one agreement, asked of the services' tables and of the outside's books."""

from datetime import date
from typing import Any

from tests.support.dates import said
from tests.support.gateway import Agreement
from tests.support.world import World


async def instalments(world: World, agreement: Agreement) -> list[dict[str, Any]]:
    """Return billing's rows, in order."""
    return await world.rows(
        "billing",
        "SELECT * FROM instalments WHERE agreement_id = $1 ORDER BY seq",
        agreement.agreement_id,
    )


async def states(world: World, agreement: Agreement) -> list[str]:
    return [row["state"] for row in await instalments(world, agreement)]


async def charged_on(world: World, agreement: Agreement) -> list[date]:
    return [row["charge_on"] for row in await instalments(world, agreement)]


async def attempts(world: World, agreement: Agreement) -> list[dict[str, Any]]:
    return await world.rows(
        "billing",
        "SELECT * FROM attempts WHERE agreement_id = $1 ORDER BY created_at, attempt_no",
        agreement.agreement_id,
    )


async def captures(world: World, agreement: Agreement) -> list[int]:
    """Return what the rail took from this customer, charge by charge."""
    ours = {row["trade_no"] for row in await attempts(world, agreement)}
    rows = world.books(agreement.rail, "captures")
    return [row["amount_fen"] for row in rows if row["out_trade_no"] in ours]


async def given_back(world: World, agreement: Agreement) -> int:
    """Return what the rail gave back to this customer."""
    ours = {row["trade_no"] for row in await attempts(world, agreement)}
    return sum(
        row["amount_fen"]
        for row in world.books(agreement.rail, "refunds")
        if row["out_trade_no"] in ours and row.get("status", "SUCCESS") == "SUCCESS"
    )


async def purse(world: World, agreement: Agreement, which: str = "principal") -> int:
    """Return the balance of one account of the pet wallet, in fen."""
    found = await world.value(
        "wallet",
        "SELECT balance_fen FROM accounts WHERE merchant_id = $1 AND code = $2",
        agreement.merchant_id,
        f"wallet:{agreement.customer_id}:{which}",
    )
    return int(found or 0)


async def shipments(world: World, agreement: Agreement) -> list[dict[str, Any]]:
    return await world.rows(
        "fulfillment",
        "SELECT * FROM shipments WHERE agreement_id = $1 ORDER BY seq",
        agreement.agreement_id,
    )


async def parcels(world: World, agreement: Agreement) -> list[str]:
    return [row["state"] for row in await shipments(world, agreement)]


async def contents(world: World, agreement: Agreement) -> list[list[str]]:
    """Return the SKUs of each shipment as the warehouse has them, in order of periods."""
    rows = await world.rows(
        "fulfillment",
        """
        SELECT s.seq, i.sku
          FROM shipments s JOIN shipment_items i
            ON i.merchant_id = s.merchant_id AND i.shipment_id = s.shipment_id
           AND i.revision = s.revision
         WHERE s.agreement_id = $1
         ORDER BY s.seq, i.sku
        """,
        agreement.agreement_id,
    )
    return [[row["sku"] for row in rows if row["seq"] == seq] for seq in _seqs(rows)]


async def agreement_state(world: World, agreement: Agreement) -> str:
    found = await world.value(
        "signing", "SELECT state FROM agreements WHERE agreement_id = $1", agreement.agreement_id
    )
    return str(found)


async def mandate_state(world: World, agreement: Agreement) -> str:
    found = await world.value(
        "signing",
        "SELECT state FROM mandates WHERE agreement_id = $1 ORDER BY serial DESC LIMIT 1",
        agreement.agreement_id,
    )
    return str(found)


async def told(world: World, agreement: Agreement) -> list[tuple[str, str, str]]:
    """Return (minute it was accepted, channel, cause) of each message, oldest first."""
    rows = await world.rows(
        "notify",
        """
        SELECT accepted_at, channel, cause FROM messages
         WHERE agreement_id = $1 AND accepted_at IS NOT NULL
         ORDER BY accepted_at, cause, channel
        """,
        agreement.agreement_id,
    )
    return [(said(row["accepted_at"]), row["channel"], row["cause"]) for row in rows]


def _seqs(rows: list[dict[str, Any]]) -> list[int]:
    return sorted({row["seq"] for row in rows})
