"""Endpoints as a table: decorated functions, and what their signatures say about them."""

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin, get_type_hints

from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter

from shared.errors import Problem
from shared.web.call import Call, HasDatabase
from shared.web.models import BIGINT_MAX, Query, Raw

BODY_LIMIT: Final = 256 * 1024
"""How many bytes of body an endpoint reads unless it says otherwise."""

PATH_NAME: Final = re.compile(r"\{(\w+)\}")

H = TypeVar("H", bound=Callable[..., Awaitable[Any]])
D = TypeVar("D", bound=HasDatabase)

Reply = Callable[[], web.Response]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One line of the table."""

    method: str
    path: str
    run: Callable[..., Awaitable[Any]]
    scope: str | None
    status: int
    summary: str
    description: str
    tags: tuple[str, ...]
    problems: tuple[type[Problem], ...]
    idempotent: bool
    body_limit: int
    timeout_s: float | None
    webhook: bool
    failure: Reply | None
    path_fields: Mapping[str, TypeAdapter[Any]]
    body: tuple[str, type[BaseModel]] | None
    query: tuple[str, type[BaseModel]] | None
    given: Mapping[str, object]
    """Parameters that get the call, the request or the raw body: name to annotation."""
    answer: TypeAdapter[Any] | None
    """None where the handler answers by itself, or with nothing."""
    answer_type: object

    @property
    def keyed(self) -> bool:
        """Whether a caller must send an Idempotency-Key."""
        return self.method == "POST" and self.idempotent and not self.webhook


class Api(Generic[D]):
    """
    A service's HTTP endpoints, declared by decorators; ``add_to`` serves them.

    A decorated function stays what it is and can be called as such.  Its first
    parameter is the ``Call``; parameters named in the path, one body (a ``Body``) and
    one query (a ``Query``) follow, found by their annotations.
    """

    def __init__(self, *, title: str, version: str, description: str = "") -> None:
        self.title = title
        self.version = version
        self.description = description
        self.endpoints: list[Endpoint] = []

    def get(self, path: str, **how: Any) -> Callable[[H], H]:
        """Declare a GET; see ``endpoint`` for what *how* may say."""
        return self.endpoint("GET", path, **how)

    def post(self, path: str, **how: Any) -> Callable[[H], H]:
        """Declare a POST; it asks for an Idempotency-Key unless ``idempotent=False``."""
        return self.endpoint("POST", path, **how)

    def put(self, path: str, **how: Any) -> Callable[[H], H]:
        """Declare a PUT; see ``endpoint`` for what *how* may say."""
        return self.endpoint("PUT", path, **how)

    def patch(self, path: str, **how: Any) -> Callable[[H], H]:
        """Declare a PATCH; see ``endpoint`` for what *how* may say."""
        return self.endpoint("PATCH", path, **how)

    def delete(self, path: str, **how: Any) -> Callable[[H], H]:
        """Declare a DELETE; see ``endpoint`` for what *how* may say."""
        return self.endpoint("DELETE", path, **how)

    def endpoint(
        self,
        method: str,
        path: str,
        *,
        scope: str | None,
        status: int = 200,
        summary: str = "",
        tags: tuple[str, ...] = (),
        problems: tuple[type[Problem], ...] = (),
        idempotent: bool = True,
        body_limit: int = BODY_LIMIT,
        timeout_s: float | None = None,
    ) -> Callable[[H], H]:
        """
        Declare an endpoint.

        *scope* None asks for no key at all; *problems* are named in the document;
        *timeout_s* None takes the limit of the whole application.
        """

        def declare(run: H) -> H:
            self.endpoints.append(
                _endpoint(
                    method,
                    path,
                    run,
                    scope=scope,
                    status=status,
                    summary=summary,
                    tags=tags,
                    problems=problems,
                    idempotent=idempotent,
                    body_limit=body_limit,
                    timeout_s=timeout_s,
                    webhook=False,
                    failure=None,
                )
            )
            return run

        return declare

    def webhook(
        self,
        path: str,
        *,
        method: str = "POST",
        summary: str = "",
        tags: tuple[str, ...] = ("webhooks",),
        body_limit: int = BODY_LIMIT,
        timeout_s: float | None = None,
        failure: Reply | None = None,
    ) -> Callable[[H], H]:
        """
        Declare what a provider calls: no key, the raw body, its own form of reply.

        The handler takes any of ``Call``, ``web.Request`` (its body already read) and
        ``bytes`` (the raw body) by annotation, and returns a ``web.Response``.
        *failure* is how this provider is told that we failed or refused; without it,
        it gets a problem document.
        """

        def declare(run: H) -> H:
            self.endpoints.append(
                _endpoint(
                    method,
                    path,
                    run,
                    scope=None,
                    status=200,
                    summary=summary,
                    tags=tags,
                    problems=(),
                    idempotent=False,
                    body_limit=body_limit,
                    timeout_s=timeout_s,
                    webhook=True,
                    failure=failure,
                )
            )
            return run

        return declare

    def add_to(self, app: web.Application, deps: D, **options: Any) -> None:
        """
        Serve the endpoints, ``/openapi.json``, ``/docs`` and ``/problems/{code}``.

        *options* are those of ``shared.web.serve.add_api``: limits, environment, clock.
        """
        from shared.web.serve import add_api

        add_api(self, app, deps, **options)


def _endpoint(method: str, path: str, run: Callable[..., Awaitable[Any]], **how: Any) -> Endpoint:
    hints = get_type_hints(run, include_extras=True)
    answer_type = hints.pop("return", type(None))
    parts = _Parts()
    for name in inspect.signature(run).parameters:
        parts.sort_in(name, hints[name], in_path=name in PATH_NAME.findall(path))
    missing = set(PATH_NAME.findall(path)) - set(parts.path_fields)
    assert not missing, f"{run.__name__} does not take {missing} of {path}"
    summary, description = _docstring(run)
    how["summary"] = how["summary"] or summary
    silent = isinstance(answer_type, type) and issubclass(
        answer_type, web.StreamResponse | Raw | type(None)
    )
    return Endpoint(
        method=method,
        path=path,
        run=run,
        description=description,
        path_fields=parts.path_fields,
        body=parts.body,
        query=parts.query,
        given=parts.given,
        answer=None if silent else TypeAdapter(answer_type),
        answer_type=answer_type,
        **how,
    )


class _Parts:
    """The parameters of a handler, sorted by where their values come from."""

    def __init__(self) -> None:
        self.path_fields: dict[str, TypeAdapter[Any]] = {}
        self.body: tuple[str, type[BaseModel]] | None = None
        self.query: tuple[str, type[BaseModel]] | None = None
        self.given: dict[str, object] = {}

    def sort_in(self, name: str, annotation: Any, *, in_path: bool) -> None:
        """Put the parameter *name* where its annotation belongs."""
        if in_path:
            self.path_fields[name] = TypeAdapter(_bounded(annotation))
        elif get_origin(annotation) is Call or annotation is Call:
            self.given[name] = Call
        elif annotation in {web.Request, bytes}:
            self.given[name] = annotation
        elif isinstance(annotation, type) and issubclass(annotation, Query):
            self.query = (name, annotation)
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            self.body = (name, annotation)
        else:
            raise TypeError(f"Where does the parameter {name}: {annotation} come from?")


def _bounded(annotation: Any) -> Any:
    """Keep whole numbers within what the database can hold."""
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    if bare is int:
        return Annotated[annotation, Field(ge=-BIGINT_MAX - 1, le=BIGINT_MAX)]
    return annotation


def _docstring(run: Callable[..., Any]) -> tuple[str, str]:
    text = inspect.getdoc(run) or run.__name__.replace("_", " ").capitalize()
    first, _, rest = text.partition("\n")
    return first.strip().rstrip("."), rest.strip()
