"""What billing answers over HTTP, to whom, and what it takes from the rails."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from deploy.sandbox import keys
from services.billing.contract import ChargeCollected
from services.billing.domain.instalment import InstalmentState
from services.signing.contract import Rail
from shared.api_keys import issue_key
from shared.ids import derived_id, new_id
from shared.rails.alipay_signing import canonical_text
from shared.rails.signer import RsaSigner
from shared.rails.wechatpay_v2 import build_xml, v2_signed
from tests.support.billing_builders import AMOUNT_FEN, MERCHANT
from tests.support.billing_world import BUYER, BillingWorld

FOREIGN = derived_id("merchant", "foreign")
READ, WRITE = "billing:read", "billing:write"


@dataclass
class Caller:
    world: BillingWorld
    keys: dict[str, str]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        who: str = "shop",
        body: Any = None,
        idempotency: str | None = None,
        data: bytes | None = None,
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.keys[who]}"} if who else {}
        if method == "POST" and idempotency != "":
            headers["Idempotency-Key"] = idempotency or str(new_id())
        if data is not None:
            headers["Content-Type"] = "application/json"
        url = f"{self.world.base_url}{path}"
        async with self.world.http.request(
            method, url, json=body if data is None else None, data=data, headers=headers
        ) as answer:
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def shop(world: BillingWorld) -> Caller:
    async with world.db.transaction() as conn:
        now = world.clock.now()
        made = {
            name: await issue_key(conn, tenant_id=tenant, scopes=scopes, name=name, now=now)
            for name, tenant, scopes in (
                ("shop", MERCHANT, [READ, WRITE]),
                ("foreign", FOREIGN, [READ, WRITE]),
                ("reader", MERCHANT, [READ]),
                ("operator", None, ["*"]),
            )
        }
    return Caller(world, made)


async def test_instalments_are_listed_page_by_page_and_shown(shop):
    agreement = await shop.world.signed(active=False)
    path = f"/v1/agreements/{agreement}/instalments"

    status, page = await shop.ask("GET", f"{path}?limit=2")
    assert (status, [one["seq"] for one in page["items"]]) == (200, [1, 2])
    status, rest = await shop.ask("GET", f"{path}?limit=2&cursor={page['next_cursor']}")
    assert ([one["seq"] for one in rest["items"]], rest["next_cursor"]) == ([3], None)

    instalment_id = page["items"][0]["instalment_id"]
    status, one = await shop.ask("GET", f"/v1/instalments/{instalment_id}")
    assert (status, one["amount_fen"]) == (200, AMOUNT_FEN)


async def test_what_is_foreign_unknown_or_odd_is_refused_everywhere(shop):
    agreement = await shop.world.signed(active=False)
    row = await shop.world.instalment(agreement)
    paths = [
        ("GET", f"/v1/agreements/{agreement}/instalments"),
        ("GET", f"/v1/instalments/{row.instalment_id}"),
        ("GET", f"/v1/instalments/{row.instalment_id}/explain"),
        ("POST", f"/v1/instalments/{row.instalment_id}/pay-link"),
    ]
    for method, path in paths:
        assert (await shop.ask(method, path, who="foreign"))[0] == 404
        unknown = path.replace(str(row.instalment_id), str(new_id()))
        unknown = unknown.replace(str(agreement), str(new_id()))
        assert (await shop.ask(method, unknown))[0] == 404
        odd = path.replace(str(row.instalment_id), "x").replace(str(agreement), "x")
        assert (await shop.ask(method, odd))[0] in {400, 404}
        assert (await shop.ask(method, path, who=""))[0] == 401
    payments = f"/v1/pay-links/{row.pay_token}/payments"
    assert (await shop.ask("POST", payments, who="foreign", body={}))[0] == 404
    hold = f"/v1/agreements/{agreement}/hold"
    assert (await shop.ask("PUT", hold, who="foreign", body={"reason": "hardship"}))[0] == 404
    assert (await shop.ask("POST", paths[3][1], who="reader"))[0] == 403
    assert (await shop.ask("GET", "/v1/unplaced-notifications"))[0] == 403


async def test_a_body_of_the_wrong_form_is_refused(shop):
    agreement = await shop.world.signed(active=False)
    row = await shop.world.instalment(agreement)
    path = f"/v1/pay-links/{row.pay_token}/payments"
    odd: list[Any] = [{"amount_fen": one} for one in ("x", 0, 1.5)] + [{"more": 1}, [], "x", None]
    for body in odd:
        status, problem = await shop.ask("POST", path, body=body)

        assert status in {400, 415}
        assert problem["code"] in {"malformed", "unsupported-media-type"}


async def test_a_payment_is_opened_once_whole_and_only_while_something_is_due(shop):
    agreement = await shop.world.signed(active=False)
    row = await shop.world.instalment(agreement)
    status, link = await shop.ask("POST", f"/v1/instalments/{row.instalment_id}/pay-link")
    assert (status, link["token"]) == (200, row.pay_token)
    path = f"/v1/pay-links/{link['token']}/payments"

    status, problem = await shop.ask("POST", path, body={"amount_fen": 1})
    assert (status, problem["code"]) == (422, "amount-differs")
    assert problem["amount_due_fen"] == AMOUNT_FEN

    status, payment = await shop.ask("POST", path, body={}, idempotency="a")
    assert (status, payment["rail"]) == (201, "alipay")
    assert (await shop.ask("POST", path, body={}, idempotency="a"))[1] == payment
    assert (await shop.ask("POST", path, body={}, idempotency="b"))[1] == payment
    other = await shop.ask("POST", path, body={"amount_fen": AMOUNT_FEN}, idempotency="a")
    assert (other[0], other[1]["code"]) == (422, "idempotency-key-reused")
    assert (await shop.ask("POST", path, body={}, idempotency=""))[0] == 400

    trade = {"trade_no": payment["client"]["tradeNO"]}
    await shop.world.ask("alipay", "POST", f"/users/{BUYER}/pay", trade)
    await shop.world.live(minutes=1)
    status, problem = await shop.ask("POST", path, body={})
    assert (status, problem["code"]) == (409, "nothing-to-pay")
    status, problem = await shop.ask("POST", f"/v1/instalments/{row.instalment_id}/pay-link")
    assert (status, problem["code"]) == (409, "nothing-to-pay")
    assert (await shop.ask("POST", "/v1/pay-links/unknown/payments", body={}))[0] == 404


async def test_the_story_of_an_instalment_tells_everything(shop):
    agreement = await shop.world.signed(periods=1)
    await shop.world.faulty("alipay", {"on": "pay", "do": "decline:PAYMENT_FAIL"})
    await shop.world.live(days=12)
    row = await shop.world.instalment(agreement)

    status, story = await shop.ask("GET", f"/v1/instalments/{row.instalment_id}/explain")

    assert status == 200
    assert {(one["kind"], one["channel"]) for one in story["notices"]} == {
        (kind, channel) for kind in ("advance", "reminder") for channel in ("sms", "mini_program")
    }
    assert [one["failure_code"] for one in story["attempts"]] == ["PAYMENT_FAIL", None]
    moves = [one["to_state"] for one in story["history"] if one["thing"] == "instalment"]
    assert moves == ["noticed", "collecting", "due", "collecting", "paid"]


async def test_a_hold_stops_charges_until_it_is_released(shop):
    agreement = await shop.world.signed(periods=1)
    path = f"/v1/agreements/{agreement}/hold"
    status, held = await shop.ask("PUT", path, body={"reason": "pet_claim"})
    assert (status, held["holds"]) == (200, ["pet_claim"])
    assert (await shop.ask("PUT", path, body={"reason": "Not A Code"}))[0] == 400

    await shop.world.live(days=20)
    assert shop.world.said(ChargeCollected) == []
    assert (await shop.world.instalment(agreement)).state is InstalmentState.DUE

    status, free = await shop.ask("POST", f"{path}/release", body={"reason": "pet_claim"})
    assert (status, free["holds"]) == (200, [])
    await shop.world.live(days=15)
    assert len(shop.world.said(ChargeCollected)) == 1


async def test_lists_are_empty_for_others_and_odd_cursors_are_refused(shop):
    agreement = await shop.world.signed(periods=3)
    decline = {"on": "pay", "do": "decline:PAYMENT_FAIL", "times": 3}
    await shop.world.faulty("alipay", decline)
    await shop.world.live(days=15)

    status, page = await shop.ask("GET", "/v1/tasks")
    assert [one["agreement_id"] for one in page["items"]] == [str(agreement)]
    assert (await shop.ask("GET", "/v1/tasks", who="foreign"))[1]["items"] == []
    assert (await shop.ask("GET", f"/v1/refunds?agreement_id={agreement}"))[1]["items"] == []
    for path in ("/v1/tasks", "/v1/refunds"):
        assert (await shop.ask("GET", f"{path}?cursor=odd"))[0] == 400
        assert (await shop.ask("GET", f"{path}?limit=0"))[0] == 400
    assert status == 200


def alipay_form(keys_dir, party: str = "alipay", **fields: str) -> bytes:
    whole = {
        "notify_type": "trade_status_sync",
        "notify_id": "n1",
        "app_id": keys.secret(keys_dir, "alipay_app_id"),
        "charset": "utf-8",
        "out_trade_no": "UNKNOWN00000001",
        "trade_no": "2027030122000001",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "199.00",
        "gmt_payment": "2027-03-01 10:00:00",
    } | fields
    sign = RsaSigner(keys.private_pem(keys_dir, party)).sign(canonical_text(whole).encode())
    return urlencode(whole | {"sign": sign, "sign_type": "RSA2"}).encode()


async def post(world, path: str, body: bytes, headers: dict[str, str] | None = None):
    url = f"{world.base_url}/webhooks/{path}"
    async with world.http.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.text()


async def verdicts(world) -> list[tuple[str, str | None]]:
    async with world.db.connection() as conn:
        rows = await conn.fetch("SELECT verdict, reason FROM webhook_inbox ORDER BY received_at")
    return [(row["verdict"], row["reason"]) for row in rows]


async def test_alipay_news_is_checked_kept_and_answered_in_its_own_words(shop, keys_dir):
    world = shop.world
    assert await post(world, "alipay", alipay_form(keys_dir, "nobody")) == (401, "fail")
    assert await post(world, "alipay", alipay_form(keys_dir)) == (200, "success")
    assert await post(world, "alipay", alipay_form(keys_dir)) == (200, "success")
    other = alipay_form(keys_dir, app_id="2021999999999999", notify_id="n2")
    assert await post(world, "alipay", other) == (200, "success")
    odd = alipay_form(keys_dir, total_amount="many", notify_id="n3")
    assert await post(world, "alipay", odd) == (200, "success")

    assert sorted(await verdicts(world), key=str) == [
        ("rejected", "bad-signature"),
        ("unplaced", "not_our_account"),
        ("unplaced", "not_our_account"),
        ("unplaced", "unknown_trade"),
    ]
    status, page = await shop.ask("GET", "/v1/unplaced-notifications", who="operator")
    assert (status, len(page["items"])) == (200, 3)


async def test_a_wrong_amount_is_never_booked_and_a_person_is_asked(shop, keys_dir):
    world = shop.world
    agreement = await world.signed(periods=1)
    await world.faulty("alipay", {"on": "pay", "do": "hide_answer"})
    await world.faulty("alipay", {"on": "notify", "do": "wrong_amount"}, account=BUYER)
    await world.live(days=12)

    # The query tells the right amount in the end.
    assert (await world.instalment(agreement)).state is InstalmentState.PAID
    row = await world.instalment(agreement)
    (attempt,) = await world.attempts(row)
    wrong = alipay_form(
        keys_dir, out_trade_no=attempt.trade_no, total_amount="199.01", notify_id="n9"
    )
    assert (await post(world, "alipay", wrong))[0] == 200
    assert ("unplaced", "amount_differs") in await verdicts(world)
    assert len(world.said(ChargeCollected)) == 1


async def test_garbage_is_refused_without_an_error_of_ours(world):
    for path in ("alipay", "wechatpay/papay", "wechatpay/pay", "wechatpay/refund"):
        for body in (b"", b"\xff\xfe", b"{}", b"<xml>", b"a=b&sign=x", b"<!DOCTYPE x><xml/>"):
            assert (await post(world, path, body))[0] == 401, (path, body)


async def test_too_much_is_refused(world):
    status, _ = await post(world, "alipay", b"a" * 300_000)

    assert status in {413, 500}
    assert await verdicts(world) == []


async def test_a_deduction_told_in_any_order_and_often_is_one_payment(world, keys_dir):
    agreement = await world.signed(periods=1, rail=Rail.WECHATPAY)
    await world.faulty(
        "wechatpay", {"on": "notify", "do": "duplicate"}, {"on": "notify", "do": "reorder"}
    )
    await world.live(days=12)
    row = await world.instalment(agreement)
    (attempt,) = await world.attempts(row)
    late = v2_signed(
        {
            "mch_id": keys.secret(keys_dir, "wechat_mchid"),
            "out_trade_no": attempt.trade_no,
            "trade_state": "PAY_FAIL",
            "err_code": "NOTENOUGH",
        },
        keys.secret(keys_dir, "wechat_apiv2_key"),
    )

    status, text = await post(world, "wechatpay/papay", build_xml(late))

    assert (status, "SUCCESS" in text) == (200, True)
    assert row.state is InstalmentState.PAID
    assert len(world.said(ChargeCollected)) == 1


async def test_an_old_v3_callback_is_refused(world, keys_dir):
    headers = {
        "Wechatpay-Timestamp": "1600000000",
        "Wechatpay-Nonce": "n",
        "Wechatpay-Signature": "AAAA",
        "Wechatpay-Serial": keys.secret(keys_dir, "wechat_platform_serial"),
    }

    status, _ = await post(world, "wechatpay/refund", b"{}", headers)

    assert status == 401
