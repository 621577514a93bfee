"""What fulfillment answers over HTTP, to whom, and what it refuses."""

from dataclasses import dataclass
from typing import Any

import pytest

from shared.api_keys import issue_key
from shared.ids import derived_id, new_id
from tests.support.fulfillment_builders import (
    AGREEMENT,
    CUSTOMER,
    MERCHANT,
    TEN,
    FulfillmentForTests,
    a_funding,
    a_pet,
    china,
    shipment_of,
)

FOREIGN = derived_id("merchant", "foreign")
SCOPES = [
    "catalogue:read",
    "catalogue:write",
    "shipments:read",
    "shipments:write",
    "webhooks:read",
    "webhooks:write",
]
A_SKU = {"sku": "NEW-1", "name": "新粮", "supply_cost_fen": 4000, "allergens": ["beef"]}


@dataclass
class Door:
    """The API with the keys of a merchant, of a foreign one, of nobody's scopes, and ours."""

    shop: FulfillmentForTests
    key: str
    foreign: str
    narrow: str
    operator: str

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        once: str | None = None,
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        if method == "POST":
            headers["Idempotency-Key"] = once or str(new_id())
        async with self.shop.http.request(
            method, self.shop.url + path, json=body, headers=headers
        ) as answer:
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, await answer.json()


@pytest.fixture
async def door(shop: FulfillmentForTests) -> Door:
    async with shop.db.transaction() as conn:
        keys = [
            await issue_key(conn, tenant_id=tenant, scopes=scopes, name="key", now=TEN)
            for tenant, scopes in (
                (MERCHANT, SCOPES),
                (FOREIGN, SCOPES),
                (MERCHANT, ["other:read"]),
                (None, SCOPES),
            )
        ]
    return Door(shop, *keys)


async def test_a_sku_is_added_changed_and_listed_with_its_merchant_only(door):
    status, added = await door.ask("POST", "/v1/skus", A_SKU)
    assert (status, added["sku"], added["active"]) == (201, "NEW-1", True)

    changed = {"name": "新粮", "supply_cost_fen": 3900, "active": False}
    assert (await door.ask("PUT", "/v1/skus/NEW-1", changed))[0] == 200

    _, mine = await door.ask("GET", "/v1/skus")
    _, theirs = await door.ask("GET", "/v1/skus", key=door.foreign)
    assert [(one["sku"], one["supply_cost_fen"]) for one in mine["items"]] == [("NEW-1", 3900)]
    assert theirs["items"] == []
    assert (await door.ask("PUT", "/v1/skus/NEW-1", changed, key=door.foreign))[0] == 404


async def test_the_same_sku_again_is_the_same_and_another_is_a_conflict(door):
    await door.ask("POST", "/v1/skus", A_SKU)

    assert (await door.ask("POST", "/v1/skus", A_SKU))[0] == 201
    status, problem = await door.ask("POST", "/v1/skus", A_SKU | {"supply_cost_fen": 1})
    assert (status, problem["code"]) == (409, "sku-exists")


async def test_the_catalogue_is_read_page_by_page(door):
    await door.shop.stock_the_catalogue()

    _, first = await door.ask("GET", "/v1/skus?limit=4")
    _, rest = await door.ask("GET", f"/v1/skus?limit=4&cursor={first['next_cursor']}")

    codes = [one["sku"] for one in first["items"] + rest["items"]]
    assert codes == sorted(codes)
    assert (len(codes), rest["next_cursor"]) == (6, None)


async def test_an_idempotency_key_is_one_request(door):
    first = await door.ask("POST", "/v1/skus", A_SKU, once="k1")

    assert await door.ask("POST", "/v1/skus", A_SKU, once="k1") == first
    status, problem = await door.ask("POST", "/v1/skus", A_SKU | {"sku": "B"}, once="k1")
    assert (status, problem["code"]) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    ("sku", "by", "status", "code"),
    [
        ("ADULT", "ADULT-FISH", 201, None),
        ("ADULT", "ADULT-GOLD", 422, "substitute-forbidden"),
        ("ADULT", "ADULT", 422, "substitute-forbidden"),
        ("ADULT", "NOWHERE", 404, "sku-unknown"),
        ("NOWHERE", "ADULT", 404, "sku-unknown"),
    ],
)
async def test_a_substitute_costs_no_more(door, sku, by, status, code):
    await door.shop.stock_the_catalogue()

    answer, body = await door.ask("POST", "/v1/substitutes", {"sku": sku, "by_sku": by})

    assert (answer, body.get("code")) == (status, code)


