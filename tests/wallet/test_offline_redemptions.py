"""What a shop accepted while it was offline: once, in time, within its limit, never below zero."""

import base64
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.wallet.domain.accounts import Purse
from services.wallet.domain.redemption_code import read
from shared.db import Database
from shared.ids import new_id
from tests.support.shop_counter import Counter, DeviceForTests, a_counter
from tests.support.wallet_builders import CUSTOMER, NOON, a_collection


@pytest.fixture
async def counter(wallet_db: Database) -> AsyncIterator[Counter]:
    async with a_counter(wallet_db) as counter:
        await counter.wallet.hear(a_collection(1, amount_fen=10000, auto_ship=False))
        yield counter


async def principal(counter: Counter) -> int:
    return await counter.wallet.purse(Purse.PRINCIPAL)


async def test_a_device_can_read_a_code_with_the_public_key_alone(counter):
    _, terms = await counter.get("/v1/redemption-terms", who="terminal")
    text = await counter.code(max_amount_fen=500)

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(terms["public_key"]))
    code = read(text, key)

    assert (code.customer_id, code.max_amount_fen, code.offline_limit_fen) == (CUSTOMER, 500, 20000)
    assert len(text) < 200


async def test_what_was_accepted_offline_is_booked_when_it_arrives_and_only_once(counter):
    device = await counter.device()
    lines = [device.accept(await counter.code(), 1000 + n, NOON) for n in range(3)]
    counter.wallet.clock.advance(days=2)

    first = await counter.upload(device, *lines)
    again = await counter.upload(device, *reversed(lines), lines[0])

    assert [line["outcome"] for line in first] == ["booked"] * 3
    assert not any(line["repeated"] for line in first)
    assert [line["repeated"] for line in again] == [True] * 4
    assert again[0]["redemption_id"] == first[2]["redemption_id"]
    assert await principal(counter) == 10000 - 3003
    await counter.wallet.assert_books_agree()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_a_code_accepted_twice_offline_and_once_online_is_consumed_once(counter, order):
    one, two = await counter.device(), await counter.device()
    code = await counter.code()

    async def online() -> str:
        status, body = await counter.redeem(code, 700)
        return "booked" if status == 201 else str(body["code"])

    async def offline(device: DeviceForTests, amount_fen: int) -> str:
        (line,) = await counter.upload(device, device.accept(code, amount_fen, NOON))
        return str(line["problem"] or line["outcome"])

    ways = [online, lambda: offline(one, 800), lambda: offline(two, 900)]
    outcomes = [await ways[way]() for way in order]

    assert outcomes == ["booked", "code-used", "code-used"]
    assert await principal(counter) == 10000 - (700, 800, 900)[order[0]]
    await counter.wallet.assert_books_agree()


async def test_too_little_in_the_wallet_is_an_exception_for_the_merchant_and_takes_nothing(counter):
    device = await counter.device()
    lines = [device.accept(await counter.code(), 6000, NOON) for _ in range(2)]

    first, second = await counter.upload(device, *lines)

    assert (first["outcome"], second["outcome"]) == ("booked", "short")
    assert await principal(counter) == 4000
    _, shown = await counter.get("/v1/redemptions?state=short")
    (exception,) = shown["items"]
    assert (exception["amount_fen"], exception["missing_fen"]) == (6000, 2000)
    (told,) = await counter.wallet.told("wallet.redemption.fell_short.v1")
    assert told.body["missing_fen"] == 2000
    status, body = await counter.give_back(exception["redemption_id"])
    assert (status, body["code"]) == (409, "redemption-short")
    await counter.wallet.hear(a_collection(2, auto_ship=False))
    (again,) = await counter.upload(device, lines[1])
    assert (again["outcome"], again["repeated"]) == ("short", True)
    await counter.wallet.assert_books_agree()


