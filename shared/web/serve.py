"""From a request to an answer: door, limits, parsing, idempotency, handler, problem."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from shared import idempotency, metrics, openapi, tracing
from shared.api_keys import KeyMemory, find_key, read_token
from shared.clock import Clock, SystemClock
from shared.db import Database
from shared.errors import Malformed, Problem, TooLarge, Unauthentic
from shared.ids import new_id
from shared.together import Together
from shared.web import docs_page, problems
from shared.web.api import Api, Endpoint
from shared.web.call import ANYBODY, Call, Caller, HasDatabase, TenantForeign
from shared.web.limits import ACTIVITY, Activity, Bucket, Buckets, Limits, monotonic_s
from shared.web.models import CursorInvalid, PageQuery, Raw

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID: Final = web.RequestKey("request_id", str)
RATE: Final = web.RequestKey("rate", str)

_ASKED_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_BACKEND_ERRORS: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.InvalidCachedStatementError,
)


@dataclass(frozen=True)
class Door:
    """What all endpoints of one process share."""

    deps: HasDatabase
    environment: str
    limits: Limits
    clock: Clock
    activity: Activity
    buckets: Buckets
    lookups: Bucket
    claims: Together[idempotency.Slot, idempotency.Claimed]
    answers: Together[idempotency.Finished, None]
    keys: KeyMemory = field(default_factory=KeyMemory)


def add_api(
    api: Api[Any],
    app: web.Application,
    deps: HasDatabase,
    *,
    limits: Limits | None = None,
    environment: str = "live",
    clock: Clock | None = None,
) -> None:
    """
    Serve *api* from *app*: its endpoints, its document, and what problems mean.

    Keys must be of *environment*.  *clock* times keys and leases; it is the machine's
    clock even where the business lives by a test clock.
    """
    limits = limits or Limits()
    clock = clock or SystemClock()
    door = Door(
        deps=deps,
        environment=environment,
        limits=limits,
        clock=clock,
        claims=_claims(deps.db, clock),
        answers=_answers(deps.db),
        activity=app.setdefault(ACTIVITY, Activity()),
        buckets=Buckets(rate_per_s=limits.per_key_per_s, size=limits.per_key_burst),
        lookups=Bucket(limits.lookups_per_s, limits.lookups_per_s),
    )
    app.middlewares.append(_edge)
    for endpoint in api.endpoints:
        app.router.add_route(endpoint.method, endpoint.path, _handler(door, endpoint))
    described = openapi.document(api)
    _add_page(app, "/openapi.json", orjson.dumps(described), "application/json")
    _add_page(app, "/docs", docs_page.render(described).encode(), "text/html")
    app.router.add_get("/problems/{code}", problems.show_kind)


def _claims(db: Database, clock: Clock) -> Together[idempotency.Slot, idempotency.Claimed]:
    async def claim(slots: Sequence[idempotency.Slot]) -> Sequence[idempotency.Claimed]:
        async with db.connection() as conn:
            return await idempotency.claim_many(conn, slots, now=clock.now())

    return Together(claim)


def _answers(db: Database) -> Together[idempotency.Finished, None]:
    async def store(finished: Sequence[idempotency.Finished]) -> Sequence[None]:
        async with db.connection() as conn:
            await idempotency.store_many(conn, finished)
        return [None] * len(finished)

    return Together(store)


def _add_page(app: web.Application, path: str, body: bytes, content_type: str) -> None:
    async def show(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    app.router.add_get(path, show)


@web.middleware
async def _edge(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Wrap everything the application answers: ids, span, figures, problems."""
    began_s = monotonic_s()
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unknown"
    asked = request.headers.get("X-Request-Id", "")
    request_id = asked if _ASKED_ID.fullmatch(asked) else new_id().hex
    request[REQUEST_ID] = request_id
    with (
        structlog.contextvars.bound_contextvars(request_id=request_id),
        tracing.serving(request.method, route, request.headers) as span,
    ):
        response = await _answer(request, handler, route)
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            tracing.failed(span, str(response.status))
    if not response.prepared:
        response.headers["X-Request-Id"] = request_id
        if rate := request.get(RATE):
            response.headers["RateLimit"] = rate
    metrics.request_answered(request.method, route, response.status, monotonic_s() - began_s)
    return response