async def test_foreign_skus_cannot_be_substitutes(door):
    await door.shop.stock_the_catalogue()

    pair = {"sku": "ADULT", "by_sku": "ADULT-FISH"}
    status, problem = await door.ask("POST", "/v1/substitutes", pair, key=door.foreign)

    assert (status, problem["code"]) == (404, "sku-unknown")


BAD = [
    ("/v1/skus", {}),
    ("/v1/skus", A_SKU | {"supply_cost_fen": "4000"}),
    ("/v1/skus", A_SKU | {"supply_cost_fen": -1}),
    ("/v1/skus", A_SKU | {"sku": "带空格 的"}),
    ("/v1/skus", A_SKU | {"unknown": 1}),
    ("/v1/substitutes", {"sku": "ADULT"}),
    ("/v1/substitutes", {"sku": 1, "by_sku": None}),
    (f"/v1/shipments/{shipment_of(1)}/swaps", {"sku": "ADULT"}),
    ("/v1/shipments/no-id/swaps", {"sku": "ADULT", "by_sku": "YOUNG"}),
]


@pytest.mark.parametrize(("path", "body"), BAD)
async def test_wrong_types_and_missing_fields_are_malformed(door, path, body):
    status, problem = await door.ask("POST", path, body)

    assert status in {400, 404}
    assert problem["code"] in {"malformed", "not-found", "path-unknown"}


