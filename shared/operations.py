"""What an operator may do to any service: look at dead letters, replay them, replay events."""

from datetime import datetime
from typing import Any
from uuid import UUID

from shared import dead_letters, outbox
from shared.bus import Bus
from shared.dead_letters import DeadLetter
from shared.web import Api, Body, Call, Page, PageQuery, View


class DeadLetterView(View):
    """An event that a consumer gave up."""

    dead_letter_id: UUID
    consumer: str
    subject: str
    event_id: str
    body: str
    error: str
    tries: int
    died_at: datetime
    replayed_at: datetime | None


class DeadLetterQuery(PageQuery):
    """Which dead letters to list."""

    all: bool = False
    """Also those that were replayed."""


class Replay(Body):
    """Which events to publish again."""

    subject: str
    """A subject; ``%`` stands for any text."""
    since_seq: int = 0
    """Only events written after this row of the outbox."""


class Replayed(View):
    """How many will be published again."""

    events: int


def operations_api(bus: Bus[Any]) -> Api[Any]:
    """Return the endpoints that every service serves to its operator."""
    api: Api[Any] = Api(title="operations", version="1")

    @api.get("/ops/dead-letters", scope="ops:read", tags=("operations",))
    async def list_dead_letters(call: Call[Any], query: DeadLetterQuery) -> Page[DeadLetterView]:
        """List events that could not be applied, oldest first."""
        seen = query.after(UUID, UUID)
        async with call.deps.db.connection() as conn:
            letters = await dead_letters.page(
                conn, limit=query.limit + 1, after=seen and seen[1], waiting_only=not query.all
            )
        return Page[DeadLetterView].of(
            letters,
            limit=query.limit,
            key=lambda letter: (letter.dead_letter_id, letter.dead_letter_id),
            view=_view,
        )

    @api.post(
        "/ops/dead-letters/{dead_letter_id}/replay",
        scope="ops:write",
        tags=("operations",),
        idempotent=False,
        status=204,
    )
    async def replay_dead_letter(call: Call[Any], dead_letter_id: UUID) -> None:  # noqa: ARG001
        """Apply one dead letter now; it keeps waiting if that fails again."""
        await bus.replay(dead_letter_id)

    @api.post("/ops/outbox/replay", scope="ops:write", tags=("operations",), idempotent=False)
    async def replay_outbox(call: Call[Any], body: Replay) -> Replayed:
        """Publish events again, for readers that lost them; each is applied once anyway."""
        async with call.deps.db.transaction() as conn:
            return Replayed(
                events=await outbox.replay(conn, subject=body.subject, since_seq=body.since_seq)
            )

    return api


def _view(letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        dead_letter_id=letter.dead_letter_id,
        consumer=letter.consumer,
        subject=letter.subject,
        event_id=letter.event_id,
        body=letter.body.decode("utf-8", "replace"),
        error=letter.error,
        tries=letter.tries,
        died_at=letter.died_at,
        replayed_at=letter.replayed_at,
    )
