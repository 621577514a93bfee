"""Items that arrive while a batch is under way make the next one."""

import asyncio
from collections.abc import Sequence

import pytest

from shared import idempotency
from shared.db import Database
from shared.idempotency import Answer, KeyInFlight, KeyReused, Slot
from shared.together import MOST, Together
from tests.support.waiting import until
from tests.support.web_api import NOON


async def test_who_comes_alone_waits_for_nobody_and_the_rest_goes_together():
    batches: list[int] = []
    gate = asyncio.Event()

    async def double(items: Sequence[int]) -> list[int]:
        batches.append(len(items))
        await gate.wait()
        return [item * 2 for item in items]

    together = Together(double)
    first = asyncio.create_task(together.add(-1))
    await until(lambda: batches == [1])

    tasks = [asyncio.create_task(together.add(number)) for number in range(MOST + 1)]
    await asyncio.sleep(0)
    gate.set()
    rest = await asyncio.gather(*tasks)

    assert await first == -2
    assert rest == [number * 2 for number in range(MOST + 1)]
    assert batches == [1, MOST, 1]


async def test_a_failed_batch_fails_for_everybody_in_it_and_nobody_after():
    async def refuse(items: Sequence[int]) -> list[int]:
        if 13 in items:
            raise OSError("away")
        return list(items)

    together = Together(refuse)

    results = await asyncio.gather(together.add(1), together.add(13), return_exceptions=True)
    assert [type(result) for result in results] == [OSError, OSError]
    assert await together.add(2) == 2


async def test_one_who_gave_up_does_not_disturb_the_others():
    gate = asyncio.Event()

    async def slowly(items: Sequence[int]) -> list[int]:
        await gate.wait()
        return list(items)

    together = Together(slowly)
    gave_up = asyncio.create_task(together.add(1))
    stayed = asyncio.create_task(together.add(2))
    await asyncio.sleep(0)
    gave_up.cancel()
    gate.set()

    assert await stayed == 2
    with pytest.raises(asyncio.CancelledError):
        await gave_up


async def test_a_batch_of_claims_may_hold_the_same_key_twice(signing_db: Database):
    one, same, other = (
        Slot("c", "POST /x", "k", idempotency.fingerprint("/x", body))
        for body in (b"1", b"1", b"2")
    )
    else_ = Slot("c", "POST /x", "a", one.fingerprint)
    async with signing_db.transaction() as conn:
        claimed = await idempotency.claim_many(conn, [one, same, other, else_], now=NOON)
        assert [type(outcome) for outcome in claimed] == [int, KeyInFlight, KeyReused, int]

        await idempotency.store(conn, one, 1, Answer(201, "text/plain", b"done"))
        claimed = await idempotency.claim_many(conn, [same, other, else_], now=NOON)
        assert claimed[0] == Answer(201, "text/plain", b"done")
        assert [type(outcome) for outcome in claimed[1:]] == [KeyReused, KeyInFlight]
