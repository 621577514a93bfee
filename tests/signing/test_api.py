"""The interface says no in one form, and nobody sees what is another's."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared.ids import new_id
from tests.support.signing_builders import merchant_body, plan_body

UNKNOWN = "0192d6a0-0000-7000-8000-000000000000"

READS = [
    "/v1/applications/{id}",
    "/v1/applications/{id}/preview.pdf",
    "/v1/agreements/{id}",
    "/v1/agreements/{id}/document.pdf",
    "/v1/agreements/{id}/evidence",
    "/v1/agreements/{id}/history",
    "/v1/customers/{id}",
    "/v1/merchants/{id}",
    "/v1/plans/{id}/versions/1",
]
SIGNATURE = {"clauses_shown_ms": {}, "device": "x", "ip": "203.0.113.7"}
CONSENT = {"kind": "personal_data", "text_version": "1", "agreed": True, "shown_ms": 1}
WRITES = [
    ("/v1/applications/{id}/consents", {"consents": [CONSENT]}),
    ("/v1/applications/{id}/identity", None),
    ("/v1/applications/{id}/identity/result", None),
    ("/v1/applications/{id}/credit", None),
    ("/v1/applications/{id}/review", {"approve": True, "reason": "x"}),
    ("/v1/applications/{id}/preview", None),
    ("/v1/applications/{id}/signature", SIGNATURE),
    ("/v1/applications/{id}/signature/result", None),
    (
        "/v1/applications/{id}/mandate",
        {"agreed": True, "screen_version": "1", "shown_ms": 1},
    ),
    ("/v1/applications/{id}/mandate/result", None),
    ("/v1/applications/{id}/withdrawal", None),
    ("/v1/agreements/{id}/cancellation", None),
    ("/v1/agreements/{id}/termination", {"reason": "pet_lost"}),
    ("/v1/plans/{id}/versions", plan_body()),
    ("/v1/plans/{id}/versions/1/publication", None),
    ("/v1/merchants/{id}/approval", {"reason": ""}),
]


async def test_unknown_and_foreign_ids_are_not_found_anywhere(shop):
    agreement = await shop.agreement()
    stranger = await shop.key_for(new_id())
    own = {
        "applications": agreement["application_id"],
        "agreements": agreement["agreement_id"],
        "customers": agreement["customer_id"],
        "merchants": str(shop.merchant_id),
        "plans": agreement["plan_id"],
    }
    calls: list[tuple[str, str, Any]] = [("GET", path, None) for path in READS]
    calls += [("POST", path, body) for path, body in WRITES]

    for method, path, body in calls:
        foreign = path.format(id=own[path.split("/")[2]])
        for target, key in ((path.format(id=UNKNOWN), shop.shop), (foreign, stranger)):
            answer = await shop.call(method, target, body, key=key)
            assert answer.status == 404, (method, target, answer.body)
            assert answer.headers["Content-Type"].startswith("application/problem+json")


async def test_lists_show_only_ones_own_and_go_on(shop):
    for _ in range(3):
        await shop.applied()
    await shop.publish(plan_body(name="另一个"))
    stranger = await shop.key_for(new_id())

    for path, total in (("/v1/applications", 3), ("/v1/plans", 2), ("/v1/agreements", 0)):
        assert (await shop.ok("GET", path, key=stranger))["items"] == []
        first = await shop.ok("GET", f"{path}?limit=2")
        assert len(first["items"]) == min(total, 2)
        if total > 2:
            rest = await shop.ok("GET", f"{path}?limit=2&cursor={first['next_cursor']}")
            assert len(rest["items"]) == total - 2
            assert rest["next_cursor"] is None


async def test_bodies_of_the_wrong_form_are_malformed(shop):
    whole = shop.application_body()
    for name in whole:
        for spoilt in ({key: whole[key] for key in whole if key != name}, whole | {name: [[]]}):
            answer = await shop.call("POST", "/v1/applications", spoilt)
            assert (answer.status, answer.body["code"]) == (400, "malformed"), name
    answer = await shop.call("POST", "/v1/applications", whole | {"colour": "red"})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"charge_day": 29}, "charge-day-not-on-rail"),
        ({"customer": {"id_number": "310101199801011234"}}, "id-number-invalid"),
        ({"customer": {"id_number": "110101202001010015"}}, "id-number-invalid"),
        ({"customer": {"phone": "010-12345678"}}, "phone-invalid"),
        ({"customer": {"alipay_user_id": ""}}, "payer-missing"),
    ],
)
async def test_what_can_never_be_signed_is_rejected(shop, changes, code):
    answer = await shop.call("POST", "/v1/applications", shop.application_body(**changes))

    assert (answer.status, answer.body["code"]) == (422, code)
    assert "13800138000" not in str(answer.body)


async def test_an_allowed_day_is_named(shop):
    answer = await shop.call("POST", "/v1/applications", shop.application_body(charge_day=31))
    assert answer.body["allowed_days"] == list(range(1, 29))
    assert await shop.applied("wechatpay", charge_day=31)


async def test_a_repeated_key_gives_the_same_answer_and_one_application(shop):
    body = shop.application_body()
    first = await shop.call("POST", "/v1/applications", body, idempotency_key="k1")
    again = await shop.call("POST", "/v1/applications", body, idempotency_key="k1")
    other = await shop.call(
        "POST", "/v1/applications", body | {"charge_day": 3}, idempotency_key="k1"
    )

    assert (first.status, again.status, other.status) == (201, 201, 422)
    assert first.body == again.body
    assert other.body["code"] == "idempotency-key-reused"
    assert len((await shop.ok("GET", "/v1/applications"))["items"]) == 1


async def test_a_merchant_must_be_approved_first(world):
    body = merchant_body(merchant_id=str(world.merchant_id))
    await world.ok("POST", "/v1/merchants", body, key=world.operator)
    world.shop = await world.key_for(world.merchant_id)
    plan = await world.ok("POST", "/v1/plans", plan_body())
    path = f"/v1/plans/{plan['plan_id']}/versions/1/publication"

    answer = await world.call("POST", path)

    assert (answer.status, answer.body["code"]) == (409, "merchant-not-approved")


async def test_a_published_version_stands(shop):
    path = f"/v1/plans/{shop.plan_id}/versions"
    again = await shop.call("POST", f"{path}/1/publication")
    second = await shop.ok("POST", path, plan_body(monthly_fen=30000))

    assert (again.status, again.body["code"]) == (409, "plan-version-published")
    assert second["version"] == 2
    assert (await shop.ok("GET", f"{path}/1"))["monthly_fen"] == 29900
    async with shop.db.connection() as conn:
        changed = conn.execute(
            "UPDATE plan_versions SET total_fen = 1 WHERE plan_id = $1 AND version = 1",
            UUID(shop.plan_id),
        )
        with pytest.raises(asyncpg.RestrictViolationError, match="never changes"):
            await changed


async def test_figures_that_do_not_fit_are_refused(shop):
    dear = [{"name": "粮", "list_price_fen": 1, "deal_price_fen": 2}]
    for changes, code in (
        ({"bundle_fen": 30000}, "plan-invalid"),
        ({"bundles": []}, "plan-invalid"),
        ({"price_card": dear}, "plan-invalid"),
        ({"cash_price_fen": 300_000}, "rate-above-cap"),
        ({"legal_type": "instalment_sale", "periods": 18}, "plan-invalid"),
    ):
        answer = await shop.call("POST", "/v1/plans", plan_body(**changes))
        assert (answer.status, answer.body["code"]) == (422, code), changes


async def test_a_quote_adds_up_to_the_fen(shop):
    body = plan_body(periods=12, total_fen=500_000, bundle_fen=0, bundles=[], auto_ship=False)
    del body["monthly_fen"]
    plan_id = await shop.publish(body)
    asked = {"plan_id": plan_id, "plan_version": 1, "rail": "wechatpay", "charge_day": 31}

    quote = await shop.ok("POST", "/v1/quotes", asked)

    amounts = [line["amount_fen"] for line in quote["instalments"]]
    assert amounts == [41_666] * 11 + [41_674]
    assert quote["total_fen"] == sum(amounts) == 500_000
    assert quote["effective_percent"] == "0.000"
    assert quote["instalments"][0]["due_on"] == "2027-03-31"
    assert quote["instalments"][1]["due_on"] == "2027-04-30"


async def test_an_individual_business_is_not_offered_wechat(world):
    await world.open_shop(legal_kind="individual_business")

    answer = await world.call("POST", "/v1/applications", world.application_body("wechatpay"))

    assert (answer.status, answer.body["code"]) == (422, "rail-not-for-merchant")


async def test_a_changed_address_reaches_the_warehouse_sealed(shop):
    agreement = await shop.agreement()
    await shop.said()
    path = f"/v1/customers/{agreement['customer_id']}"

    shown = await shop.ok("PUT", f"{path}/contact", {"address": "新路9号"})
    await shop.ok("PUT", f"{path}/contact", {"address": "新路9号"})

    assert (shown["name"], shown["phone"]) == ("王**", "138****8000")
    assert await shop.said() == ["customer.contact_changed.v1"]
