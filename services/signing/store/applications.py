"""Applications, how long each step took, and the consents given on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from services.signing.contract import Rail
from services.signing.domain.application import (
    Application,
    ApplicationState,
    ConsentKind,
    Pet,
    Step,
)
from services.signing.domain.errors import ApplicationUnknown
from services.signing.store import history
from shared.db import Connection, Row

NEXT_EXPIRY: Final = """
        SELECT min(expires_at) FROM applications
         WHERE state NOT IN ('completed', 'rejected', 'expired', 'withdrawn')
        """
"""When the next application runs out of time."""


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long one step took; ``done_at`` is None while it lasts."""

    step: str
    tries: int
    began_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class Consent:
    """What a customer was shown, how long, and what they chose."""

    kind: ConsentKind
    text_version: str
    agreed: bool
    shown_ms: int


async def add(conn: Connection, application: Application, *, applicant: str) -> bool:
    """Add an application with its encrypted *applicant*; False if its id stood already."""
    row = await conn.fetchrow(
        """
        INSERT INTO applications (application_id, merchant_id, store_id, plan_id, plan_version,
               rail, charge_day, state, applicant, payer_no, pet, agreement_id, agreement_no,
               started_at, expires_at, step_since)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
            ON CONFLICT DO NOTHING
        RETURNING application_id
        """,
        application.application_id,
        application.merchant_id,
        application.store_id,
        application.plan_id,
        application.plan_version,
        application.rail,
        application.charge_day,
        application.state,
        applicant,
        application.payer_no,
        application.pet,
        application.agreement_id,
        application.agreement_no,
        application.started_at,
        application.expires_at,
        application.step_since,
    )
    return row is not None


async def read(conn: Connection, application_id: UUID, *, merchant_id: UUID) -> Application:
    """Return an application of this merchant, or raise ApplicationUnknown."""
    row = await conn.fetchrow(
        "SELECT * FROM applications WHERE application_id = $1 AND merchant_id = $2",
        application_id,
        merchant_id,
    )
    return _application(row, application_id)


async def lock(
    conn: Connection, application_id: UUID, *, merchant_id: UUID | None = None
) -> Application:
    """Return an application for update; without *merchant_id* whosesoever it is."""
    row = await conn.fetchrow(
        """
        SELECT * FROM applications
         WHERE application_id = $1 AND ($2::uuid IS NULL OR merchant_id = $2)
           FOR UPDATE
        """,
        application_id,
        merchant_id,
    )
    return _application(row, application_id)


async def read_applicant(conn: Connection, application_id: UUID) -> str:
    """Return the encrypted applicant of an application that exists."""
    sealed: str = await conn.fetchval(
        "SELECT applicant FROM applications WHERE application_id = $1", application_id
    )
    return sealed


async def save(
    conn: Connection, before: Application, after: Application, *, actor: str, now: datetime
) -> None:
    """Write a locked application, end the step it was in, and add to its history."""
    await conn.execute(
        """
        UPDATE applications
           SET state = $2, consented = $3, customer_id = $4, pet_id = $5, expires_at = $6,
               step_since = $7, reason = $8
         WHERE application_id = $1
        """,
        after.application_id,
        after.state,
        after.consented,
        after.customer_id,
        after.pet_id,
        after.expires_at,
        after.step_since,
        after.reason,
    )
    if before.next_step is not after.next_step:
        await _end_step(conn, before, now=now)
    await history.add(
        conn,
        "application",
        after.application_id,
        from_state=before.state,
        to_state=after.state,
        actor=actor,
        reason=after.reason,
        now=now,
    )


async def tried(conn: Connection, application: Application, step: Step, *, now: datetime) -> int:
    """Count one more try of *step*; return how many there were."""
    tries: int = await conn.fetchval(
        """
        INSERT INTO application_steps AS s (application_id, step, tries, began_at)
        VALUES ($1, $2, 1, $3)
            ON CONFLICT (application_id, step) DO UPDATE SET tries = s.tries + 1
        RETURNING tries
        """,
        application.application_id,
        step,
        min(application.step_since, now),
    )
    return tries


async def steps(conn: Connection, application_id: UUID) -> list[StepTime]:
    """Return the steps begun so far, in order."""
    rows = await conn.fetch(
        """
        SELECT step, tries, began_at, done_at FROM application_steps
         WHERE application_id = $1 ORDER BY began_at, done_at
        """,
        application_id,
    )
    return [StepTime(**row) for row in rows]


async def add_consents(
    conn: Connection, application_id: UUID, consents: list[Consent], *, now: datetime
) -> None:
    """Remember consents; a newer answer to the same question replaces the older one."""
    await conn.executemany(
        """
        INSERT INTO consents (application_id, kind, text_version, agreed, shown_ms, given_at)
        VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (application_id, kind) DO UPDATE
           SET text_version = excluded.text_version, agreed = excluded.agreed,
               shown_ms = excluded.shown_ms, given_at = excluded.given_at
        """,
        [(application_id, c.kind, c.text_version, c.agreed, c.shown_ms, now) for c in consents],
    )


async def consents(conn: Connection, application_id: UUID) -> Mapping[ConsentKind, bool]:
    """Return what was asked and what was answered."""
    rows = await conn.fetch(
        "SELECT kind, agreed FROM consents WHERE application_id = $1", application_id
    )
    return {ConsentKind(row["kind"]): row["agreed"] for row in rows}


async def expiring(conn: Connection, *, now: datetime, limit: int) -> list[UUID]:
    """Return applications whose time has run out."""
    rows = await conn.fetch(
        """
        SELECT application_id FROM applications
         WHERE expires_at <= $1
           AND state NOT IN ('completed', 'rejected', 'expired', 'withdrawn')
         ORDER BY expires_at LIMIT $2
        """,
        now,
        limit,
    )
    return [row["application_id"] for row in rows]


async def page(
    conn: Connection, *, merchant_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[Application]:
    """Return this merchant's applications, oldest first."""
    rows = await conn.fetch(
        """
        SELECT * FROM applications
         WHERE merchant_id = $1
           AND ($2::timestamptz IS NULL OR (started_at, application_id) > ($2, $3))
         ORDER BY started_at, application_id LIMIT $4
        """,
        merchant_id,
        *(after or (None, None)),
        limit,
    )
    return [_application(row, row["application_id"]) for row in rows]


async def _end_step(conn: Connection, application: Application, *, now: datetime) -> None:
    await conn.execute(
        """
        INSERT INTO application_steps (application_id, step, began_at, done_at)
        VALUES ($1, $2, $3, $4)
            ON CONFLICT (application_id, step) DO UPDATE SET done_at = excluded.done_at
        """,
        application.application_id,
        application.next_step,
        application.step_since,
        now,
    )


def pet_of(stored: dict[str, Any]) -> Pet:
    """Return the pet that was stored as JSON."""
    return Pet(**{**stored, "born_on": date.fromisoformat(stored["born_on"])})


def _application(row: Row | None, application_id: UUID) -> Application:
    if row is None:
        raise ApplicationUnknown("No such application.", application_id=application_id)
    known = dict(row)
    del known["applicant"]
    return Application(
        **{
            **known,
            "rail": Rail(row["rail"]),
            "state": ApplicationState(row["state"]),
            "pet": pet_of(row["pet"]),
        }
    )
