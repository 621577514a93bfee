"""A provider calls us: kept as it came, and applied; the same again changes nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from services.notify.deps import Deps
from services.notify.domain.errors import PushUnauthentic
from shared.db import Connection
from shared.webhooks import Verdict, body_key, keep

log = structlog.get_logger()

T = TypeVar("T")


async def take_push(
    deps: Deps,
    provider: str,
    raw: bytes,
    headers: Mapping[str, str],
    *,
    read: Callable[[bytes], Sequence[T]],
    apply: Callable[[Connection, Sequence[T], Deps], Awaitable[int]],
) -> None:
    """
    Keep one genuine push and apply it, in one transaction; repeats safely.

    What cannot be read, or names nothing of ours, stays for a person; the provider is
    not told, because sending it again would not help.
    """
    now = deps.clock.now()
    key = body_key(raw)
    items: Sequence[T] = ()
    reason: str | None = None
    try:
        items = read(raw)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        reason = f"unreadable: {type(error).__name__}"
    async with deps.db.transaction() as conn:
        if reason is None and await apply(conn, items, deps):
            reason = "names nothing of ours"
        verdict = Verdict.UNPLACED if reason else Verdict.ACCEPTED
        await keep(
            conn,
            provider=provider,
            delivery_key=key,
            headers=headers,
            body=raw,
            now=now,
            verdict=verdict,
            reason=reason,
        )
    log.info("push.taken", provider=provider, items=len(items), reason=reason)


async def refuse_push(
    deps: Deps, provider: str, raw: bytes, headers: Mapping[str, str], *, reason: str
) -> PushUnauthentic:
    """Keep the beginning of a call that nobody is known to have made; return the refusal."""
    async with deps.db.transaction() as conn:
        await keep(
            conn,
            provider=provider,
            delivery_key="",
            headers=headers,
            body=raw,
            now=deps.clock.now(),
            verdict=Verdict.REJECTED,
            reason=reason,
        )
    return PushUnauthentic("This call does not prove who makes it.")