ALL = [
    ("GET", "/v1/skus", None),
    ("POST", "/v1/skus", A_SKU),
    ("PUT", "/v1/skus/NEW-1", {"name": "x", "supply_cost_fen": 1}),
    ("POST", "/v1/substitutes", {"sku": "A", "by_sku": "B"}),
    ("GET", "/v1/shipments", None),
    ("GET", f"/v1/shipments/{shipment_of(1)}", None),
    ("POST", f"/v1/shipments/{shipment_of(1)}/swaps", {"sku": "A", "by_sku": "B"}),
    ("GET", "/v1/unplaced-webhooks", None),
    ("POST", f"/v1/unplaced-webhooks/{shipment_of(1)}/placed", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ALL)
async def test_nobody_enters_without_key_and_scope(door, method, path, body):
    assert (await door.ask(method, path, body, key="yf_live_nobody_x"))[0] == 401
    assert (await door.ask(method, path, body, key=door.narrow))[0] == 403


async def test_shipments_are_listed_filtered_and_paged(door):
    await door.shop.sign()
    for seq in range(1, 4):
        await door.shop.hear(a_funding(seq))
        door.shop.clock.advance(minutes=1)

    _, first = await door.ask("GET", f"/v1/shipments?limit=2&agreement_id={AGREEMENT}")
    _, rest = await door.ask("GET", f"/v1/shipments?limit=2&cursor={first['next_cursor']}")
    assert [one["seq"] for one in first["items"] + rest["items"]] == [1, 2, 3]

    for query, count in (
        (f"customer_id={CUSTOMER}&state=planned", 3),
        ("state=delivered", 0),
        (f"customer_id={new_id()}", 0),
        (f"agreement_id={new_id()}", 0),
    ):
        _, page = await door.ask("GET", f"/v1/shipments?{query}")
        assert len(page["items"]) == count

    assert (await door.ask("GET", "/v1/shipments?state=flying"))[1]["code"] == "state-unknown"
    assert (await door.ask("GET", "/v1/shipments?cursor=garbage"))[1]["code"] == "cursor-invalid"
    _, theirs = await door.ask("GET", "/v1/shipments", key=door.foreign)
    assert theirs["items"] == []


async def test_a_delivered_shipment_shows_its_track_and_history(door):
    await door.shop.sign()
    await door.shop.hear(a_funding())
    await door.shop.move_to(china(3, 7))

    status, shown = await door.ask("GET", f"/v1/shipments/{shipment_of(1)}")

    assert (status, shown["state"], shown["stage"]) == (200, "delivered", "adult")
    assert [one["sku"] for one in shown["items"]] == ["ADULT", "LITTER"]
    (parcel,) = shown["parcels"]
    assert parcel["track"][0]["state"] == "delivered"
    assert [one["state"] for one in shown["history"]] == [
        "planned",
        "reminded",
        "pushed",
        "accepted",
        "dispatched",
        "delivered",
    ]
    assert "138" not in str(shown["parcels"])


async def test_a_foreign_or_unknown_shipment_is_not_there(door):
    await door.shop.sign()
    await door.shop.hear(a_funding())
    path = f"/v1/shipments/{shipment_of(1)}"
    swap = {"sku": "ADULT", "by_sku": "YOUNG"}

    for answer in (
        await door.ask("GET", path, key=door.foreign),
        await door.ask("GET", f"/v1/shipments/{new_id()}"),
        await door.ask("POST", f"{path}/swaps", swap, key=door.foreign),
        await door.ask("POST", f"/v1/shipments/{new_id()}/swaps", swap),
    ):
        assert (answer[0], answer[1]["code"]) == (404, "shipment-unknown")


async def test_a_wish_is_sent_and_after_the_reminder_it_is_too_late(door):
    await door.shop.stock_the_catalogue()
    await door.shop.allow_substitute("ADULT", "ADULT-FISH")
    await door.shop.sign()
    await door.shop.hear(a_funding())
    path = f"/v1/shipments/{shipment_of(1)}/swaps"

    status, shown = await door.ask("POST", path, {"sku": "ADULT", "by_sku": "ADULT-FISH"})
    assert (status, shown["swaps"]) == (200, {"ADULT": "ADULT-FISH"})
    await door.shop.move_to(china(3, 3, 10))

    assert await door.shop.skus_of() == ["ADULT-FISH", "LITTER"]
    status, problem = await door.ask("POST", path, {"sku": "ADULT", "by_sku": "YOUNG"})
    assert (status, problem["code"]) == (409, "contents-fixed")


@pytest.mark.parametrize(
    ("by", "why"), [("ADULT-GOLD", "dearer"), ("YOUNG", "allergy"), ("NOWHERE", "not-available")]
)
async def test_a_wish_beyond_the_agreement_is_refused(door, by, why):
    await door.shop.sign(allergies=("salmon",))
    await door.shop.hear(a_funding())

    path = f"/v1/shipments/{shipment_of(1)}/swaps"
    status, problem = await door.ask("POST", path, {"sku": "ADULT", "by_sku": by})

    assert (status, problem["code"], problem["why"]) == (422, "swap-forbidden", why)


async def test_a_pet_that_became_allergic_gets_nothing_that_harms(door):
    await door.shop.sign()
    await door.shop.hear(a_funding())
    await door.shop.hear(a_pet(allergies=("chicken",), occurred_at=door.shop.clock.now()))
    await door.shop.hear(a_pet(allergies=("chicken",), occurred_at=china(3, 2, 11)))

    await door.shop.move_to(china(3, 3, 10))

    assert await door.shop.skus_of() == ["LITTER"]


async def test_unplaced_calls_are_the_operators_business(door):
    status, problem = await door.ask("GET", "/v1/unplaced-webhooks")
    assert (status, problem["code"]) == (403, "operator-needed")
    status, page = await door.ask("GET", "/v1/unplaced-webhooks", key=door.operator)
    assert (status, page["items"]) == (200, [])
    path = f"/v1/unplaced-webhooks/{new_id()}/placed"
    assert (await door.ask("POST", path, key=door.operator))[0] == 404
