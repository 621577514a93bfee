"""What merchants are told and may do about missed periods over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from shared.calendar import day_in_china
from shared.evidence_bundle import verify
from shared.ids import derived_id, new_id
from tests.billing.test_api import Caller, shop  # noqa: F401 - a fixture
from tests.support.dunning_life import NO_MONEY, at_hour, misses, until_day

SOMEBODY = {"recorded_by": "staff-7"}


async def missed(shop: Caller) -> tuple[str, dict[str, Any]]:  # noqa: F811
    """Return an agreement missed three days ago and staff's task about it, at eleven."""
    agreement = await misses(shop.world, days=3)
    await at_hour(shop.world, 11, days=1)
    status, page = await shop.ask("GET", "/v1/tasks")
    assert status == 200
    (task,) = page["items"]
    return str(agreement), task


async def test_a_merchant_chooses_its_ladder(shop):  # noqa: F811
    status, before = await shop.ask("GET", "/v1/dunning-policy")
    assert (status, before["preset"], before["version"]) == (200, "fast", 0)
    assert [step["day"] for step in before["steps"]] == [1, 3, 7, 15, 30]

    body = {"preset": "gentle", "reason": "our_customers"}
    for _ in range(2):
        status, after = await shop.ask("PUT", "/v1/dunning-policy", body=body)
        assert (status, after["preset"], after["version"]) == (200, "gentle", 1)
    status, foreign = await shop.ask("GET", "/v1/dunning-policy", who="foreign")
    assert (status, foreign["preset"]) == (200, "fast")

    for wrong in ({"preset": "harsh", "reason": "x_y"}, {"preset": "fast"}, {**body, "more": 1}):
        assert (await shop.ask("PUT", "/v1/dunning-policy", body=wrong))[0] == 400
    assert (await shop.ask("PUT", "/v1/dunning-policy", body=body, who="reader"))[0] == 403


async def test_a_task_is_assigned_found_by_filters_and_closed_once(shop):  # noqa: F811
    _, task = await missed(shop)
    path = f"/v1/tasks/{task['task_id']}"
    status, after = await shop.ask("PUT", f"{path}/assignee", body={"assignee": "staff-7"})
    assert (status, after["assignee"]) == (200, "staff-7")

    for query, count in (
        ("assignee=staff-7", 1),
        ("assignee=staff-8", 0),
        ("kind=service_call", 1),
        ("kind=refund_owed", 0),
        ("overdue_only=true", 0),
        ("escalated_only=true", 0),
        (f"agreement_id={task['agreement_id']}", 1),
        (f"agreement_id={new_id()}", 0),
    ):
        status, page = await shop.ask("GET", f"/v1/tasks?{query}")
        assert (status, len(page["items"])) == (200, count), query

    body = {"outcome": "reached", **SOMEBODY}
    key = str(new_id())
    for _ in range(2):
        status, closed = await shop.ask("POST", f"{path}/outcome", body=body, idempotency=key)
        assert (status, closed["outcome"]) == (200, "reached")
    other = {"outcome": "done", **SOMEBODY}
    assert (await shop.ask("POST", f"{path}/outcome", body=other, idempotency=key))[0] == 422
    status, problem = await shop.ask("POST", f"{path}/outcome", body=body)
    assert (status, problem["code"]) == (409, "task-closed")
    status, problem = await shop.ask("PUT", f"{path}/assignee", body={"assignee": "staff-8"})
    assert (status, problem["code"]) == (409, "task-closed")
    status, page = await shop.ask("GET", "/v1/tasks?waiting_only=false")
    assert [one["outcome"] for one in page["items"]] == ["reached"]


