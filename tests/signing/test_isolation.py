"""
Nobody reaches what is another's: for every endpoint that the service describes.

The calls are made from the served OpenAPI document, ids from the tables that have them and
bodies from the schemas, so that an endpoint is covered as soon as it is described.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import schemathesis
from hypothesis import HealthCheck, Phase, find, settings
from schemathesis.generation import GenerationMode

from shared.ids import new_id
from tests.support.signing_builders import World

Doc = dict[str, Any]

TRIES = 40
AS_THEY_COME = settings(
    max_examples=50, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
)
REFUSED_BEFORE = {400, 422}
"""A body that the schema allows and a rule beyond it refuses is made anew."""


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    scope: str
    described: Any

    @property
    def ids(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)


def described(result: Any) -> Any:
    """Return an operation as it was read; one that cannot be read is an error."""
    return result.ok()


async def operations(world: World) -> list[Operation]:
    """Return everything that wants a key."""
    document = await world.ok("GET", "/openapi.json")
    loaded = schemathesis.openapi.from_dict(document)
    found = []
    for result in loaded.get_all_operations():
        one = described(result)
        security = document["paths"][one.path][one.method]["security"]
        if security:
            (scope,) = security[0]["key"]
            found.append(Operation(one.method.upper(), one.path, scope, one))
    return found


def bodies(operation: Operation) -> Iterator[Any]:
    """Yield bodies as the schema allows, one where there is none."""
    if not operation.described.body:
        yield None
        return
    strategy = operation.described.as_strategy(generation_mode=GenerationMode.POSITIVE)
    for number in range(TRIES):
        yield _later(strategy, number).body


def _later(strategy: Any, number: int) -> Any:
    """Return an example, not the simplest, but the one after *number* others."""
    before = iter(range(number))
    return find(
        strategy,
        lambda _: next(before, None) is None,
        random=Random(number),
        settings=AS_THEY_COME,
    )


async def own_ids(world: World) -> dict[str, str]:
    """Return, for every id a path may name, one that belongs to the shop."""
    async with world.db.connection() as conn:
        columns = await conn.fetch(
            """
            SELECT k.table_name, k.column_name
              FROM information_schema.columns k
              JOIN information_schema.columns m USING (table_schema, table_name)
             WHERE table_schema = 'signing' AND m.column_name = 'merchant_id'
               AND k.column_name LIKE '%\\_id' AND k.data_type = 'uuid'
            """
        )
        found = {"version": "1", **await _own_words(world)}
        for table, column in columns:
            known = await conn.fetchval(
                f"SELECT {column} FROM {table} WHERE merchant_id = $1 LIMIT 1", world.merchant_id
            )
            if known is not None:
                found[column] = str(known)
    return found


async def _own_words(world: World) -> dict[str, str]:
    """Make a quote with its code and a treatment, and return the words that name them."""
    asked = {"plan_id": world.plan_id, "plan_version": 1, "rail": "alipay", "charge_day": 15}
    quote = await world.ok("POST", "/v1/quotes", asked)
    share = await world.ok("POST", f"/v1/quotes/{quote['quote_id']}/share", {})
    prices = {"name": "绝育手术", "low_fen": 1, "likely_fen": 2, "high_fen": 3}
    await world.ok("PUT", "/v1/procedure-prices/spay/cat", prices)
    return {"code": share["code"], "procedure": "spay", "species": "cat"}


async def test_every_endpoint_hides_what_is_anothers(shop):
    await shop.agreement()
    own, stranger = await own_ids(shop), await shop.key_for(new_id())
    covered = 0
    for operation in await operations(shop):
        if not operation.ids:
            continue
        assert set(operation.ids) <= set(own), f"nothing of {operation.path} stands in the tables"
        path = operation.path.format(**own)
        for body in bodies(operation):
            answer = await shop.call(operation.method, path, body, key=stranger)
            if answer.status not in REFUSED_BEFORE:
                break
        assert answer.status in {404, 403}, (operation.method, path, answer.body)
        if answer.status == 403:  # nobody's but the operator's
            assert answer.body["code"] == "operator-only", answer.body
        covered += 1
    assert covered > 20


async def test_every_endpoint_asks_for_its_scope(shop):
    await shop.agreement()
    own, weak = await own_ids(shop), await shop.key_for(shop.merchant_id, "nothing:read")
    for operation in await operations(shop):
        path = operation.path.format(**own)
        body = next(bodies(operation))
        answer = await shop.call(operation.method, path, body, key=weak)
        assert answer.status == 403, (operation.method, path, answer.body)


async def test_lists_and_reads_show_a_stranger_nothing(shop):
    agreement = await shop.agreement()
    stranger = await shop.key_for(UUID(int=7))
    seen = 0
    for operation in await operations(shop):
        if operation.method != "GET" or operation.ids:
            continue
        answer = await shop.call("GET", operation.path, key=stranger)
        for number in (agreement["agreement_id"], agreement["customer_id"], shop.plan_id):
            assert number not in str(answer.body), operation.path
        seen += 1
    assert seen >= 3
