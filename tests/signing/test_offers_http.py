"""A plan that gives and asks: drafted, quoted, shown, printed, signed and told to the others."""

import io
from datetime import date, timedelta

import orjson
from pypdf import PdfReader

from services.signing.store import agreements
from tests.support.signing_builders import plan_body

OFFER = {"first_month_half": True, "free_periods": [12], "down_payment_fen": 18_800}
LATE = {"rate_ppm_per_day": 300, "grace_days": 3, "cap_per_mille": 50}


REFUSED = (
    ({"offer": {"down_payment_fen": 358_800}}, 422, "down-payment-too-large"),
    ({"offer": {"free_periods": [13]}}, 422, "free-months-invalid"),
    ({"offer": {"free_periods": [1], "first_month_half": True}}, 422, "offers-collide"),
    ({"offer": {"interest_free_months": 1}}, 422, "interest-free-invalid"),
    ({"offer": {"discount_fen": 29_900}}, 422, "discount-too-large"),
    ({"overdue_penalty": LATE}, 422, "overdue-penalty-forbidden"),
    ({"offer": {"discount_fen": -1}}, 400, "malformed"),
    ({"offer": {"down_payment_per_mille": 1000}}, 400, "malformed"),
    ({"offer": {"gift": 1}}, 400, "malformed"),
    ({"offer": {"round_to_fen": 10}}, 400, "malformed"),
    ({"overdue_penalty": LATE | {"cap_per_mille": 1001}}, 400, "malformed"),
)


def offered(**changes):
    return plan_body(periods=12, bundle_fen=19_900, offer=OFFER, **changes)


async def quoted(shop, plan_id, rail="alipay"):
    asked = {"plan_id": plan_id, "plan_version": 1, "rail": rail, "charge_day": 15}
    return await shop.ok("POST", "/v1/quotes", asked)


async def told(shop, subject):
    async with shop.db.connection() as conn:
        body = await conn.fetchval(
            "SELECT body FROM outbox WHERE subject = $1 ORDER BY seq DESC LIMIT 1", subject
        )
    return orjson.loads(body)


async def test_a_quote_shows_every_line_to_the_fen(shop):
    plan_id = await shop.publish(offered())

    quote = await quoted(shop, plan_id)

    down, first, *middle, last = quote["instalments"]
    assert (down["seq"], down["amount_fen"]) == (0, 18_800)
    assert (first["amount_fen"], last["amount_fen"]) == (14_166, 0)
    assert [(line["kind"], line["amount_fen"]) for line in first["lines"]] == [
        ("base", 28_333),
        ("first_month_half", -14_167),
    ]
    assert [(line["kind"], line["amount_fen"]) for line in last["lines"]] == [
        ("base", 28_337),
        ("free_month", -28_337),
    ]
    assert {one["amount_fen"] for one in middle} == {28_333}
    for one in quote["instalments"]:
        assert one["amount_fen"] == sum(line["amount_fen"] for line in one["lines"])
    total_fen = sum(one["amount_fen"] for one in quote["instalments"])
    assert quote["total_fen"] == total_fen == 358_800 - 14_167 - 28_337
    assert (quote["down_payment_fen"], quote["bonus_fen"]) == (18_800, 42_504)
    due_on = date.fromisoformat(first["due_on"]) - timedelta(days=4)
    assert date.fromisoformat(down["due_on"]) == due_on


async def test_what_was_drafted_is_shown_again(shop):
    plan = await shop.ok("POST", "/v1/plans", offered())

    shown = await shop.ok("GET", f"/v1/plans/{plan['plan_id']}/versions/1")

    assert shown["offer"] == {
        "discount_fen": 0,
        "interest_free_months": 0,
        "down_payment_per_mille": 0,
        "round_to_fen": 1,
        **OFFER,
    }
    assert (shown["total_fen"], shown["payable_fen"]) == (358_800, 316_296)
    assert shown["overdue_penalty"] is None


async def test_what_cannot_be_kept_is_refused_and_nothing_is_drafted(shop):
    before = await shop.ok("GET", "/v1/plans")
    for changes, status, code in REFUSED:
        answer = await shop.call("POST", "/v1/plans", plan_body(**changes))

        assert (answer.status, answer.body["code"]) == (status, code), changes
    assert await shop.ok("GET", "/v1/plans") == before


async def test_the_rail_must_take_what_it_will_be_asked_and_no_more(shop):
    """A down payment above the rail's ceiling for withholding is paid by hand all the same."""
    changes = {"periods": 3, "monthly_fen": 60_000, "auto_ship": False, "bundles": []}
    body = plan_body(**changes, bundle_fen=0, offer={"down_payment_fen": 90_000})
    plan_id = await shop.publish(body)

    quote = await quoted(shop, plan_id, rail="wechatpay")

    assert [one["amount_fen"] for one in quote["instalments"]] == [90_000] + [30_000] * 3


async def test_the_agreement_and_everybody_else_hear_the_lines(shop):
    plan_id = await shop.publish(offered())
    agreement = await shop.agreement(plan_id=plan_id)

    signed = await told(shop, "signing.agreement.signed.v1")
    granted = await told(shop, "signing.mandate.granted.v1")

    assert [one["seq"] for one in signed["instalments"]] == list(range(13))
    assert signed["instalments"] == agreement["instalments"]
    assert signed["total_fen"] == agreement["total_fen"] == 316_296
    assert signed["overdue_penalty"] is None
    # The rail lets us take what it will be asked for, not what is paid by hand.
    assert granted["ceiling_fen"] == 28_333
    async with shop.db.connection() as conn:
        broken = await agreements.invariants(conn, now=shop.clock.now())
    assert broken == dict.fromkeys(broken, 0)


async def test_the_document_says_what_is_given_and_what_being_late_costs(shop):
    body = offered(legal_type="instalment_sale", overdue_penalty=LATE)
    plan_id = await shop.publish(body)
    application_id, preview = await shop.previewed(plan_id=plan_id)

    answer = await shop.call("GET", f"/v1/applications/{application_id}/preview.pdf")

    pages = PdfReader(io.BytesIO(answer.body)).pages
    text = "".join(page.extract_text() for page in pages).replace("\n", "")
    for words in (
        "首付款 188.00 元",
        "自行支付，不自动扣款",
        "第 12 期免收",
        "首月半价 -141.67 元",
        "应付 141.66 元",
        "甲方让利 425.04 元",
        "合计 3162.96 元",
        "逾期超过 3 日",
        "每日万分之 3 ",
        "不超过逾期本金的 5 %",
        "除本条载明的逾期违约金外无其他费用",
    ):
        assert words in text, words
    assert preview["instalments"][0]["seq"] == 0


async def test_a_plain_plan_says_that_being_late_costs_nothing(shop):
    application_id, _ = await shop.previewed()

    answer = await shop.call("GET", f"/v1/applications/{application_id}/preview.pdf")

    pages = PdfReader(io.BytesIO(answer.body)).pages
    text = "".join(page.extract_text() for page in pages).replace("\n", "")
    assert "逾期不收违约金" in text
    assert "首付款" not in text
