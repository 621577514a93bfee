"""What an operator may do to any service: dead letters, events again, keys of callers."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared import api_keys, dead_letters, outbox
from shared.bus import Bus
from shared.clock import SystemClock
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


class NewKey(Body):
    """A key made by the operator, to be let in here; the secret itself is not stored."""

    token: str = Field(pattern=r"^yf_[a-z]{1,16}_[0-9a-f]{16}_[0-9a-f]{48}$")
    tenant_id: UUID | None = None
    """Whose data it opens; null for the operator's own."""
    scopes: list[str] = Field(min_length=1, max_length=50)
    name: str = Field(min_length=1, max_length=80)
    not_after: AwareDatetime | None = None


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

    @api.post(
        "/ops/api-keys", scope="ops:write", tags=("operations",), idempotent=False, status=204
    )
    async def let_key_in(call: Call[Any], body: NewKey) -> None:
        """Let a key in; the same key again changes nothing."""
        async with call.deps.db.transaction() as conn:
            await api_keys.install_key(
                conn,
                body.token,
                tenant_id=body.tenant_id,
                scopes=body.scopes,
                name=body.name,
                now=SystemClock().now(),
                not_after=body.not_after,
            )

    @api.delete("/ops/api-keys/{key_id}", scope="ops:write", tags=("operations",), status=204)
    async def revoke_key(call: Call[Any], key_id: str) -> None:
        """Let a key in no more; processes may remember it for half a minute."""
        async with call.deps.db.transaction() as conn:
            await api_keys.revoke_key(conn, key_id, now=SystemClock().now())

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
