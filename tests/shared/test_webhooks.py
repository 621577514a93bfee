"""What providers send is kept once, with a verdict, until nobody can ask any more."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared import webhooks
from shared.db import Connection, Database
from shared.errors import NotFound
from shared.ids import new_id
from shared.webhooks import StaleDelivery, Verdict

NOON = datetime(2027, 3, 1, 4, 0, tzinfo=UTC)


async def keep(
    conn: Connection,
    key: str = "one",
    *,
    body: bytes = b"{}",
    verdict: Verdict = Verdict.ACCEPTED,
    now: datetime = NOON,
) -> bool:
    return await webhooks.keep(
        conn,
        provider="tracker",
        delivery_key=key,
        headers={"Content-Type": "application/json", "Authorization": "secret"},
        body=body,
        now=now,
        verdict=verdict,
    )


async def only_row(conn: Connection) -> tuple[str, UUID]:
    row = await conn.fetchrow("SELECT verdict, webhook_id FROM webhook_inbox")
    assert row is not None
    return row["verdict"], row["webhook_id"]


async def test_a_delivery_is_kept_once(signing_db: Database):
    async with signing_db.transaction() as conn:
        assert await keep(conn)
        assert not await keep(conn, body=b"other")
        assert await keep(conn, "two")


async def test_only_harmless_headers_are_kept(signing_db: Database):
    async with signing_db.transaction() as conn:
        await keep(conn)
        _, webhook_id = await only_row(conn)

        found = await webhooks.find(conn, webhook_id)

    assert found.headers == {"content-type": "application/json"}
    assert found.verdict is Verdict.ACCEPTED


async def test_a_forged_delivery_does_not_take_the_real_ones_place(signing_db: Database):
    async with signing_db.transaction() as conn:
        assert await keep(conn, verdict=Verdict.REJECTED, body=b"x" * 9000)
        _, webhook_id = await only_row(conn)
        assert len((await webhooks.find(conn, webhook_id)).body) == 4096

        assert await keep(conn)


async def test_what_found_no_place_waits_for_a_person(signing_db: Database):
    async with signing_db.transaction() as conn:
        for number in range(3):
            moment = NOON + timedelta(seconds=number)
            await keep(conn, str(number), verdict=Verdict.UNPLACED, now=moment)
        first = await webhooks.unplaced(conn, limit=2)
        last = await webhooks.unplaced(
            conn, limit=2, after=(first[1].received_at, first[1].webhook_id)
        )
        assert [one.delivery_key for one in [*first, *last]] == ["0", "1", "2"]

        for _ in range(2):
            await webhooks.mark_placed(conn, first[0].webhook_id, now=NOON)

        assert len(await webhooks.unplaced(conn, limit=9)) == 2
        with pytest.raises(NotFound):
            await webhooks.mark_placed(conn, new_id(), now=NOON)
        with pytest.raises(NotFound):
            await webhooks.find(conn, new_id())


async def test_the_next_try_of_an_unplaced_delivery_may_find_its_place(signing_db: Database):
    async with signing_db.transaction() as conn:
        assert await keep(conn, verdict=Verdict.UNPLACED)
        assert await keep(conn, verdict=Verdict.UNPLACED)
        assert await keep(conn)
        assert not await keep(conn)

        assert (await only_row(conn))[0] == "accepted"
        assert await webhooks.unplaced(conn, limit=9) == []


async def test_deliveries_are_forgotten_but_for_those_that_wait(signing_db: Database):
    late = NOON + webhooks.KEPT + timedelta(seconds=1)
    async with signing_db.transaction() as conn:
        await keep(conn, "one")
        await keep(conn, "two", verdict=Verdict.UNPLACED)

        assert await webhooks.forget_old(conn, now=late) == 1
        assert await webhooks.forget_old(conn, now=late) == 0


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_a_fresh_time_stamp_passes(minutes):
    webhooks.require_fresh(NOON + timedelta(minutes=minutes), now=NOON)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_time_stamp_far_from_now_is_refused(seconds):
    with pytest.raises(StaleDelivery):
        webhooks.require_fresh(NOON + timedelta(seconds=seconds), now=NOON)


def test_the_same_bytes_have_the_same_key():
    assert webhooks.body_key(b"a") == webhooks.body_key(b"a") != webhooks.body_key(b"b")