async def test_an_outcome_that_must_not_be_is_refused_with_its_code(shop):  # noqa: F811
    agreement, task = await missed(shop)
    path = f"/v1/tasks/{task['task_id']}/outcome"
    today = day_in_china(shop.world.clock.now())
    cases = (
        ({"outcome": "reached", "person": "family"}, 422, "contact-third-party"),
        ({"outcome": "promise_to_pay"}, 422, "promise-unfit"),
        ({"outcome": "promise_to_pay", "promised_on": "2020-01-01"}, 422, "promise-unfit"),
        ({"outcome": "reached", "promised_on": str(today)}, 422, "promise-unfit"),
        ({"outcome": "paid"}, 400, None),
        ({"outcome": "reached", "recorded_by": "小王"}, 400, None),
    )
    for body, status, code in cases:
        found, problem = await shop.ask("POST", path, body={**SOMEBODY, **body})
        assert (found, code in {None, problem["code"]}) == (status, True), body
    status, page = await shop.ask("GET", f"/v1/agreements/{agreement}/contacts")
    assert [one["kind"] for one in page["items"]] == ["message"]

    promise = {"outcome": "promise_to_pay", "promised_on": str(today + timedelta(days=3))}
    status, after = await shop.ask("POST", path, body={**SOMEBODY, **promise})
    assert (status, after["promised_on"]) == (200, promise["promised_on"])


async def test_calls_are_recorded_counted_and_refused(shop):  # noqa: F811
    agreement, _ = await missed(shop)
    path = f"/v1/agreements/{agreement}"
    status, allowed = await shop.ask("GET", f"{path}/contact-allowance")
    assert (status, allowed["allowed"], allowed["reasons"]) == (200, True, [])

    key = str(new_id())
    for _ in range(2):
        body = {"staff": "staff-7", "outcome": "reached"}
        status, call = await shop.ask("POST", f"{path}/contacts", body=body, idempotency=key)
        assert (status, call["about"]) == (201, "care")
    status, allowed = await shop.ask("GET", f"{path}/contact-allowance")
    assert (allowed["allowed"], allowed["reasons"]) == (False, ["cap_day"])

    for body, status, code in (
        ({"staff": "staff-7"}, 409, "contact-refused"),
        ({"staff": "staff-7", "person": "employer"}, 422, "contact-third-party"),
        (
            {"staff": "staff-7", "direction": "incoming", "instalment_id": str(new_id())},
            404,
            "instalment-unknown",
        ),
    ):
        found, problem = await shop.ask("POST", f"{path}/contacts", body=body)
        assert (found, problem["code"]) == (status, code)
    status, one = await shop.ask("GET", f"{path}/contacts?limit=1")
    status, two = await shop.ask("GET", f"{path}/contacts?limit=1&cursor={one['next_cursor']}")
    assert [one["items"][0]["kind"], two["items"][0]["kind"]] == ["message", "call"]
    assert two["next_cursor"] is None


async def test_a_hardship_goes_from_report_to_result(shop):  # noqa: F811
    agreement, _ = await missed(shop)
    path = f"/v1/agreements/{agreement}/hardship"
    body = {"reason": "lost_job", "reported_by": "gateway"}
    key = str(new_id())
    status, claim = await shop.ask("POST", path, body=body, idempotency=key)
    assert (status, claim["state"], claim["kind"]) == (201, "open", "hardship")
    assert (await shop.ask("POST", path, body=body, idempotency=key))[1] == claim
    assert (await shop.ask("POST", path, body=body))[1]["claim_id"] == claim["claim_id"]
    claims = f"/v1/claims/{claim['claim_id']}"

    finding = {"finding": "not_proven", "found_by": "staff-8"}
    wrong = (
        ("answer", {"answer": "postpone", "answered_by": "staff-8"}, 422, "offer-unfit"),
        ("answer", {"answer": "pause", "answered_by": "staff-8", "periods": 3}, 400, None),
        ("decision", {"accepted": True}, 409, "claim-state"),
        ("finding", finding, 409, "claim-state"),
    )
    for step, sent, status, code in wrong:
        found, problem = await shop.ask("POST", f"{claims}/{step}", body=sent)
        assert (found, code in {None, problem["code"]}) == (status, True), step

    offer = {"answer": "pause", "answered_by": "staff-8", "periods": 1}
    assert (await shop.ask("POST", f"{claims}/answer", body=offer))[1]["state"] == "answered"
    status, after = await shop.ask("POST", f"{claims}/decision", body={"accepted": False})
    assert (status, after["result"]) == (200, "declined")
    assert (await shop.ask("GET", "/v1/claims"))[1]["items"] == []
    status, page = await shop.ask("GET", "/v1/claims?open_only=false&kind=hardship")
    assert [one["claim_id"] for one in page["items"]] == [claim["claim_id"]]


