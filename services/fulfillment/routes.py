"""Fulfillment's HTTP endpoints, and the addresses its providers call."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from aiohttp import web
from pydantic import StringConstraints

from services.fulfillment.contract.api import (
    ItemView,
    MoveView,
    NewSku,
    NewSubstitute,
    NewSwap,
    NodeView,
    ParcelView,
    ShipmentDetail,
    ShipmentFilter,
    ShipmentView,
    SkuParticulars,
    SkuView,
    SubstituteView,
    UnplacedView,
)
from services.fulfillment.deps import Deps
from services.fulfillment.domain.contents import Sku
from services.fulfillment.domain.errors import (
    ContentsFixed,
    ShipmentUnknown,
    SkuExists,
    SkuUnknown,
    SubstituteForbidden,
    SwapForbidden,
)
from services.fulfillment.domain.parcel import masked
from services.fulfillment.domain.shipment import ShipmentState
from services.fulfillment.store import catalogue, items, parcels, shipments
from services.fulfillment.usecases.hear_pushes import hear_carrier, hear_warehouse
from services.fulfillment.usecases.keep_catalogue import add_sku, add_substitute, change_sku
from services.fulfillment.usecases.swap_item import swap_item
from shared import webhooks
from shared.db import Connection
from shared.errors import Forbidden, Malformed, Problem
from shared.web import Api, Call, Page, PageQuery

api: Api[Deps] = Api(
    title="Yuefu fulfillment",
    version="1",
    description="Catalogue, shipments and their tracks; the warehouse's and carriers' calls.",
)

PathSku = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
PathToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class StateUnknown(Malformed):
    """There is no such state of a shipment."""

    code = "state-unknown"


class OperatorNeeded(Forbidden):
    """Only the platform's operator may see this."""

    code = "operator-needed"


@api.post("/v1/skus", scope="catalogue:write", status=201, problems=(SkuExists,))
async def post_sku(call: Call[Deps], body: NewSku) -> SkuView:
    """Put a SKU into the catalogue."""
    sku = _sku(body.sku, body)
    async with call.deps.db.transaction() as conn:
        await add_sku(conn, call.tenant_id, sku, now=call.deps.clock.now())
    return SkuView.model_validate(sku)


@api.put("/v1/skus/{sku}", scope="catalogue:write", problems=(SkuUnknown,))
async def put_sku(call: Call[Deps], sku: PathSku, body: SkuParticulars) -> SkuView:
    """Give a SKU new particulars."""
    changed = _sku(sku, body)
    async with call.deps.db.transaction() as conn:
        await change_sku(conn, call.tenant_id, changed, now=call.deps.clock.now())
    return SkuView.model_validate(changed)


@api.get("/v1/skus", scope="catalogue:read")
async def list_skus(call: Call[Deps], query: PageQuery) -> Page[SkuView]:
    """List the catalogue by code."""
    after = query.after(str, str)
    async with call.deps.db.connection() as conn:
        found = await catalogue.list_skus(
            conn, call.tenant_id, after=after[0] if after else None, limit=query.limit + 1
        )
    return Page[SkuView].of(
        found, limit=query.limit, key=lambda sku: (sku.sku, sku.sku), view=SkuView.model_validate
    )


@api.post(
    "/v1/substitutes",
    scope="catalogue:write",
    status=201,
    problems=(SkuUnknown, SubstituteForbidden),
)
async def post_substitute(call: Call[Deps], body: NewSubstitute) -> SubstituteView:
    """Publish what may replace a SKU, for agreements signed from now on."""
    async with call.deps.db.transaction() as conn:
        one = await add_substitute(
            conn, call.tenant_id, sku=body.sku, by=body.by_sku, now=call.deps.clock.now()
        )
    return SubstituteView(sku=one.sku, by_sku=one.by, published_at=one.published_at)


@api.get("/v1/shipments", scope="shipments:read", problems=(StateUnknown,))
async def list_shipments(call: Call[Deps], query: ShipmentFilter) -> Page[ShipmentView]:
    """List shipments in the order they were planned."""
    async with call.deps.db.connection() as conn:
        found = await shipments.listed(
            conn,
            call.tenant_id,
            agreement_id=query.agreement_id,
            customer_id=query.customer_id,
            state=_state(query.state),
            after=query.after(datetime, UUID),
            limit=query.limit + 1,
        )
    return Page[ShipmentView].of(
        found,
        limit=query.limit,
        key=lambda one: (one.planned_at, one.shipment_id),
        view=ShipmentView.model_validate,
    )


@api.get("/v1/shipments/{shipment_id}", scope="shipments:read", problems=(ShipmentUnknown,))
async def get_shipment(call: Call[Deps], shipment_id: UUID) -> ShipmentDetail:
    """Show a shipment with its contents, parcels, track and history."""
    async with call.deps.db.connection() as conn:
        return await _detail(conn, call.tenant_id, shipment_id)


@api.post(
    "/v1/shipments/{shipment_id}/swaps",
    scope="shipments:write",
    problems=(ShipmentUnknown, ContentsFixed, SwapForbidden),
)
async def post_swap(call: Call[Deps], shipment_id: UUID, body: NewSwap) -> ShipmentDetail:
    """Have something else sent, until the customer has been reminded."""
    async with call.deps.db.transaction() as conn:
        await swap_item(
            conn,
            call.tenant_id,
            shipment_id,
            sku=body.sku,
            by=body.by_sku,
            now=call.deps.clock.now(),
        )
        return await _detail(conn, call.tenant_id, shipment_id)


