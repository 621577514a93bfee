"""A customer signs, step by step, through the interface and the providers' own formats."""

import io
from datetime import datetime, timedelta

import asyncpg
import pytest
from pypdf import PdfReader

from tests.support.signing_builders import NOON, an_applicant


@pytest.mark.parametrize("rail", ["alipay", "wechatpay"])
async def test_a_customer_signs_and_the_others_are_told(shop, rail):
    agreement = await shop.agreement(rail)

    assert agreement["state"] == "cooling_off"
    assert await shop.said() == [
        "customer.registered.v1",
        "pet.registered.v1",
        "agreement.signed.v1",
        "mandate.granted.v1",
    ]
    assert sum(line["amount_fen"] for line in agreement["instalments"]) == 12 * 29900
    # 1 March + 168 h is 8 March: the 15th is the first charge day after it.
    assert agreement["instalments"][0]["due_on"] == "2027-03-15"
    assert await shop.mandate_state(agreement["agreement_id"]) == "active"


async def test_every_answer_names_the_next_step(shop):
    application_id = await shop.applied()
    path = f"/v1/applications/{application_id}"
    seen = [(await shop.ok("GET", path))["next_step"]]
    seen.append((await shop.consent(application_id))["next_step"])
    seen.append((await shop.identify(application_id))["next_step"])
    seen.append((await shop.ok("POST", f"{path}/credit"))["next_step"])
    preview = await shop.ok("POST", f"{path}/preview")
    seen.append((await shop.ok("GET", path))["next_step"])
    await shop.sign(application_id, preview)
    standing = await shop.ok("GET", path)
    seen.append(standing["next_step"])
    await shop.grant(application_id, await shop.invited(application_id))
    standing = await shop.ok("GET", path)
    seen.append(standing["next_step"])

    assert seen == ["consents", "identity", "credit", "preview", "signature", "mandate", "none"]
    assert {step["step"] for step in standing["steps"]} == set(seen) - {"none"}
    assert all(step["done_at"] for step in standing["steps"])


async def test_a_step_out_of_turn_is_a_conflict_that_names_the_right_one(shop):
    application_id = await shop.applied()

    answer = await shop.call("POST", f"/v1/applications/{application_id}/credit")

    assert (answer.status, answer.body["code"]) == (409, "step-not-next")
    assert answer.body["next_step"] == "consents"


async def test_contact_data_is_sealed_for_its_receivers_and_nowhere_in_the_clear(shop):
    await shop.agreement()

    async with shop.db.connection() as conn:
        bodies = [row["body"].decode() for row in await conn.fetch("SELECT body FROM outbox")]
        stored = await conn.fetchval("SELECT string_agg(a::text, '') FROM applications a")
        stored += await conn.fetchval("SELECT string_agg(c::text, '') FROM customers c")
        stored += await conn.fetchval("SELECT string_agg(e::text, '') FROM evidence e")
        sealed = await conn.fetchval(
            "SELECT convert_from(body, 'utf8')::jsonb FROM outbox WHERE subject LIKE '%registered%'"
            " AND subject LIKE '%customer%'"
        )
    person = an_applicant()
    for private in (person.name, person.phone, person.id_number, person.address):
        assert private not in "".join(bodies) + stored
    assert shop.notify.open(sealed["sealed_for_notify"])["phone"] == person.phone
    assert shop.fulfillment.open(sealed["sealed_for_fulfillment"])["address"] == person.address


async def test_the_preview_is_chinese_and_complete(shop):
    application_id, preview = await shop.previewed()

    answer = await shop.call("GET", f"/v1/applications/{application_id}/preview.pdf")

    assert answer.headers["Content-Type"] == "application/pdf"
    pages = PdfReader(io.BytesIO(answer.body)).pages
    text = "".join(page.extract_text() for page in pages).replace("\n", "")
    for words in (
        "299.00",
        "3588.00",
        "48 小时",
        "每月 15 日",
        "年化利率",
        "违约金",
        "猫瘟",
        "走失",
    ):
        assert words in text
    assert preview["rate_percent"] == "0.000"