async def _answer(request: web.Request, handler: Handler, route: str) -> web.StreamResponse:
    """Run *handler*; whatever it raises becomes a problem document."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        problem = problems.from_http(error)
    except Problem as error:
        problem = error
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("request.failed", route=route, code=error.code, exc_info=True)
    except _BACKEND_ERRORS as error:
        log.warning("backend.away", route=route, error=type(error).__name__, exc_info=True)
        problem = problems.BackendAway("Something we need did not answer.")
    except Exception:
        log.exception("request.broke", route=route)
        problem = Problem("Something went wrong on our side.")
    return problems.respond(
        problem, instance=request.rel_url.raw_path, request_id=request[REQUEST_ID]
    )


def _handler(door: Door, endpoint: Endpoint) -> Handler:
    timeout_s = endpoint.timeout_s or door.limits.timeout_s
    assert timeout_s < idempotency.LEASE.total_seconds(), "a claim would lapse under the handler"
    serve = _deliver if endpoint.webhook else _serve

    async def handle(request: web.Request) -> web.StreamResponse:
        if door.activity.in_flight >= door.limits.concurrent:
            raise problems.Overloaded("Too many requests are in work.")
        door.activity.in_flight += 1
        metrics.HTTP_IN_FLIGHT.inc()
        try:
            async with asyncio.timeout(timeout_s):
                return await serve(door, endpoint, request)
        except TimeoutError as error:
            raise problems.TimedOut("The request took too long.") from error
        finally:
            metrics.HTTP_IN_FLIGHT.dec()
            door.activity.in_flight -= 1
            door.activity.served += 1

    return handle


async def _serve(door: Door, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
    caller = await _caller(door, endpoint, request)
    raw = b"" if endpoint.method == "GET" else await _read(request, endpoint.body_limit)
    slot = _slot(endpoint, request, caller, raw)
    values = _values(endpoint, request, raw)
    call = Call(
        deps=door.deps,
        caller=caller,
        request_id=request[REQUEST_ID],
        cause=None if slot is None else slot.cause,
    )
    values.update(_given(endpoint, call, request, raw))

    async def run() -> web.StreamResponse:
        try:
            return _reply(endpoint, await endpoint.run(**values))
        except asyncpg.DataError as error:
            _blame_cursor(values, error)
            raise

    return await run() if slot is None else await _once(door, slot, request, run)


async def _deliver(door: Door, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
    request = request.clone(client_max_size=endpoint.body_limit)
    raw = await request.read()
    call = Call(deps=door.deps, caller=ANYBODY, request_id=request[REQUEST_ID])
    try:
        values = _path_values(endpoint, request)
        values.update(_given(endpoint, call, request, raw))
        return _reply(endpoint, await endpoint.run(**values))
    except Exception as error:
        refused = isinstance(error, Problem) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
        if refused or endpoint.failure is None:
            raise
        log.warning("webhook.failed", route=endpoint.path, error=repr(error), exc_info=True)
        return endpoint.failure()


async def _caller(door: Door, endpoint: Endpoint, request: web.Request) -> Caller:
    """
    Return who calls, if the key they hold opens this endpoint.

    Raises:
        Unauthentic, ScopeMissing, TenantForeign, RateExceeded: It does not, or not now.
    """
    if endpoint.scope is None:
        return ANYBODY
    header = request.headers.get("Authorization")
    key_id, secret = read_token(header, environment=door.environment)
    now = door.clock.now()
    key = door.keys.recall(key_id, now=now)
    if key is None:
        _take(door.lookups, request)
        async with door.deps.db.connection() as conn:
            key = await find_key(conn, key_id)
        if key is None:
            raise Unauthentic("This key is not valid.")
        door.keys.note(key, now=now)
    key.require(secret, now=now)
    _take(door.buckets.of(key_id), request)
    tenant_id = _tenant(key.tenant_id, request.headers.get("Tenant-Id"))
    caller = Caller(tenant_id, key_id, key.scopes, is_operator=key.tenant_id is None)
    caller.require(endpoint.scope)
    return caller


def _take(bucket: Bucket, request: web.Request) -> None:
    wait_s = bucket.take(monotonic_s())
    full_s = max(1, round(bucket.size / bucket.rate_per_s))
    request[RATE] = f'"key";r={int(bucket.tokens)};t={int(wait_s) + 1 if wait_s else full_s}'
    if wait_s:
        raise problems.RateExceeded("Too many requests.", retry_after_s=int(wait_s) + 1)


def _tenant(of_key: UUID | None, asked: str | None) -> UUID | None:
    """Return whom the call is for: the operator's key may act for any tenant."""
    if asked is None:
        return of_key
    try:
        tenant_id = UUID(asked)
    except ValueError as error:
        raise Malformed("The Tenant-Id header is not a UUID.") from error
    if of_key not in {None, tenant_id}:
        raise TenantForeign("The key belongs to another tenant.")
    return tenant_id


