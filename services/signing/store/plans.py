"""Plans and their versions."""

from datetime import datetime
from uuid import UUID

from services.signing.contract import OverduePenalty, StageBundle
from services.signing.domain.errors import PlanUnknown
from services.signing.domain.offer import Offer
from services.signing.domain.plan import (
    Clause,
    LegalType,
    PlanKind,
    PlanVersion,
    PriceLine,
    SalesText,
    VersionState,
)
from shared.db import Connection, Row


async def add(conn: Connection, plan_id: UUID, *, merchant_id: UUID, now: datetime) -> bool:
    """Add an empty plan; return False if its id stood already."""
    row = await conn.fetchrow(
        """
        INSERT INTO plans (plan_id, merchant_id, created_at) VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING
        RETURNING plan_id
        """,
        plan_id,
        merchant_id,
        now,
    )
    return row is not None


async def lock(conn: Connection, plan_id: UUID, *, merchant_id: UUID) -> int:
    """Lock a plan of this merchant and return its newest version, 0 if it has none."""
    found = await conn.fetchval(
        "SELECT plan_id FROM plans WHERE plan_id = $1 AND merchant_id = $2 FOR UPDATE",
        plan_id,
        merchant_id,
    )
    if found is None:
        raise PlanUnknown("No such plan.", plan_id=plan_id)
    newest = await conn.fetchval(
        "SELECT max(version) FROM plan_versions WHERE plan_id = $1", plan_id
    )
    return newest or 0


async def add_version(conn: Connection, plan: PlanVersion) -> None:
    """Add a draft."""
    await conn.execute(
        """
        INSERT INTO plan_versions (plan_id, version, merchant_id, state, name, species, kind,
               legal_type, periods, total_fen, cash_price_fen, auto_ship, bundle_fen, bundles,
               price_card, credit_floor, use_of_money, gifts, offer, overdue_penalty, clauses,
               sales_copy)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20, $21, $22)
        """,
        plan.plan_id,
        plan.version,
        plan.merchant_id,
        plan.state,
        plan.name,
        plan.species,
        plan.kind,
        plan.legal_type,
        plan.periods,
        plan.total_fen,
        plan.cash_price_fen,
        plan.auto_ship,
        plan.bundle_fen,
        [bundle.model_dump(mode="json") for bundle in plan.bundles],
        plan.price_card,
        plan.credit_floor,
        plan.use_of_money,
        plan.gifts,
        plan.offer,
        None if plan.overdue_penalty is None else plan.overdue_penalty.model_dump(),
        plan.clauses,
        plan.sales_copy,
    )


async def publish(conn: Connection, plan: PlanVersion, *, now: datetime) -> None:
    """Publish a draft; from now on the database refuses any change of it."""
    await conn.execute(
        """
        UPDATE plan_versions SET state = 'published', published_at = $3
         WHERE plan_id = $1 AND version = $2
        """,
        plan.plan_id,
        plan.version,
        now,
    )


async def read_version(
    conn: Connection, plan_id: UUID, version: int, *, merchant_id: UUID
) -> PlanVersion:
    """Return a version, draft or published, of this merchant's plan, or raise PlanUnknown."""
    row = await conn.fetchrow(
        """
        SELECT * FROM plan_versions
         WHERE plan_id = $1 AND version = $2 AND merchant_id = $3
        """,
        plan_id,
        version,
        merchant_id,
    )
    if row is None:
        raise PlanUnknown("No such version of a plan.", plan_id=plan_id, version=version)
    return _version(row)


async def read_published(
    conn: Connection, plan_id: UUID, version: int, *, merchant_id: UUID
) -> PlanVersion:
    """Return a published version of this merchant's plan, or raise PlanUnknown."""
    plan = await read_version(conn, plan_id, version, merchant_id=merchant_id)
    if plan.state is not VersionState.PUBLISHED:
        raise PlanUnknown("This version is not published.", plan_id=plan_id, version=version)
    return plan


async def page(
    conn: Connection, *, merchant_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[PlanVersion]:
    """Return the newest version of each of this merchant's plans, oldest plan first."""
    rows = await conn.fetch(
        """
        SELECT v.*
          FROM plans p
          JOIN LATERAL (SELECT * FROM plan_versions v WHERE v.plan_id = p.plan_id
                         ORDER BY v.version DESC LIMIT 1) v ON true
         WHERE p.merchant_id = $1
           AND ($2::timestamptz IS NULL OR (p.created_at, p.plan_id) > ($2, $3))
         ORDER BY p.created_at, p.plan_id
         LIMIT $4
        """,
        merchant_id,
        *(after or (None, None)),
        limit,
    )
    return [_version(row) for row in rows]


async def created_at(conn: Connection, plan_id: UUID) -> datetime:
    """Return when a plan that exists was made."""
    moment: datetime = await conn.fetchval(
        "SELECT created_at FROM plans WHERE plan_id = $1", plan_id
    )
    return moment


def _version(row: Row) -> PlanVersion:
    penalty = row["overdue_penalty"]
    return PlanVersion(
        **{
            **row,
            "state": VersionState(row["state"]),
            "kind": PlanKind(row["kind"]),
            "legal_type": LegalType(row["legal_type"]),
            "bundles": [StageBundle.model_validate(bundle) for bundle in row["bundles"]],
            "price_card": [PriceLine(**line) for line in row["price_card"]],
            "offer": Offer(**row["offer"]),
            "clauses": [Clause(**clause) for clause in row["clauses"]],
            "sales_copy": [SalesText(**text) for text in row["sales_copy"]],
            "overdue_penalty": None if penalty is None else OverduePenalty.model_validate(penalty),
        }
    )
