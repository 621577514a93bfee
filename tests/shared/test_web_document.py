"""The OpenAPI document says what the endpoints do, and is one."""

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.db import Database
from shared.openapi import document
from shared.web import Api, Body, Call
from tests.support.web_api import Deps, api, served


def responses(method: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = document(api)["paths"][path][method]["responses"]
    return found


def test_the_document_is_valid_openapi():
    OpenAPIV31SpecValidator(document(api)).validate()


def test_an_operation_is_described_by_its_function():
    operation = document(api)["paths"]["/v1/things"]["post"]

    assert operation["operationId"] == "add_thing"
    assert operation["summary"] == "Put a thing on the shelf"
    assert operation["description"] == "Longer words about it."
    assert operation["security"] == [{"key": ["things:write"]}]
    assert [one["name"] for one in operation["parameters"]] == ["Idempotency-Key", "Tenant-Id"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/NewThing"}


def test_what_an_endpoint_may_refuse_is_named():
    assert set(responses("post", "/v1/things")) == {
        "201", "400", "401", "403", "409", "413", "415", "422", "429", "503",
    }  # fmt: skip
    assert "shelf-full" in responses("post", "/v1/things")["409"]["description"]
    assert set(responses("get", "/v1/shelves/{number}/{code}")) == {"200", "400", "404", "503"}
    assert "204" in responses("delete", "/v1/things/{thing_id}")


def test_query_parameters_stand_alone():
    parameters = document(api)["paths"]["/v1/things"]["get"]["parameters"]

    by_name = {one["name"]: one for one in parameters if one["in"] == "query"}
    assert set(by_name) == {"limit", "cursor", "size", "tags"}
    assert by_name["limit"]["schema"]["maximum"] == 200
    assert by_name["size"]["schema"]["anyOf"][0]["enum"] == ["small", "large"]


def test_a_webhook_asks_for_no_key():
    operation = document(api)["paths"]["/webhooks/door"]["post"]

    assert operation["security"] == []
    assert "parameters" not in operation


async def test_document_and_page_are_served(signing_db: Database):
    async with served(signing_db) as shop:
        found = await shop.client.get("/openapi.json")
        assert await found.json() == document(api)

        page = await shop.client.get("/docs")
        text = await page.text()
        assert page.content_type == "text/html"
        assert "Put a thing on the shelf" in text
        assert "http://" not in text, "nothing is loaded from elsewhere"


class Anything(Body):
    text: str


def test_a_decorated_function_stays_a_plain_one():
    other: Api[Deps] = Api(title="Other", version="1")

    async def say(call: Call[Deps], body: Anything) -> None:
        """Say something."""

    assert other.post("/say", scope=None)(say) is say


def test_a_parameter_that_comes_from_nowhere_is_noticed_when_declared():
    other: Api[Deps] = Api(title="Other", version="1")

    async def lost(call: Call[Deps], colour: str) -> None:
        """Take a colour."""

    async def deaf(call: Call[Deps]) -> None:
        """Take nothing."""

    with pytest.raises(TypeError, match="colour"):
        other.get("/colour", scope=None)(lost)
    with pytest.raises(AssertionError, match="colour"):
        other.get("/{colour}", scope=None)(deaf)
