"""The OpenAPI 3.1 document of an ``Api``, made from the same table that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from shared import errors, idempotency
from shared.web.call import ScopeMissing, TenantNeeded
from shared.web.models import Raw
from shared.web.problems import MediaTypeUnknown, Overloaded, RateExceeded, title_of

if TYPE_CHECKING:
    from shared.web.api import Api, Endpoint

PROBLEM_SCHEMA: Final = {
    "type": "object",
    "description": "RFC 9457 problem details; further members are facts of the problem.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string", "description": "Stable; clients may depend on it."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "detail": {"type": "string"},
                    "pointer": {"type": "string", "description": "JSON Pointer into the body."},
                    "parameter": {"type": "string", "description": "In the path or the query."},
                },
            },
        },
    },
}

_PART = tuple[str, str]
Schemas = Mapping[tuple[_PART, JsonSchemaMode], Mapping[str, Any]]


def document(api: Api[Any]) -> dict[str, Any]:
    """Return the document as plain data."""
    schemas, definitions = _schemas(api.endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in api.endpoints:
        described = _operation(endpoint, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": api.version, "description": api.description},
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM_SCHEMA, **definitions},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key: yf_<environment>_<id>_<secret>.",
                }
            },
        },
    }


def _schemas(endpoints: list[Endpoint]) -> tuple[Schemas, dict[str, Any]]:
    """Return the schema of every part of every endpoint, and what they refer to."""
    inputs: list[tuple[_PART, JsonSchemaMode, TypeAdapter[Any]]] = []
    for endpoint in endpoints:
        at = f"{endpoint.method} {endpoint.path}"
        for name, adapter in endpoint.path_fields.items():
            inputs.append(((at, f"path.{name}"), "validation", adapter))
        if endpoint.body is not None:
            inputs.append(((at, "body"), "validation", TypeAdapter(endpoint.body[1])))
        if endpoint.query is not None:
            inputs.append(((at, "query"), "validation", TypeAdapter(endpoint.query[1])))
        if endpoint.answer is not None:
            inputs.append(((at, "answer"), "serialization", endpoint.answer))
    schemas, root = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    return schemas, root.get("$defs", {})


def _operation(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    at = f"{endpoint.method} {endpoint.path}"
    described: dict[str, Any] = {
        "operationId": endpoint.run.__name__,
        "summary": endpoint.summary,
        "tags": list(endpoint.tags or (_first_noun(endpoint.path),)),
        "responses": _responses(endpoint, schemas),
    }
    if endpoint.description:
        described["description"] = endpoint.description
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": schemas[part, "validation"]}
        for name in endpoint.path_fields
        for part in [(at, f"path.{name}")]
    ]
    parameters += _header_parameters(endpoint) + _query_parameters(endpoint)
    if parameters:
        described["parameters"] = parameters
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas[(at, "body"), "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    elif endpoint.webhook and endpoint.method != "GET":
        content = {"*/*": {"schema": {"description": "As the provider writes it."}}}
        described["requestBody"] = {"required": True, "content": content}
    described["security"] = [] if endpoint.scope is None else [{"key": [endpoint.scope]}]
    return described


def _first_noun(path: str) -> str:
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    return parts[1] if len(parts) > 1 else parts[0] if parts else "root"


def _header_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if endpoint.keyed:
        text = "Same key and same request: same answer, for 30 days."
        schema = {"type": "string", "minLength": 1, "maxLength": idempotency.KEY_MAX}
        found.append(_header("Idempotency-Key", text, schema, required=True))
    if endpoint.scope is not None:
        text = "For whom the operator's key acts; a tenant's own key needs none."
        schema = {"type": "string", "format": "uuid"}
        found.append(_header("Tenant-Id", text, schema, required=False))
    return found


def _header(name: str, text: str, schema: object, *, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": text,
        "schema": schema,
    }


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    schema = endpoint.query[1].model_json_schema(ref_template="#/components/schemas/{model}")
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _inlined(shape, schema.get("$defs", {})),
        }
        for name, shape in schema.get("properties", {}).items()
    ]


def _inlined(shape: Any, definitions: Mapping[str, Any]) -> Any:
    """Return *shape* with its references replaced by what they mean."""
    if isinstance(shape, list):
        return [_inlined(item, definitions) for item in shape]
    if not isinstance(shape, dict):
        return shape
    if "$ref" in shape:
        return _inlined(definitions[shape["$ref"].rsplit("/", 1)[1]], definitions)
    return {key: _inlined(value, definitions) for key, value in shape.items()}


def _responses(endpoint: Endpoint, schemas: Schemas) -> dict[str, Any]:
    status, answer = _success(endpoint, schemas)
    responses: dict[str, Any] = {str(status): answer}
    by_status: dict[int, list[type[errors.Problem]]] = {}
    for kind in _problems(endpoint):
        by_status.setdefault(kind.status, []).append(kind)
    for number in sorted(by_status):
        codes = "; ".join(f"`{kind.code}`: {title_of(kind)}" for kind in by_status[number])
        schema = {"$ref": "#/components/schemas/Problem"}
        responses[str(number)] = {
            "description": codes,
            "content": {"application/problem+json": {"schema": schema}},
        }
    if endpoint.webhook:
        described = "What cannot be taken, said as the caller understands it."
        responses["default"] = {"description": described, "content": {"*/*": {}}}
    return responses


def _success(endpoint: Endpoint, schemas: Schemas) -> tuple[int, dict[str, Any]]:
    if endpoint.answer_type is type(None):
        return HTTPStatus.NO_CONTENT.value, {"description": "Done."}
    phrase = HTTPStatus(endpoint.status).phrase
    if endpoint.answer is None:
        described = "Raw bytes." if endpoint.answer_type is Raw else "As the caller expects it."
        return endpoint.status, {"description": described, "content": {"*/*": {}}}
    part = (f"{endpoint.method} {endpoint.path}", "answer")
    content = {"application/json": {"schema": schemas[part, "serialization"]}}
    return endpoint.status, {"description": phrase, "content": content}


def _problems(endpoint: Endpoint) -> list[type[errors.Problem]]:
    """Return what an endpoint may refuse with, in a steady order and each once."""
    found: list[type[errors.Problem]] = [Overloaded]
    if not endpoint.webhook:
        found.append(errors.Malformed)
    if endpoint.scope is not None:
        found += [errors.Unauthentic, ScopeMissing, TenantNeeded, RateExceeded]
    if endpoint.method not in {"GET", "DELETE"}:
        found.append(errors.TooLarge)
    if endpoint.body is not None:
        found.append(MediaTypeUnknown)
    if endpoint.keyed:
        found += [idempotency.KeyMissing, idempotency.KeyReused, idempotency.KeyInFlight]
    if endpoint.path_fields:
        found.append(errors.NotFound)
    return list(dict.fromkeys([*found, *endpoint.problems]))