async def test_the_evidence_is_whole_and_cannot_be_changed(shop):
    agreement = await shop.agreement()
    path = f"/v1/agreements/{agreement['agreement_id']}/evidence"

    proof = await shop.ok("GET", path)
    assert proof["first_broken"] is None
    assert proof["documents_intact"]
    kinds = [entry["kind"] for entry in proof["entries"]]
    assert kinds[0] == "application_started"
    assert kinds[-1] == "agreement_signed"

    async with shop.db.connection() as conn:
        with pytest.raises(asyncpg.RestrictViolationError, match="never changes"):
            await conn.execute("UPDATE evidence SET actor = 'x' WHERE seq = 3")


async def test_the_signed_document_is_kept(shop):
    agreement = await shop.agreement()

    answer = await shop.call("GET", f"/v1/agreements/{agreement['agreement_id']}/document.pdf")

    assert answer.status == 200
    assert answer.body.startswith(b"%PDF-")


async def test_below_the_threshold_a_person_decides(shop):
    await shop.sandbox(
        "alipay", "PUT", f"/_sandbox/scores/{an_applicant().id_number}", {"score": 520}
    )
    application_id = await shop.applied()
    await shop.consent(application_id)
    await shop.identify(application_id)
    path = f"/v1/applications/{application_id}"

    held = await shop.ok("POST", f"{path}/credit")
    assert (held["state"], held["awaiting"]) == ("in_review", "operator")

    decided = await shop.ok("POST", f"{path}/review", {"approve": True, "reason": "收入证明"})
    assert decided["next_step"] == "preview"


async def test_who_refuses_to_sign_may_think_again(shop):
    application_id, preview = await shop.previewed()
    await shop.sign(application_id, preview, refuse=True)
    assert (await shop.ok("GET", f"/v1/applications/{application_id}"))["state"] == "previewed"

    await shop.sign(application_id, preview)
    assert (await shop.ok("GET", f"/v1/applications/{application_id}"))["state"] == "signed"


async def test_clauses_must_have_been_shown(shop):
    application_id, preview = await shop.previewed()
    body = {"clauses_shown_ms": {"money": 9000}, "device": "x", "ip": "203.0.113.7"}

    answer = await shop.call("POST", f"/v1/applications/{application_id}/signature", body)

    assert (answer.status, answer.body["code"]) == (422, "clauses-not-shown")
    assert set(answer.body["missing"]) == set(preview["key_clauses"]) - {"money"}


async def test_another_payers_account_is_refused_and_its_mandate_closed(shop):
    application_id = await shop.signed("wechatpay")

    await shop.grant(application_id, await shop.invited(application_id), payer="oStranger")
    await shop.settle()

    standing = await shop.ok("GET", f"/v1/applications/{application_id}")
    assert (standing["state"], standing["reason"]) == ("rejected", "payer-differs")
    books = await shop.sandbox("wechatpay", "GET", "/_sandbox/books?kind=contracts", None)
    assert [row["state"] for row in books["contracts"]] == ["1"]


async def test_what_is_not_signed_in_time_needs_a_new_preview(shop):
    application_id, preview = await shop.previewed(charge_day=8)
    # 8 March 09:00 less 168 h is 1 March 09:00: too late for March at noon.
    assert preview["instalments"][0]["due_on"] == "2027-04-08"
    assert datetime.fromisoformat(preview["sign_before"]) > NOON + timedelta(days=30)

    shown = dict.fromkeys(preview["key_clauses"], 9000)
    await shop.pass_time(days=6)
    later = await shop.ok("POST", f"/v1/applications/{application_id}/preview")
    assert later["instalments"] == preview["instalments"]
    assert shown.keys() == set(later["key_clauses"])


async def test_an_application_nobody_touches_expires(shop):
    application_id = await shop.applied()

    await shop.pass_time(days=7, minutes=1)

    assert (await shop.ok("GET", f"/v1/applications/{application_id}"))["state"] == "expired"


async def test_a_withdrawn_application_lets_go_of_its_mandate(shop):
    application_id = await shop.signed()
    invitation = await shop.invited(application_id)
    await shop.ok("POST", f"/v1/applications/{application_id}/withdrawal")
    await shop.settle()

    await shop.grant(application_id, invitation)
    await shop.pass_time(minutes=2)

    async with shop.db.connection() as conn:
        states = [row["state"] for row in await conn.fetch("SELECT state FROM mandates")]
        assert states == ["closed"]
        assert await conn.fetchval("SELECT count(*) FROM agreements") == 0
