"""Publication over HTTP: examined, refused with findings, overridden by an officer only."""

from uuid import UUID

import asyncpg
import pytest

from shared.ids import new_id
from tests.support.signing_builders import plan_body

BAD = "充值后概不退款；终身宠粮9折"


def unfair(**changes):
    return plan_body(clauses=[{"title": "退款", "text": BAD}], **changes)


@pytest.fixture
async def draft(shop):
    plan = await shop.ok("POST", "/v1/plans", unfair())
    return f"/v1/plans/{plan['plan_id']}/versions/1"


async def officer(shop, draft, body, key=None, **how):
    tenant = how.pop("tenant", shop.merchant_id)
    return await shop.call(
        "POST", f"{draft}/overrides", body, key=key or shop.operator, tenant=tenant, **how
    )


async def test_a_plan_with_an_unfair_clause_is_not_published(shop, draft):
    await shop.said()

    answer = await shop.call("POST", f"{draft}/publication")

    assert (answer.status, answer.body["code"]) == (409, "publication-blocked")
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.body["blocking"] == 1
    first, second = answer.body["findings"]
    assert (first["rule_id"], first["severity"]) == ("UT01", "blocking")
    assert (second["rule_id"], second["severity"]) == ("UT27", "advice")
    assert first["pointer"] == "#/clauses/0/text"
    assert BAD[first["start"] : first["end"]] == first["phrase"] == "概不退款"
    assert all(first[name] for name in ("source", "safe", "why", "finding_id"))
    assert (await shop.ok("GET", draft))["state"] == "draft"
    assert await shop.said() == []
    assert (await shop.ok("GET", draft))["clauses"] == [{"title": "退款", "text": BAD}]


async def test_the_next_version_with_the_safe_wording_is_published(shop, draft):
    finding = (await shop.ok("GET", f"{draft}/findings"))["findings"][0]
    path = draft.removesuffix("/1")
    body = plan_body(clauses=[{"text": finding["safe"]}])
    version = (await shop.ok("POST", path, body))["version"]

    published = await shop.ok("POST", f"{path}/{version}/publication")

    assert published["state"] == "published"
    assert published["clauses"] == [{"title": "", "text": finding["safe"]}]


async def test_an_officer_lets_a_finding_pass_with_a_reason(shop, draft):
    finding = (await shop.ok("GET", f"{draft}/findings"))["findings"][0]
    body = {"finding_id": finding["finding_id"], "reason": "已由法务逐条审核"}

    first = await officer(shop, draft, body)
    shop.clock.advance(hours=1)
    again = await officer(shop, draft, body)
    other = await officer(shop, draft, body | {"reason": "另一个理由"})

    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    assert first.body["blocking"] == 0
    kept = first.body["findings"][0]["override"]
    assert kept["reason"] == "已由法务逐条审核"
    assert kept["actor"].startswith("key:")
    assert kept["overridden_at"].startswith("2027-03-01T04:00:00")
    assert first.body["findings"][1]["override"] is None
    assert (other.status, other.body["code"]) == (409, "finding-overridden")
    assert (await shop.ok("POST", f"{draft}/publication"))["state"] == "published"
    assert (await officer(shop, draft, body)).body == first.body
    async with shop.db.connection() as conn:
        changed = conn.execute("UPDATE finding_overrides SET reason = 'x'")
        with pytest.raises(asyncpg.RestrictViolationError, match="never changes"):
            await changed


async def test_an_override_is_for_one_version_only(shop, draft):
    finding = (await shop.ok("GET", f"{draft}/findings"))["findings"][0]
    await officer(shop, draft, {"finding_id": finding["finding_id"], "reason": "已审核"})
    path = draft.removesuffix("/1")
    await shop.ok("POST", path, unfair())

    answer = await shop.call("POST", f"{path}/2/publication")

    assert (answer.status, answer.body["code"]) == (409, "publication-blocked")


async def test_who_may_not_override(shop, draft):
    finding = (await shop.ok("GET", f"{draft}/findings"))["findings"][0]
    body = {"finding_id": finding["finding_id"], "reason": "自己放行"}
    stranger = new_id()
    scoped = await shop.key_for(shop.merchant_id, "plans:read", "plans:write")

    own = await officer(shop, draft, body, key=shop.shop)
    unscoped = await officer(shop, draft, body, key=scoped)
    foreign = await officer(shop, draft, body, key=await shop.key_for(stranger), tenant=stranger)
    elsewhere = await officer(shop, draft, body, tenant=stranger)
    unnamed = await officer(shop, draft, body, tenant=None)

    assert (own.status, own.body["code"]) == (403, "operator-needed")
    assert (unscoped.status, unscoped.body["code"]) == (403, "scope-missing")
    assert (foreign.status, foreign.body["code"]) == (404, "plan-unknown")
    assert (elsewhere.status, elsewhere.body["code"]) == (404, "plan-unknown")
    assert (unnamed.status, unnamed.body["code"]) == (403, "tenant-needed")
    assert (await shop.ok("GET", f"{draft}/findings"))["blocking"] == 1