async def test_a_dispute_needs_evidence_to_be_closed(shop):  # noqa: F811
    agreement = await shop.world.signed(periods=1)
    row = await shop.world.instalment(agreement)
    await until_day(shop.world, row, 1)
    body = {"reason": "not_me", "reported_by": "gateway"}
    status, claim = await shop.ask(
        "POST", f"/v1/instalments/{row.instalment_id}/dispute", body=body
    )
    assert (status, claim["kind"]) == (201, "dispute")
    path = f"/v1/claims/{claim['claim_id']}"

    sent = {"finding": "authorised", "found_by": "staff-8"}
    status, problem = await shop.ask("POST", f"{path}/finding", body=sent)
    assert (status, problem["code"]) == (422, "dispute-evidence-missing")
    proof = {**sent, "evidence": ["mandate:20260000000000000001"]}
    status, after = await shop.ask("POST", f"{path}/finding", body=proof)
    assert (status, after["result"]) == (200, "authorised")
    assert (await shop.ask("GET", path))[1]["evidence"] == proof["evidence"]


async def test_a_flag_is_cleared_by_a_person_with_a_reason(shop):  # noqa: F811
    agreement = await shop.world.signed(periods=3)
    path = f"/v1/agreements/{agreement}/risk/clear"
    body = {"reason": "talked_to_customer", "cleared_by": "staff-7"}
    status, problem = await shop.ask("POST", path, body=body)
    assert (status, problem["code"]) == (409, "risk-not-flagged")
    await shop.world.faulty("alipay", NO_MONEY)
    await until_day(shop.world, await shop.world.instalment(agreement, 2), 2)

    assert (await shop.ask("POST", path, body={"cleared_by": "staff-7"}))[0] == 400
    status, after = await shop.ask("POST", path, body=body)
    assert (status, after["flagged_at"], after["failed_periods"]) == (200, None, 0)


async def test_evidence_comes_as_one_archive_with_its_key(shop):  # noqa: F811
    agreement = await shop.world.signed(periods=1)
    url = f"{shop.world.base_url}/v1/agreements/{agreement}/evidence"
    headers = {"Authorization": f"Bearer {shop.keys['shop']}"}
    async with shop.world.http.get(url, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "application/zip")
        assert f"evidence-{agreement}.zip" in answer.headers["Content-Disposition"]
        bundle = await answer.read()
    status, key = await shop.ask("GET", "/v1/evidence-key")

    assert shop.world.deps.evidence_key is not None
    checked = verify(bundle, shop.world.deps.evidence_key.public_key())
    assert (status, checked.manifest["key_id"]) == (200, key["key_id"])
    assert key["public_key_pem"].startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize("who", ["shop", "foreign"])
async def test_what_is_unknown_or_anothers_is_not_found(shop, who):  # noqa: F811
    agreement = await shop.world.signed(periods=1)
    row = await shop.world.instalment(agreement)
    mine = who == "foreign"
    about = agreement if mine else derived_id("agreement", 99)
    of = row.instalment_id if mine else new_id()
    staff = {"reason": "any_reason", "reported_by": "staff-7"}
    asked: tuple[tuple[str, str, Any], ...] = (
        ("GET", f"/v1/agreements/{about}/contacts", None),
        ("GET", f"/v1/agreements/{about}/contact-allowance", None),
        ("GET", f"/v1/agreements/{about}/evidence", None),
        ("POST", f"/v1/agreements/{about}/contacts", {"staff": "staff-7"}),
        ("POST", f"/v1/agreements/{about}/hardship", staff),
        ("POST", f"/v1/instalments/{of}/dispute", staff),
        (
            "POST",
            f"/v1/agreements/{about}/risk/clear",
            {"reason": "any_reason", "cleared_by": "staff-7"},
        ),
        ("GET", f"/v1/tasks/{new_id()}", None),
        ("GET", f"/v1/claims/{new_id()}", None),
        ("POST", f"/v1/claims/{new_id()}/decision", {"accepted": True}),
        ("PUT", f"/v1/tasks/{new_id()}/assignee", {"assignee": "staff-7"}),
        ("POST", f"/v1/tasks/{new_id()}/outcome", {"outcome": "done", **SOMEBODY}),
    )
    for method, path, body in asked:
        status, problem = await shop.ask(method, path, body=body, who=who)
        assert (status, problem["code"].endswith("-unknown")) == (404, True), path
