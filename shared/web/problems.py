"""Refusals on the wire: RFC 9457 documents, and the page that explains each of them."""

import html
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.errors import Malformed, NotFound, Problem, TooLarge, TooMany, TryLater

CONTENT_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 20
NAME_MAX: Final = 64


class MediaTypeUnknown(Problem):
    """The body must be JSON."""

    status = 415
    code = "unsupported-media-type"


class MethodNotAllowed(Problem):
    """This address does not take that method."""

    status = 405
    code = "method-not-allowed"


class RateExceeded(TooMany):
    """More requests than this key may make in so short a time."""

    code = "rate-exceeded"


class Overloaded(TryLater):
    """Too many requests are in work; the same request may succeed in a moment."""

    code = "overloaded"


class TimedOut(TryLater):
    """The request took too long; repeat it with the same Idempotency-Key."""

    code = "timed-out"


class BackendAway(TryLater):
    """Something this service stands on did not answer."""

    code = "backend-away"


def unfit(error: ValidationError, *, where: str) -> Malformed:
    """
    Return the refusal of a *where* (body, query, path) that does not fit its model.

    The values sent are never repeated, only where they stood and what was expected.
    """
    key = "pointer" if where == "body" else "parameter"
    shown = error.errors(include_url=False, include_input=False, include_context=False)
    errors = [
        {"detail": _sentence(one), key: _place(one["loc"], pointer=where == "body")}
        for one in shown[:ERRORS_MAX]
    ]
    return Malformed(f"The {where} does not fit its form.", errors=errors)


def _sentence(error: ErrorDetails) -> str:
    """Return pydantic's sentence without the parts that quote the input."""
    kind = error["type"]
    if kind.startswith("union_tag"):
        return "Input tag is none of the expected ones"
    return error["msg"].split(",")[0] if kind.endswith(("_parsing", "_type")) else error["msg"]


def _place(loc: Iterable[int | str], *, pointer: bool) -> str:
    parts = [str(part)[:NAME_MAX] for part in loc]
    if not pointer:
        return ".".join(parts)
    return "#" + "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def document(problem: Problem, *, instance: str, request_id: str) -> dict[str, Any]:
    """Return the members of *problem*'s document; its facts cannot displace the standard ones."""
    return {
        **problem.facts,
        "type": f"/problems/{problem.code}",
        "title": title_of(type(problem)),
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "code": problem.code,
        "request_id": request_id,
    }


def respond(problem: Problem, *, instance: str, request_id: str) -> web.Response:
    """Answer with *problem* and the headers its status asks for."""
    body = document(problem, instance=instance, request_id=request_id)
    return web.Response(
        status=problem.status,
        body=orjson.dumps(body, default=str),
        headers={"Content-Type": CONTENT_TYPE, **_headers(problem)},
    )


def _headers(problem: Problem) -> dict[str, str]:
    match problem.status:
        case HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": 'Bearer realm="yuefu"'}
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return {"Allow": ", ".join(_listed(problem.facts.get("allowed")))}
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return {"Retry-After": str(problem.facts.get("retry_after_s", 1))}
        case _:
            return {}


def _listed(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def from_http(error: web.HTTPException) -> Problem:
    """Return what the web framework's own refusal means in our words."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        return MethodNotAllowed("This address does not take that method.", allowed=allowed)
    if isinstance(error, web.HTTPNotFound):
        return NotFound("Nothing is at this address.")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge("The body is too large.")
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Malformed("The request is not well-formed.")
    return Problem("Something went wrong on our side.")


def title_of(kind: type[Problem]) -> str:
    """Return the sentence that explains a kind of problem."""
    return (kind.__doc__ or kind.code).strip().splitlines()[0].rstrip(".")


def kinds() -> Mapping[str, type[Problem]]:
    """Return every kind of problem this process can answer with, by code."""
    found: dict[str, type[Problem]] = {}
    every: list[type[Problem]] = [Problem, *_below(Problem)]
    for kind in every:
        found.setdefault(kind.code, kind)
    return dict(sorted(found.items()))


def _below(kind: type[Problem]) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


async def show_kind(request: web.Request) -> web.Response:
    """Answer ``/problems/{code}`` with a page about that kind of problem."""
    kind = kinds().get(request.match_info["code"])
    if kind is None:
        raise NotFound("There is no such kind of problem.")
    text = html.escape((kind.__doc__ or "").strip())
    return web.Response(
        text=f"<!doctype html><meta charset=utf-8><title>{kind.code}</title>"
        f"<h1>{html.escape(title_of(kind))}</h1><p><code>{kind.code}</code>, "
        f"HTTP {kind.status}</p><p>{text}</p>",
        content_type="text/html",
    )