async def _read(request: web.Request, limit: int) -> bytes:
    """Return the body, reading no more than *limit* bytes of it, and none that is packed."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise problems.MediaTypeUnknown("Send the body as it is, without a Content-Encoding.")
    if (request.content_length or 0) > limit:
        raise TooLarge("The body is too large.", limit_bytes=limit)
    body = bytearray()
    while chunk := await request.content.readany():
        body.extend(chunk)
        if len(body) > limit:
            raise TooLarge("The body is too large.", limit_bytes=limit)
    return bytes(body)


def _slot(
    endpoint: Endpoint, request: web.Request, caller: Caller, raw: bytes
) -> idempotency.Slot | None:
    if not endpoint.keyed:
        return None
    who = "public" if caller is ANYBODY else str(caller.tenant_id or "operator")
    return idempotency.Slot(
        caller=who,
        route=f"{endpoint.method} {endpoint.path}",
        key=idempotency.read_key(request.headers.get("Idempotency-Key")),
        fingerprint=idempotency.fingerprint(request.path_qs, raw),
    )


async def _once(
    door: Door,
    slot: idempotency.Slot,
    request: web.Request,
    run: Callable[[], Awaitable[web.StreamResponse]],
) -> web.StreamResponse:
    """Run the handler unless its answer stands already; keep an answer that is final."""
    claimed = await door.claims.add(slot)
    if isinstance(claimed, Problem):
        raise claimed
    if isinstance(claimed, idempotency.Answer):
        return web.Response(
            status=claimed.status,
            body=claimed.body,
            headers={"Content-Type": claimed.content_type, "Idempotency-Replayed": "true"},
        )
    try:
        response = await run()
    except Problem as problem:
        if problem.status >= HTTPStatus.TOO_MANY_REQUESTS:
            await _release(door, slot, claimed)
            raise
        response = problems.respond(
            problem, instance=request.rel_url.raw_path, request_id=request[REQUEST_ID]
        )
    except BaseException:
        await _release(door, slot, claimed)
        raise
    await _store(door, slot, claimed, response)
    return response


async def _store(
    door: Door, slot: idempotency.Slot, fence: int, response: web.StreamResponse
) -> None:
    """Keep the answer; if that fails, the effect stands and a repetition finds it."""
    assert isinstance(response, web.Response), "a stream cannot be repeated"
    body = response.body if isinstance(response.body, bytes) else b""
    answer = idempotency.Answer(
        response.status, response.headers.get("Content-Type", "application/json"), body
    )
    try:
        await door.answers.add((slot, fence, answer))
    except (*_BACKEND_ERRORS, Problem) as error:
        log.warning("answer.not_kept", route=slot.route, error=type(error).__name__)


async def _release(door: Door, slot: idempotency.Slot, fence: int) -> None:
    try:
        async with door.deps.db.connection() as conn:
            await idempotency.release(conn, slot, fence, now=door.clock.now())
    except (*_BACKEND_ERRORS, Problem) as error:
        log.warning("claim.not_released", route=slot.route, error=type(error).__name__)


def _values(endpoint: Endpoint, request: web.Request, raw: bytes) -> dict[str, Any]:
    """Return the handler's arguments that the caller sent, parsed."""
    values = _path_values(endpoint, request)
    if endpoint.query is not None:
        name, model = endpoint.query
        values[name] = _query(model, request)
    if endpoint.body is not None:
        name, model = endpoint.body
        values[name] = _body(model, request, raw)
    return values


