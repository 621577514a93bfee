"""What providers send, and what strangers send in their name."""

import pytest

from shared.rails.wechatpay_v2 import build_xml, v2_signed
from tests.support.signing_builders import NOON, PAYERS

PATHS = [
    "/webhooks/alipay",
    "/webhooks/wechatpay/contracts",
    "/webhooks/esign",
    "/webhooks/bankcard/contracts",
]
GARBAGE = [b"", b"\xff\xfe\x00", b"{", b"<xml>", b"a=b&sign=c", b"<!DOCTYPE x><xml/>", b"[]"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("raw", GARBAGE)
async def test_garbage_is_refused_in_the_providers_form_and_kept(world, path, raw):
    async with world.client.post(path, data=raw) as answer:
        assert answer.status == 401
    async with world.db.connection() as conn:
        assert await conn.fetchval("SELECT verdict FROM webhook_inbox") == "rejected"


async def test_a_bad_signature_changes_nothing_and_the_next_send_counts(shop):
    application_id = await shop.signed()
    steps = [{"on": "notify", "do": "bad_signature", "times": 1}]
    path = "/_sandbox/faults/2088000000000001"
    await shop.sandbox("alipay", "PUT", path, {"steps": steps})

    await shop.grant(application_id, await shop.invited(application_id))
    early = (await shop.ok("GET", f"/v1/applications/{application_id}"))["state"]
    await shop.pass_time(minutes=5)

    assert early == "signed"
    standing = await shop.ok("GET", f"/v1/applications/{application_id}")
    assert standing["state"] == "completed"


@pytest.mark.parametrize("rail", ["alipay", "wechatpay", "bankcard"])
async def test_a_duplicated_notification_signs_once(shop, rail):
    steps = [{"on": "notify", "do": "duplicate", "times": 1}]
    user = PAYERS[rail]
    await shop.sandbox(rail, "PUT", f"/_sandbox/faults/{user}", {"steps": steps})

    await shop.agreement(rail)

    assert (await shop.said()).count("agreement.signed.v1") == 1


@pytest.mark.parametrize("rail", ["alipay", "wechatpay", "bankcard"])
async def test_a_lost_notification_is_made_up_for_by_asking(shop, rail):
    application_id = await shop.signed(rail)
    steps = [{"on": "notify", "do": "drop", "times": 9}]
    user = PAYERS[rail]
    await shop.sandbox(rail, "PUT", f"/_sandbox/faults/{user}", {"steps": steps})
    await shop.grant(application_id, await shop.invited(application_id))

    await shop.pass_time(seconds=5)

    standing = await shop.ok("GET", f"/v1/applications/{application_id}")
    assert standing["state"] == "completed"


@pytest.mark.parametrize("change", [{"operate_time": "soon"}, {"operate_time": ""}])
async def test_genuine_news_that_make_no_sense_are_kept_for_a_person(world, change):
    config = world.deps.wechat_mandates._client.config
    fields = {
        "return_code": "SUCCESS",
        "result_code": "SUCCESS",
        "mch_id": config.mchid,
        "contract_code": "YF00000000UNKNOWN",
        "contract_id": "1",
        "change_type": "DELETE",
    }
    raw = build_xml(v2_signed(fields | change, config.apiv2_key))

    async with world.client.post(PATHS[1], data=raw) as answer:
        assert answer.status == 200

    async with world.db.connection() as conn:
        row = await conn.fetchrow("SELECT verdict, body FROM webhook_inbox")
    assert (row["verdict"], row["body"]) == ("unplaced", raw)


async def test_an_unknown_contract_is_taken_and_kept_for_a_person(world):
    config = world.deps.wechat_mandates._client.config
    fields = {
        "return_code": "SUCCESS",
        "result_code": "SUCCESS",
        "mch_id": config.mchid,
        "contract_code": "YF00000000UNKNOWN",
        "contract_id": "1",
        "openid": "o",
        "change_type": "ADD",
        "operate_time": "2027-03-01 12:00:00",
    }
    raw = build_xml(v2_signed(fields, config.apiv2_key))

    for _ in range(2):
        async with world.client.post(PATHS[1], data=raw) as answer:
            assert answer.status == 200
            assert b"SUCCESS" in await answer.read()

    async with world.db.connection() as conn:
        rows = await conn.fetch("SELECT verdict, received_at FROM webhook_inbox")
    assert [(row["verdict"], row["received_at"]) for row in rows] == [("unplaced", NOON)]