async def test_what_cannot_be_overridden(shop, draft):
    found = (await shop.ok("GET", f"{draft}/findings"))["findings"][0]["finding_id"]
    unknown = await officer(shop, draft, {"finding_id": str(new_id()), "reason": "x"})
    silent = await officer(shop, draft, {"finding_id": found, "reason": " "})
    published = f"/v1/plans/{shop.plan_id}/versions/1"
    gone = await officer(shop, published, {"finding_id": found, "reason": "x"})

    assert (unknown.status, unknown.body["code"]) == (404, "finding-unknown")
    assert (silent.status, silent.body["code"]) == (400, "malformed")
    assert (gone.status, gone.body["code"]) == (404, "finding-unknown")

    dear = unfair(cash_price_fen=355_000, sales_copy=[{"kind": "poster", "text": "全程免息"}])
    plan = await shop.ok("POST", "/v1/plans", dear)
    path = f"/v1/plans/{plan['plan_id']}/versions/1"
    findings = (await shop.ok("GET", f"{path}/findings"))["findings"]
    zero = next(one for one in findings if one["rule_id"] == "CR_ZERO")
    firm = await officer(shop, path, {"finding_id": zero["finding_id"], "reason": "x"})
    assert (firm.status, firm.body["code"], zero["firm"]) == (409, "finding-firm", True)


async def test_findings_are_seen_by_their_merchant_only(shop, draft):
    stranger = await shop.key_for(new_id())
    useless = await shop.key_for(shop.merchant_id, "wallet:read")

    foreign = await shop.call("GET", f"{draft}/findings", key=stranger)
    unscoped = await shop.call("GET", f"{draft}/findings", key=useless)
    unknown = await shop.call("GET", f"{draft.removesuffix('/1')}/{2**40}/findings")

    assert (foreign.status, foreign.body["code"]) == (404, "plan-unknown")
    assert (unscoped.status, unscoped.body["code"]) == (403, "scope-missing")
    assert (unknown.status, unknown.body["code"]) == (404, "plan-unknown")


async def test_a_text_is_examined_without_being_kept(shop):
    path = "/v1/text-findings/preview"
    poster = {"place": "copy", "text": " 这就是免费领养，只需要每月付钱"}

    found = await shop.ok("POST", path, poster)

    assert found == await shop.ok("POST", path, poster)
    assert found["blocking"] == 1
    (one,) = found["findings"]
    assert (one["rule_id"], one["start"], one["end"]) == ("AD01", 4, 8)
    for odd in (
        {"place": "copy"},
        {"place": "wall", "text": "x"},
        {"place": "copy", "text": ""},
        {"place": "copy", "text": "x" * 2001},
        {"place": "copy", "text": "\x00"},
        {"place": "copy", "text": "x", "colour": 1},
    ):
        answer = await shop.call("POST", path, odd)
        assert (answer.status, answer.body["code"]) == (400, "malformed"), odd


async def test_a_draft_is_examined_without_being_kept(shop):
    path = "/v1/plan-findings/preview"
    dear = [{"name": "幼猫粮", "list_price_fen": 1, "deal_price_fen": 2}]
    before = await shop.ok("GET", "/v1/plans")

    found = await shop.ok("POST", path, unfair(price_card=dear, cash_price_fen=300_000))
    clean = await shop.ok("POST", path, plan_body())
    broken = await shop.call("POST", path, plan_body(offer={"discount_fen": 29_900}))

    named = [one["rule_id"] for one in found["findings"]]
    assert named == ["UT01", "UT27", "PT_INFLATED", "CR_CAP"]
    assert found["blocking"] == 3
    assert clean == {"blocking": 0, "findings": []}
    assert (broken.status, broken.body["code"]) == (422, "discount-too-large")
    assert await shop.ok("GET", "/v1/plans") == before


async def test_a_parcel_without_prices_is_not_published(shop):
    plan = await shop.ok("POST", "/v1/plans", plan_body(price_card=[]))

    answer = await shop.call("POST", f"/v1/plans/{plan['plan_id']}/versions/1/publication")

    assert (answer.status, answer.body["code"]) == (409, "publication-blocked")
    assert [one["rule_id"] for one in answer.body["findings"]] == ["PT_PRICE_CARD"]
    assert answer.body["findings"][0]["pointer"] == "#/bundles/0/items/0"


async def test_rules_and_standard_scripts_are_listed(shop):
    rules = (await shop.ok("GET", "/v1/publication-rules"))["rules"]
    scripts = (await shop.ok("GET", "/v1/standard-scripts"))["scripts"]

    named = {one["rule_id"]: one for one in rules}
    assert len(named) == len(rules) == 50
    assert named["UT02"]["places"] == ["clause", "copy"]
    assert named["PT_TERM_USUAL"]["kinds"] == ["monthly_food"]
    assert scripts[0]["text"].startswith("您可以通过分付按月支付")
    assert {one for script in scripts for one in script["replaces"]} <= set(named)
    useless = await shop.key_for(shop.merchant_id, "wallet:read")
    for path in ("/v1/publication-rules", "/v1/standard-scripts"):
        assert (await shop.call("GET", path, key=useless)).status == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"clauses": [{"title": "x"}]},
        {"clauses": [{"text": "x"}] * 61},
        {"clauses": [{"text": "x" * 2000}] * 10, "sales_copy": [{"kind": "page", "text": "y"}]},
        {"sales_copy": [{"kind": "radio", "text": "x"}]},
        {"sales_copy": [{"kind": "poster", "text": "x" * 2001}]},
    ],
)
async def test_odd_texts_are_malformed(shop, changes):
    answer = await shop.call("POST", "/v1/plans", plan_body(**changes))

    assert (answer.status, answer.body["code"]) == (400, "malformed")


async def test_a_published_version_needs_no_new_verdict(shop):
    """What stood before the rules is shown with their findings and stays published."""
    path = f"/v1/plans/{shop.plan_id}/versions/1"

    assert await shop.ok("GET", f"{path}/findings") == {"blocking": 0, "findings": []}
    async with shop.db.connection() as conn:
        kept = await conn.fetchval(
            "SELECT count(*) FROM finding_overrides WHERE plan_id = $1", UUID(shop.plan_id)
        )
    assert kept == 0