def _blame_cursor(values: Mapping[str, Any], error: asyncpg.DataError) -> None:
    """Raise CursorInvalid if a cursor may have brought what the database cannot hold."""
    for value in values.values():
        if isinstance(value, PageQuery) and value.cursor is not None:
            raise CursorInvalid("This cursor was not made here.") from error


def _path_values(endpoint: Endpoint, request: web.Request) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, adapter in endpoint.path_fields.items():
        text = request.match_info[name]
        try:
            values[name] = adapter.validate_python(_clean(text))
        except ValidationError as error:
            unfit = problems.unfit(error, where="path")
            raise Malformed(unfit.detail, errors=[{**_first(unfit), "parameter": name}]) from None
    return values


def _first(unfit: Malformed) -> Mapping[str, str]:
    errors = unfit.facts["errors"]
    assert isinstance(errors, list)
    return dict(errors[0])


def _query(model: type[BaseModel], request: web.Request) -> BaseModel:
    sent: dict[str, Any] = {}
    for name in request.query:
        texts = [_clean(text) for text in request.query.getall(name)]
        field_ = model.model_fields.get(name)
        many = field_ is not None and "list[" in str(field_.annotation)
        sent[_clean(name)] = texts if many or len(texts) > 1 else texts[0]
    try:
        return model.model_validate(sent, strict=False)
    except ValidationError as error:
        raise problems.unfit(error, where="query") from None


def _body(model: type[BaseModel], request: web.Request, raw: bytes) -> BaseModel:
    if request.content_type != "application/json":
        raise problems.MediaTypeUnknown("Send application/json.")
    if b"\\u0000" in raw:
        raise Malformed("A text must not hold the character U+0000.")
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise problems.unfit(error, where="body") from None


def _clean(text: str) -> str:
    """Return *text* if a database can hold it."""
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Malformed("The address holds a character that is not text.")
    return text


def _given(
    endpoint: Endpoint, call: Call[Any], request: web.Request, raw: bytes
) -> dict[str, object]:
    kinds: dict[object, object] = {Call: call, web.Request: request, bytes: raw}
    return {name: kinds[kind] for name, kind in endpoint.given.items()}


def _reply(endpoint: Endpoint, value: object) -> web.StreamResponse:
    if isinstance(value, web.StreamResponse):
        return value
    if isinstance(value, Raw):
        name = value.filename
        extra = {} if name is None else {"Content-Disposition": f'attachment; filename="{name}"'}
        if value.cached_s is not None:
            extra["Cache-Control"] = f"private, max-age={value.cached_s}, immutable"
        return web.Response(
            status=endpoint.status,
            body=value.body,
            headers={"Content-Type": value.content_type, **extra},
        )
    if endpoint.answer is None:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    return web.Response(
        status=endpoint.status,
        body=endpoint.answer.dump_json(value),
        content_type="application/json",
    )
