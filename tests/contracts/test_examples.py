"""The examples for a gateway's developer: still true, and as the served documents say."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no stubs

from deploy.demo.stage import SCOPES
from deploy.examples import recording, tour
from deploy.secrets import Secrets
from shared.api_keys import new_token
from tests.support.servers import TestDatabases
from tests.support.world import let_in, world_of

ROOT = Path(__file__).parents[2]
COMMITTED = recording.read(ROOT / "docs/examples")
CODE = ("services", "shared", "deploy")
AS_RECORDED = "run `python -m deploy.examples` and look at the difference"

Doc = dict[str, Any]


@pytest.fixture(scope="module")
async def today(
    databases: TestDatabases, parties: Path, platform_secrets: Secrets
) -> AsyncIterator[tuple[dict[str, Doc], dict[str, Doc]]]:
    """What services answer today: the examples recorded anew, and their OpenAPI documents."""
    async with world_of(databases, parties, platform_secrets, now=tour.BEGIN) as world:
        key, documents = new_token("live"), {}
        for service in world.members:
            merchant_id = tour.MERCHANT.merchant_id
            await let_in(world, service, key, tenant_id=merchant_id, scopes=SCOPES)
            status, documents[service] = await world.call(service, "GET", "/openapi.json", key=key)
            assert status == 200
        ground = tour.Ground(
            session=world.session,
            services=world.around.services,
            simulators=world.around.simulators,
            operator_key=world.operator,
            key=key,
            advance=world.until,
            settle=world.settle,
        )
        recorded = await tour.record(ground)
        await world.night()
        await world.assert_books_agree()
        yield recorded, documents


def test_the_way_is_the_one_that_is_written_down(today):
    recorded, _ = today

    assert list(recorded) == list(COMMITTED), AS_RECORDED


@pytest.mark.parametrize("name", COMMITTED)
def test_an_example_is_what_a_service_answers_today(today, name):
    recorded, documents = today
    then, now = COMMITTED[name], recorded[name]

    assert now["service"] == then["service"]
    assert _operation(documents, now)[0] == _operation(documents, then)[0]
    assert now["response"]["status"] == then["response"]["status"]
    assert now["response"]["headers"].keys() == then["response"]["headers"].keys()
    assert _shape(now["request"]["body"]) == _shape(then["request"]["body"]), AS_RECORDED
    assert _shape(now["response"]["body"]) == _shape(then["response"]["body"]), AS_RECORDED


@pytest.mark.parametrize("name", COMMITTED)
def test_an_example_fits_the_served_document(today, name):
    example = COMMITTED[name]
    request, response = example["request"], example["response"]
    _, document, operation = _operation(today[1], example)

    answer = operation["responses"][str(response["status"])]
    _fit(document, answer["content"], response["headers"]["Content-Type"], response["body"])
    if response["status"] < 400:
        _fit_request(document, operation, request)


def test_an_answer_that_lacks_a_member_would_be_noticed(today):
    example = json.loads(json.dumps(COMMITTED["03-application-start"]))
    del example["response"]["body"]["next_step"]
    _, document, operation = _operation(today[1], example)
    content = operation["responses"]["201"]["content"]

    with pytest.raises(AssertionError, match="next_step"):
        _fit(document, content, "application/json", example["response"]["body"])
    assert _shape(example) != _shape(COMMITTED["03-application-start"])


def test_examples_show_every_step_and_each_kind_of_problem():
    bodies = [example["response"]["body"] for example in COMMITTED.values()]
    applications = [body for body in bodies if isinstance(body, dict) and "next_step" in body]
    statuses = {example["response"]["status"] for example in COMMITTED.values()}

    steps = {body["next_step"] for body in applications}
    assert steps == {"consents", "identity", "credit", "preview", "mandate", "none"}
    assert {400, 401, 403, 404, 409, 413, 422} <= statuses


def test_examples_keep_secrets_and_people_to_themselves():
    people = {one.phone for one in (tour.ALIPAY_PERSON, tour.WECHAT_PERSON)}
    for name, example in COMMITTED.items():
        text = json.dumps(example, ensure_ascii=False)
        assert set(re.findall(r"(?<!\d)1[3-9]\d{9}(?!\d)", text)) <= people, name
        assert set(re.findall(r"yf_[a-z]+_\w+", text)) <= {recording.API_KEY}, name
        assert "127.0.0.1" not in text, name


@pytest.mark.parametrize("page", ["docs/gateway.md", "docs/gateway.zh.md"])
def test_what_the_guide_points_to_is_there(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))

    assert len(links) > 10
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_sources_that_the_code_cites_are_listed():
    page = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
    rules = set(re.findall(r"\b[A-Z]{2}-\d+\b|\b[A-Z]\d{1,2}\b", page))
    code = [path.read_text() for top in CODE for path in (ROOT / top).rglob("*.py")]
    cited = {one for text in code for one in re.findall(r"sources\.md#([\w-]+)", text)}
    cited_rules = {one for text in code for one in re.findall(r"rule ([A-Z]+-?\d+)\)", text)}

    assert len(cited) > 1
    assert cited - anchors == set()
    assert len(cited_rules) > 5
    assert cited_rules - rules == set()


def _operation(documents: dict[str, Doc], example: Doc) -> tuple[str, Doc, Doc]:
    """Return the path's template, the document it stands in, and the operation."""
    document = documents[example["service"]]
    path, method = urlsplit(example["request"]["path"]).path, example["request"]["method"].lower()
    for template in sorted(document["paths"], key=lambda one: one.count("{")):
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method in document["paths"][template]:
            return template, document, document["paths"][template][method]
    raise AssertionError(f"{example['service']} serves no {method} {path}")


def _fit(document: Doc, content: Doc, content_type: str, body: Any) -> None:
    schema = content.get(content_type.partition(";")[0], content.get("*/*"))
    assert schema is not None, f"{content_type} is not among {sorted(content)}"
    whole = {**schema.get("schema", {}), "components": document["components"]}
    checker = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert [error.message for error in checker.iter_errors(body)] == []


def _fit_request(document: Doc, operation: Doc, request: Doc) -> None:
    if request["body"] is not None:
        content = operation["requestBody"]["content"]
        _fit(document, content, request["headers"]["Content-Type"], request["body"])
    needed = {
        one["name"]
        for one in operation.get("parameters", [])
        if one["in"] == "header" and one["required"]
    }
    assert needed <= request["headers"].keys()


def _shape(value: Any) -> Any:
    """Return the members and the types of *value*; of a list, those of its items."""
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in value.items()}
    if isinstance(value, list):
        shapes = [json.dumps(_shape(one), sort_keys=True) for one in value]
        return sorted(set(shapes))
    return type(value).__name__
