"""Quotes that are shared by a code: shown, scanned, expired, and never another's."""

import asyncio
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from services.signing.domain.errors import SharedQuoteExpired, SharedQuoteUnknown
from services.signing.domain.shared_quote import (
    CODE_BYTES,
    image_cached_s,
    new_share,
    read_code,
    require_live,
)
from services.signing.gateways.qr_code import qr_png, qr_svg
from shared.ids import new_id
from tests.support.signing_builders import NOON, plan_body

BASE = "https://m.example.com/q/"
OFFER = {"first_month_half": True, "free_periods": [12], "down_payment_fen": 18_800}


def a_share(random=bytes(CODE_BYTES), days=7):
    return new_share(random, new_id(), merchant_id=new_id(), days=days, now=NOON)


def expected(url):
    """Return the modules of the library's own code, True is dark, with its quiet zone."""
    code = segno.make_qr(url, error="m", boost_error=False)
    return [[bool(module) for module in row] for row in code.matrix_iter(border=4)]


def png_modules(image, module_px):
    """Return the middle pixel of each module of a PNG, True is dark."""
    with Image.open(io.BytesIO(image)) as picture:
        assert picture.format == "PNG"
        pixels = picture.convert("L")
    columns, rows = (range(module_px // 2, side, module_px) for side in pixels.size)
    return [[pixels.getpixel((x, y)) == 0 for x in columns] for y in rows]


async def given_quote(shop, **changes):
    plan_id = await shop.publish(plan_body(bundle_fen=19_900, **changes))
    asked = {"plan_id": plan_id, "plan_version": 1, "rail": "alipay", "charge_day": 15}
    return await shop.ok("POST", "/v1/quotes", asked)


async def shared(shop, quote=None, **body):
    quote = quote or await given_quote(shop)
    return await shop.ok("POST", f"/v1/quotes/{quote['quote_id']}/share", body)


@given(st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES))
def test_every_code_reads_back_and_has_sixteen_clear_letters(random):
    code = a_share(random).code

    assert read_code(code) == read_code(code.upper()) == code
    assert len(code) == 16
    assert not set(code) & set("ilou")


def test_other_randomness_is_another_code():
    codes = {a_share(n.to_bytes(CODE_BYTES, "big")).code for n in range(2_000)}
    assert len(codes) == 2_000


@pytest.mark.parametrize(
    "text", ["", "0" * 15, "0" * 17, "0" * 15 + "o", "0" * 15 + "\n", "0" * 15 + "\0", "é" * 16]
)
def test_what_cannot_be_a_code_is_unknown(text):
    with pytest.raises(SharedQuoteUnknown):
        read_code(text)


def test_a_code_ends_at_its_moment_and_not_before():
    share = a_share(days=7)
    end = NOON + timedelta(days=7)

    require_live(share, now=end - timedelta(microseconds=1))
    with pytest.raises(SharedQuoteExpired):
        require_live(share, now=end)
    assert image_cached_s(share, now=NOON) == 86_400
    assert image_cached_s(share, now=end - timedelta(hours=1)) == 3_600


@pytest.mark.parametrize("module_px", [1, 3, 10])
def test_the_png_is_the_code_of_its_address(module_px):
    url = BASE + "0" * 16
    assert png_modules(qr_png(url, module_px=module_px), module_px) == expected(url)


def test_the_svg_is_the_code_of_its_address():
    url = BASE + "0" * 16
    wanted = io.BytesIO()
    segno.make_qr(url, error="m", boost_error=False).save(
        wanted, kind="svg", border=4, light="#fff", omitsize=True
    )
    drawn = ET.fromstring(qr_svg(url))
    assert ET.tostring(drawn) == ET.tostring(ET.fromstring(wanted.getvalue()))
    size = len(expected(url))
    assert drawn.attrib["viewBox"] == f"0 0 {size} {size}"
    assert qr_svg(url) != qr_svg(url[:-1] + "1")


async def test_a_scanned_quote_shows_everything_to_the_fen(shop):
    quote = await given_quote(shop, offer=OFFER)
    share = await shared(shop, quote)

    shown = await shop.ok("GET", f"/v1/shared-quotes/{share['code']}")

    assert share["url"] == BASE + share["code"]
    same = ("total_fen", "cash_price_fen", "down_payment_fen", "bonus_fen", "instalments")
    assert {name: shown[name] for name in same} == {name: quote[name] for name in same}
    assert sum(one["amount_fen"] for one in shown["instalments"]) == shown["total_fen"] == 316_296
    assert (shown["down_payment_fen"], shown["interest_fen"], shown["other_fees_fen"]) == (
        18_800,
        0,
        0,
    )
    assert (shown["nominal_percent"], shown["effective_percent"]) == ("0.000", "0.000")
    assert shown["cap"] == {"lender": "nobody", "percent": "24", "basis": "business"}
    assert (shown["merchant_name"], shown["plan_name"]) == ("团子宠物", "安心月付")


async def test_a_sale_on_credit_shows_its_interest_and_the_sellers_cap(shop):
    body = {"legal_type": "instalment_sale", "periods": 6, "auto_ship": False, "bundles": []}
    amounts = {"monthly_fen": None, "total_fen": 612_600, "cash_price_fen": 600_000}
    offer = {"down_payment_per_mille": 300}
    plan_id = await shop.publish(plan_body(**body, **amounts, bundle_fen=0, offer=offer))
    asked = {"plan_id": plan_id, "plan_version": 1, "rail": "alipay", "charge_day": 15}
    share = await shared(shop, await shop.ok("POST", "/v1/quotes", asked))

    shown = await shop.ok("GET", f"/v1/shared-quotes/{share['code']}")

    assert (shown["interest_fen"], shown["down_payment_fen"]) == (12_600, 180_000)
    assert [one["amount_fen"] for one in shown["instalments"]] == [180_000] + [72_100] * 6
    assert (shown["nominal_percent"], shown["effective_percent"]) == ("10.214", "10.706")
    assert shown["cap"] == {"lender": "seller", "percent": "12", "basis": "four_times_lpr"}


async def test_dates_that_can_no_longer_be_kept_are_not_shown(shop):
    share = await shared(shop, days=30)
    first = await shop.ok("GET", f"/v1/shared-quotes/{share['code']}")
    shop.clock.advance(days=10)
    later = await shop.ok("GET", f"/v1/shared-quotes/{share['code']}")

    assert [one["instalments"][0]["due_on"] for one in (first, later)] == [
        "2027-03-15",
        "2027-04-15",
    ]
    assert [one["amount_fen"] for one in later["instalments"]] == [
        one["amount_fen"] for one in first["instalments"]
    ]
    assert first["quoted_at"] == later["quoted_at"]
    assert date.fromisoformat(later["instalments"][-1]["due_on"]) == date(2028, 3, 15)


async def test_asking_twice_at_once_gives_one_code(shop):
    quote = await given_quote(shop)

    first, second = await asyncio.gather(shared(shop, quote), shared(shop, quote, days=30))

    assert first == second
    shop.clock.advance(days=31)
    assert (await shared(shop, quote))["code"] != first["code"]


async def test_a_code_expires(shop):
    share = await shared(shop, days=1)
    shop.clock.advance(days=1)

    for path in ("", "/qr.svg", "/qr.png"):
        answer = await shop.call("GET", f"/v1/shared-quotes/{share['code']}{path}")
        assert (answer.status, answer.body["code"]) == (404, "shared-quote-expired")
    expired_at = datetime.fromisoformat(answer.body["expired_at"])
    assert expired_at == datetime(2027, 3, 2, 4, tzinfo=UTC)


async def test_a_code_is_nothing_to_another_merchant(shop):
    quote = await given_quote(shop)
    share = await shared(shop, quote)
    stranger = await shop.key_for(new_id())

    for path in ("", "/qr.svg", "/qr.png"):
        answer = await shop.call("GET", f"/v1/shared-quotes/{share['code']}{path}", key=stranger)
        assert (answer.status, answer.body["code"]) == (404, "shared-quote-unknown")
        assert share["quote_id"] not in str(answer.body)
    path = f"/v1/quotes/{quote['quote_id']}/share"
    answer = await shop.call("POST", path, {}, key=stranger)
    assert (answer.status, answer.body["code"]) == (404, "quote-unknown")
    shown = await shop.ok("GET", f"/v1/shared-quotes/{share['code']}", key=shop.operator)
    assert shown["code"] == share["code"]


async def test_other_codes_are_unknown(shop):
    for code in ("0" * 16, "0" * 15, "o" * 16, "..%2F..", "é"):
        for path in ("", "/qr.svg", "/qr.png"):
            answer = await shop.call("GET", f"/v1/shared-quotes/{code}{path}")
            assert (answer.status, answer.body["code"]) == (404, "shared-quote-unknown"), code


async def test_bad_input_and_missing_scopes_are_refused(shop):
    quote = await given_quote(shop)
    path = f"/v1/quotes/{quote['quote_id']}/share"
    bodies: list[Any] = [{"days": 0}, {"days": 91}, {"days": "7"}, {"code": "x"}, []]
    for body in bodies:
        answer = await shop.call("POST", path, body)
        assert (answer.status, answer.body["code"]) == (400, "malformed"), body
    answer = await shop.call("GET", "/v1/shared-quotes/%00")
    assert (answer.status, answer.body["code"]) == (400, "malformed")
    share = await shared(shop, quote)
    for query in ("module_px=0", "module_px=41", "module_px=x", "size=3"):
        answer = await shop.call("GET", f"{share['png_path']}?{query}")
        assert (answer.status, answer.body["code"]) == (400, "malformed"), query
    weak = await shop.key_for(shop.merchant_id, "plans:read")
    for method, target in (("POST", path), ("GET", f"/v1/shared-quotes/{share['code']}")):
        answer = await shop.call(method, target, {} if method == "POST" else None, key=weak)
        assert (answer.status, answer.body["code"]) == (403, "scope-missing")


async def test_the_images_say_the_address_and_may_be_kept(shop):
    share = await shared(shop)

    svg = await shop.call("GET", share["svg_path"])
    png = await shop.call("GET", f"{share['png_path']}?module_px=2")

    assert svg.headers["Content-Type"] == "image/svg+xml"
    assert png.headers["Content-Type"] == "image/png"
    for answer in (svg, png):
        assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"
    assert png_modules(png.body, 2) == expected(share["url"])
    assert svg.body == qr_svg(share["url"])


async def test_a_suspended_merchant_shows_no_quote(shop):
    share = await shared(shop)
    path = f"/v1/merchants/{shop.merchant_id}/suspension"
    await shop.ok("POST", path, {"reason": "抽查"}, key=shop.operator)

    answer = await shop.call("GET", f"/v1/shared-quotes/{share['code']}")

    assert (answer.status, answer.body["code"]) == (409, "merchant-not-approved")
