"""What providers were asked about a person, written before they were asked."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from services.signing.domain.credit_tiers import Answer
from shared.db import Connection, Row


@dataclass(frozen=True, slots=True)
class IdentityCheck:
    """One try of the face check: asked, open (the person has the page), passed, failed, expired."""

    check_id: UUID
    application_id: UUID
    state: str
    biz_token: str
    url: str
    outcome: str
    started_at: datetime
    due_at: datetime | None
    tries: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """One question about a score; ``answer`` is None until it was answered."""

    assessment_id: UUID
    application_id: UUID
    threshold: int
    answer: Answer | None
    provider_no: str
    asked_at: datetime


async def lock_open(conn: Connection, application_id: UUID) -> IdentityCheck | None:
    """Return the check that is not decided yet, for update."""
    row = await conn.fetchrow(
        """
        SELECT * FROM identity_checks
         WHERE application_id = $1 AND state IN ('asked', 'open') FOR UPDATE
        """,
        application_id,
    )
    return None if row is None else IdentityCheck(**row)


async def read_open(conn: Connection, application_id: UUID) -> IdentityCheck | None:
    """Return the check that is not decided yet."""
    row = await conn.fetchrow(
        "SELECT * FROM identity_checks WHERE application_id = $1 AND state IN ('asked', 'open')",
        application_id,
    )
    return None if row is None else IdentityCheck(**row)


async def count_since(conn: Connection, application_id: UUID, since: datetime) -> int:
    """Return how many checks were started since then."""
    number: int = await conn.fetchval(
        "SELECT count(*) FROM identity_checks WHERE application_id = $1 AND started_at >= $2",
        application_id,
        since,
    )
    return number


async def add_check(
    conn: Connection, check_id: UUID, *, application_id: UUID, now: datetime
) -> None:
    """Add a check that is about to be asked for; repeats safely."""
    await conn.execute(
        """
        INSERT INTO identity_checks (check_id, application_id, state, started_at)
        VALUES ($1, $2, 'asked', $3) ON CONFLICT DO NOTHING
        """,
        check_id,
        application_id,
        now,
    )


async def open_check(
    conn: Connection, check_id: UUID, *, biz_token: str, url: str, due_at: datetime
) -> None:
    """Note that the provider gave the person a page; ask for the result at *due_at*."""
    await conn.execute(
        """
        UPDATE identity_checks SET state = 'open', biz_token = $2, url = $3, due_at = $4
         WHERE check_id = $1 AND state = 'asked'
        """,
        check_id,
        biz_token,
        url,
        due_at,
    )


async def end_check(conn: Connection, check_id: UUID, *, state: str, outcome: str) -> None:
    """Note how a check ended; its page is of no use any more."""
    await conn.execute(
        """
        UPDATE identity_checks SET state = $2, outcome = $3, due_at = NULL, url = ''
         WHERE check_id = $1
        """,
        check_id,
        state,
        outcome,
    )


async def ask_check_again(conn: Connection, check_id: UUID, *, at: datetime) -> None:
    """Note that the result is not known yet."""
    await conn.execute(
        "UPDATE identity_checks SET due_at = $2, tries = tries + 1 WHERE check_id = $1",
        check_id,
        at,
    )


async def due_checks(conn: Connection, *, now: datetime, limit: int) -> list[IdentityCheck]:
    """Claim, for half a minute, checks whose result should be asked for."""
    rows = await conn.fetch(
        """
        UPDATE identity_checks SET due_at = $1::timestamptz + interval '30 seconds'
         WHERE check_id IN (SELECT check_id FROM identity_checks WHERE due_at <= $1
                          ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING *
        """,
        now,
        limit,
    )
    return [IdentityCheck(**row) for row in rows]


async def add_assessment(
    conn: Connection, assessment_id: UUID, *, application_id: UUID, threshold: int, now: datetime
) -> Assessment:
    """Return the question that waits for its answer, or add one."""
    row = await conn.fetchrow(
        """
        SELECT * FROM credit_assessments
         WHERE application_id = $1 AND answered_at IS NULL
           AND asked_at > $2::timestamptz - interval '20 hours'
         ORDER BY asked_at DESC LIMIT 1
        """,
        application_id,
        now,
    )
    if row is None:
        row = await conn.fetchrow(
            """
            INSERT INTO credit_assessments (assessment_id, application_id, threshold, asked_at)
            VALUES ($1, $2, $3, $4)
                ON CONFLICT (assessment_id) DO UPDATE SET threshold = excluded.threshold
            RETURNING *
            """,
            assessment_id,
            application_id,
            threshold,
            now,
        )
    assert row is not None
    return _assessment(row)


async def answer(
    conn: Connection,
    assessment_id: UUID,
    given: Answer,
    *,
    provider_no: str,
    valid_until: date,
    now: datetime,
) -> None:
    """Note the answer, once."""
    await conn.execute(
        """
        UPDATE credit_assessments
           SET answer = $2, provider_no = $3, valid_until = $4, answered_at = $5
         WHERE assessment_id = $1 AND answered_at IS NULL
        """,
        assessment_id,
        given,
        provider_no,
        valid_until,
        now,
    )


def _assessment(row: Row) -> Assessment:
    return Assessment(
        assessment_id=row["assessment_id"],
        application_id=row["application_id"],
        threshold=row["threshold"],
        answer=Answer(row["answer"]) if row["answer"] else None,
        provider_no=row["provider_no"],
        asked_at=row["asked_at"],
    )
