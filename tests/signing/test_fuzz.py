"""Whatever is sent, signing answers as its own document says, and never breaks."""

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.ids import new_id
from tests.signing.test_isolation import described, own_ids
from tests.support.signing_builders import World

EXAMPLES = 15
"""Requests for each endpoint, valid ones and spoilt ones."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


async def test_no_request_breaks_it_and_every_answer_is_as_described(shop: World):
    await shop.agreement()
    await shop.applied()
    own = await own_ids(shop)
    document = await shop.ok("GET", "/openapi.json")
    url = str(shop.client.make_url("")).rstrip("/")
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        await asyncio.to_thread(fuzz, described(result), url, shop.shop, own)


def fuzz(operation: Any, url: str, key: str, own: dict[str, str]) -> None:
    """Send examples of one endpoint; every second one about something that is there."""
    count = 0

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        nonlocal count
        count += 1
        if count % 2:
            known = {name: own[name] for name in case.path_parameters or {} if name in own}
            case.path_parameters = {**(case.path_parameters or {}), **known}
        headers = {"Authorization": f"Bearer {key}"}
        if operation.method == "post":
            headers["Idempotency-Key"] = new_id().hex
        case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=10)

    send()
    assert count >= EXAMPLES // 2, operation.path
