"""The time-stamping authority over real HTTP, asked and checked by our own RFC 3161 client."""

import hashlib
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from rfc3161_client import decode_timestamp_response

from deploy.sandbox import keys
from deploy.sandbox.kit import Options
from deploy.sandbox.tsa import Tsa
from deploy.sandbox.tsa_tokens import Asked, granted
from services.signing.domain.errors import ProviderRefused, ProviderSilent
from services.signing.gateways.time_stamper import Rfc3161Stamper
from shared import time_stamp
from shared.time_stamp import StampInvalid, StampRefused
from tests.sandbox.harness import START, Simulator, running

STATED = b'{"a":1}'
ACCOUNT = hashlib.sha256(STATED).hexdigest()


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tsa")
    keys.make_authority(directory)
    return directory


@pytest.fixture
async def tsa(keys_dir):
    async with running(Tsa, Options(now=START, keys=keys_dir)) as simulator:
        yield simulator


def roots_of(directory):
    return (directory / "tsa-root.crt.pem").read_bytes()


def stamper(tsa: Simulator, directory) -> Rfc3161Stamper:
    return Rfc3161Stamper(tsa.http, url=tsa.url("/"), roots=roots_of(directory))


async def asked(tsa: Simulator, body: bytes, kind: str = time_stamp.ASKS) -> tuple[int, bytes]:
    async with tsa.http.post(tsa.url("/"), data=body, headers={"Content-Type": kind}) as answer:
        return answer.status, await answer.read()


async def test_a_stamp_is_over_what_was_stated_at_the_authoritys_second(tsa, keys_dir):
    stamped = await stamper(tsa, keys_dir).stamp(STATED)

    assert stamped.at == START
    roots = time_stamp.load_roots(stamped.roots.encode())
    again = time_stamp.read(stamped.answer, STATED, roots)
    assert (again.at, again.serial) == (START, 1)
    assert await tsa.books("stamps") == [{"serial": 1, "digest": ACCOUNT, "at": START.isoformat()}]
    with pytest.raises(StampInvalid, match="Mismatch"):
        time_stamp.read(stamped.answer, STATED + b" ", roots)


async def test_the_numbers_rise_and_the_time_follows_the_clock(tsa, keys_dir):
    await stamper(tsa, keys_dir).stamp(STATED)
    await tsa.advance(hours=1)
    second = await stamper(tsa, keys_dir).stamp(STATED)

    assert second.at == START + timedelta(hours=1)
    assert [row["serial"] for row in await tsa.books("stamps")] == [1, 2]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("decline:25", ProviderRefused),
        ("bad_signature", ProviderSilent),
        ("wrong_amount", ProviderSilent),
        ("http_500", ProviderSilent),
        ("outage", ProviderSilent),
        ("hide_answer", ProviderSilent),
    ],
)
async def test_what_goes_wrong_is_noticed_and_the_next_stamp_holds(tsa, keys_dir, fault, error):
    await tsa.fault(ACCOUNT, "stamp", fault)

    with pytest.raises(error):
        await stamper(tsa, keys_dir).stamp(STATED)

    assert (await stamper(tsa, keys_dir).stamp(STATED)).at == START


async def test_an_authority_nobody_trusts_stamps_nothing(tsa, tmp_path):
    keys.make_authority(tmp_path)
    with pytest.raises(ProviderSilent, match="does not hold"):
        await stamper(tsa, tmp_path).stamp(STATED)


async def test_an_answer_to_another_question_does_not_count(tsa, keys_dir):
    """Somebody may send an old answer over the same data: the nonce tells."""
    first, second = time_stamp.ask(STATED), time_stamp.ask(STATED)
    _, answer = await asked(tsa, first.body)
    roots = time_stamp.load_roots(roots_of(keys_dir))

    assert time_stamp.read(answer, STATED, roots, nonce=first.nonce).at == START
    with pytest.raises(StampInvalid, match="Nonce"):
        time_stamp.read(answer, STATED, roots, nonce=second.nonce)


async def test_what_is_no_request_is_refused_in_the_authoritys_form(tsa, keys_dir):
    assert (await asked(tsa, b"", kind="text/plain"))[0] == 415
    status, answer = await asked(tsa, b"junk")
    assert (status, decode_timestamp_response(answer).status) == (200, 2)
    with pytest.raises(StampRefused, match="cannot be read"):
        time_stamp.read(answer, STATED, time_stamp.load_roots(roots_of(keys_dir)))


@pytest.mark.parametrize("answer", [b"", b"junk", b"\x30\x03\x02\x01\x00"])
def test_an_answer_that_nobody_can_read_is_no_stamp(keys_dir, answer):
    with pytest.raises(StampInvalid):
        time_stamp.read(answer, STATED, time_stamp.load_roots(roots_of(keys_dir)))


async def test_a_change_of_any_byte_of_the_token_is_noticed_or_changes_nothing(tsa, keys_dir):
    """What it states is signed; what is not signed (the outer frame) cannot alter it."""
    good = (await stamper(tsa, keys_dir).stamp(STATED)).answer
    roots = time_stamp.load_roots(roots_of(keys_dir))
    stands = time_stamp.read(good, STATED, roots)
    refused = 0
    for place in range(0, len(good), 7):
        changed = bytearray(good)
        changed[place] ^= 1
        try:
            assert time_stamp.read(bytes(changed), STATED, roots) == stands
        except StampInvalid:
            refused += 1
    assert refused > len(good) // 7 * 0.8


def test_a_certificate_not_made_for_time_stamps_stamps_nothing(keys_dir):
    roots = time_stamp.load_roots(roots_of(keys_dir))
    sandbox = Tsa(Options(now=START, keys=keys_dir))
    question = Asked("2.16.840.1.101.3.4.2.1", hashlib.sha256(STATED).digest(), None, True)

    answer = granted(
        question,
        at=datetime(2026, 3, 2, tzinfo=UTC),
        serial=1,
        key=sandbox._key,
        certificate=roots[0],
    )

    with pytest.raises(StampInvalid):
        time_stamp.read(answer, STATED, roots)


async def test_without_keys_it_makes_its_own_and_tells_the_root():
    async with running(Tsa) as simulator, aiohttp.ClientSession() as http:
        async with http.get(simulator.url("/_sandbox/root.pem")) as answer:
            roots = await answer.read()
        stamped = await Rfc3161Stamper(http, url=simulator.url("/"), roots=roots).stamp(STATED)
    assert stamped.at == START