@api.get("/v1/unplaced-webhooks", scope="webhooks:read", problems=(OperatorNeeded,))
async def list_unplaced(call: Call[Deps], query: PageQuery) -> Page[UnplacedView]:
    """List providers' calls that wait for a person; the operator's only."""
    _require_operator(call)
    async with call.deps.db.connection() as conn:
        found = await webhooks.unplaced(
            conn, limit=query.limit + 1, after=query.after(datetime, UUID)
        )
    return Page[UnplacedView].of(
        found,
        limit=query.limit,
        key=lambda one: (one.received_at, one.webhook_id),
        view=_unplaced,
    )


@api.post("/v1/unplaced-webhooks/{webhook_id}/placed", scope="webhooks:write")
async def post_placed(call: Call[Deps], webhook_id: UUID) -> UnplacedView:
    """Note that a person has dealt with a call; the operator's only."""
    _require_operator(call)
    async with call.deps.db.transaction() as conn:
        await webhooks.mark_placed(conn, webhook_id, now=call.deps.clock.now())
        return _unplaced(await webhooks.find(conn, webhook_id))


def _warehouse_failed() -> web.Response:
    return web.json_response({"code": "-1", "msg": "失败"}, status=HTTPStatus.SERVICE_UNAVAILABLE)


def _carrier_failed() -> web.Response:
    return web.json_response(
        {"result": False, "returnCode": "500", "message": "失败"},
        status=HTTPStatus.SERVICE_UNAVAILABLE,
    )


@api.webhook("/webhooks/jushuitan", failure=_warehouse_failed)
async def jushuitan_pushed(call: Call[Deps], request: web.Request, raw: bytes) -> web.Response:
    """Hear of an order from JST; unknown orders are kept and count as taken."""
    problem = await hear_warehouse(call.deps, raw, request.headers)
    if problem is not None:
        return web.json_response({"code": "10", "msg": problem.code}, status=problem.status)
    return web.json_response({"code": "0", "msg": "执行成功"})


@api.webhook("/webhooks/kuaidi100/{token}", failure=_carrier_failed)
async def kuaidi100_pushed(
    call: Call[Deps], request: web.Request, raw: bytes, token: PathToken
) -> web.Response:
    """Hear of a parcel from kuaidi100, at the address we gave it."""
    problem = await hear_carrier(call.deps, token, raw, request.headers)
    if problem is not None:
        return _carrier_refused(problem)
    return web.json_response({"result": True, "returnCode": "200", "message": "成功"})


def _carrier_refused(problem: Problem) -> web.Response:
    told = {"result": False, "returnCode": "500", "message": problem.code}
    return web.json_response(told, status=problem.status)


def _require_operator(call: Call[Deps]) -> None:
    if call.caller.tenant_id is not None:
        raise OperatorNeeded("Calls that could not be placed belong to no merchant.")


def _state(text: str | None) -> ShipmentState | None:
    if text is None:
        return None
    if text not in set(ShipmentState):
        raise StateUnknown("There is no such state.", known=[one.value for one in ShipmentState])
    return ShipmentState(text)


def _sku(code: str, body: SkuParticulars) -> Sku:
    return Sku(
        code,
        body.name,
        body.supply_cost_fen,
        body.supplier,
        tuple(body.ingredients),
        tuple(body.allergens),
        body.active,
    )


async def _detail(conn: Connection, merchant_id: UUID, shipment_id: UUID) -> ShipmentDetail:
    shipment = await shipments.find(conn, merchant_id, shipment_id)
    if shipment is None:
        raise ShipmentUnknown("No such shipment.", shipment_id=shipment_id)
    key = (merchant_id, shipment_id)
    packed = (await items.current(conn, [key])).get(shipment_id, ())
    boxes = [
        ParcelView(
            parcel_id=box.parcel_id,
            carrier=box.carrier,
            tracking_no=box.tracking_no,
            state=box.state,
            sent_at=box.sent_at,
            stuck_at=box.stuck_at,
            track=[
                NodeView.model_validate(node)
                for node in await parcels.track(conn, (merchant_id, box.parcel_id))
            ],
        )
        for box in await parcels.of_shipment(conn, *key)
    ]
    return ShipmentDetail(
        **ShipmentView.model_validate(shipment).model_dump(),
        items=[ItemView.model_validate(item) for item in packed],
        swaps=(await items.wishes(conn, [key])).get(shipment_id, {}),
        parcels=boxes,
        history=[
            MoveView(at=at, actor=actor, state=state, reason=reason)
            for at, actor, state, reason in await shipments.history(conn, *key)
        ],
    )


def _unplaced(delivery: webhooks.Delivery) -> UnplacedView:
    return UnplacedView(
        webhook_id=delivery.webhook_id,
        provider=delivery.provider,
        received_at=delivery.received_at,
        reason=delivery.reason,
        body=masked(delivery.body.decode("utf-8", errors="replace")),
    )