async def test_bad_lines_are_refused_one_by_one_and_kept(counter):
    device, other = await counter.device(), DeviceForTests(new_id())
    code = await counter.code()
    early = NOON - timedelta(minutes=2)
    late, ahead = NOON + timedelta(minutes=6), NOON + timedelta(minutes=4)
    bad = [
        (device.accept(code, 0, NOON), "amount-invalid"),
        (device.accept(code, -1, NOON), "amount-invalid"),
        (device.accept(code, 20001, NOON), "amount-above-offline-limit"),
        (device.accept(code, 500_001, NOON), "amount-above-ceiling"),
        (device.accept(code, 100, NOON, amount_fen=200), "line-forged"),
        (device.accept(code, 100, NOON, signature="!"), "line-forged"),
        (device.accept(code, 100, NOON, category="medical"), "line-forged"),
        (DeviceForTests(device.device_id, other.key).accept(code, 100, NOON), "line-forged"),
        (device.accept("YF1.", 100, NOON), "code-unreadable"),
        (device.accept(code, 100, early), "code-expired"),
        (device.accept(code, 100, late), "code-expired"),
        (device.accept(code, 100, ahead), "code-expired"),
    ]
    before = await counter.all_balances()

    lines = await counter.upload(device, *(line for line, _ in bad))

    assert [line["problem"] for line in lines] == [problem for _, problem in bad]
    kept = await counter.refusals()
    assert sorted(kept) == sorted(("upload", problem) for _, problem in bad)
    assert await counter.all_balances() == before


async def test_what_comes_too_late_counts_no_more(counter):
    device = await counter.device()
    line = device.accept(await counter.code(), 100, NOON)
    counter.wallet.clock.advance(hours=72, seconds=1)

    (refused,) = await counter.upload(device, line)

    assert refused["problem"] == "upload-too-late"
    assert await principal(counter) == 10000


async def test_a_code_of_another_merchant_is_refused_offline_too(counter):
    device = DeviceForTests(new_id())
    path = f"/v1/redemption-devices/{device.device_id}"
    body = {"name": "别家", "public_key": device.public_key}
    await counter.send("PUT", path, body, who="foreign")

    line = device.accept(await counter.code(), 100, NOON)
    (refused,) = await counter.upload(device, line, who="foreign")

    assert refused["problem"] == "code-foreign"
    assert await principal(counter) == 10000


async def test_a_revoked_device_brings_in_what_it_accepted_before_and_no_more(counter):
    device = await counter.device()
    first, second = [await counter.code() for _ in range(2)]
    counter.wallet.clock.advance(minutes=1)
    await counter.send("DELETE", f"/v1/redemption-devices/{device.device_id}")

    before = device.accept(first, 100, NOON)
    after = device.accept(second, 100, NOON + timedelta(minutes=2))
    lines = await counter.upload(device, before, after)

    assert [line["problem"] or line["outcome"] for line in lines] == ["booked", "device-revoked"]


async def test_an_unknown_device_and_a_clerk_without_the_scope_bring_nothing(counter):
    device = await counter.device()
    line = device.accept(await counter.code(), 100, NOON)
    path = f"/v1/redemption-devices/{device.device_id}/uploads"

    forbidden, _ = await counter.post(path, {"lines": [line]}, who="terminal")
    foreign, _ = await counter.post(path, {"lines": [line]}, who="foreign")
    unknown, _ = await counter.post(f"/v1/redemption-devices/{new_id()}/uploads", {"lines": [line]})

    assert (forbidden, foreign, unknown) == (403, 404, 404)
    assert await counter.refusals() == [("upload", "device-unknown"), ("upload", "scope-missing")]
    assert await principal(counter) == 10000


async def test_a_device_keeps_its_key(counter):
    device = await counter.device()
    path = f"/v1/redemption-devices/{device.device_id}"
    another = {"name": "前台", "public_key": DeviceForTests(device.device_id).public_key}

    assert (await counter.send("PUT", path, another))[1]["code"] == "device-differs"
    for key in ("", "!!", base64.b64encode(b"short").decode()):
        status, body = await counter.send("PUT", path, {"name": "前台", "public_key": key})
        assert (status, body["code"]) == (422, "device-key-invalid")
    _, listed = await counter.get("/v1/redemption-devices")
    assert [row["device_id"] for row in listed["items"]] == [str(device.device_id)]
