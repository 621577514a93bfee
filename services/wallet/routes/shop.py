"""What a shop has at its counter: terms for devices, devices, services at a fixed price."""

import base64
import binascii
from uuid import UUID

from services.wallet.contract.redemptions import (
    DeviceView,
    NewDevice,
    NewService,
    ServiceCode,
    ServiceView,
    ShopTermsView,
)
from services.wallet.deps import Deps
from services.wallet.domain.redemption_code import device_key
from services.wallet.domain.redemption_errors import (
    DeviceDiffers,
    DeviceKeyInvalid,
    DeviceUnknown,
)
from services.wallet.routes.table import api
from services.wallet.store import shop
from services.wallet.store.shop import Device, ShopService
from shared.web import Call, Page, PageQuery


@api.get("/v1/redemption-terms", scope="wallet:shop", tags=("shop",))
async def get_terms(call: Call[Deps]) -> ShopTermsView:
    """Show what a device needs to accept codes while it is offline."""
    terms = call.deps.redemption
    return ShopTermsView(
        public_key=base64.b64encode(terms.public_key.public_bytes_raw()).decode(),
        offline_for_hours=int(terms.offline_for.total_seconds() // 3600),
        offline_limit_fen=terms.offline_limit_fen,
        ceiling_fen=terms.ceiling_fen,
    )


@api.put(
    "/v1/redemption-devices/{device_id}",
    scope="wallet:manage",
    tags=("shop",),
    problems=(DeviceKeyInvalid, DeviceDiffers),
)
async def put_device(call: Call[Deps], device_id: UUID, body: NewDevice) -> DeviceView:
    """Register a device by the public half of its key; repeats safely, never changes a key."""
    key = _key(body.public_key)
    device = Device(
        merchant_id=call.tenant_id,
        device_id=device_id,
        name=body.name,
        public_key=key,
        registered_at=call.deps.clock.now(),
    )
    async with call.deps.db.transaction() as conn:
        stands = await shop.add_device(conn, device)
    if stands.public_key != key:
        raise DeviceDiffers("Registered with another key.", device_id=str(device_id))
    return DeviceView.model_validate(stands)


@api.delete(
    "/v1/redemption-devices/{device_id}",
    scope="wallet:manage",
    tags=("shop",),
    problems=(DeviceUnknown,),
)
async def revoke_device(call: Call[Deps], device_id: UUID) -> DeviceView:
    """Let a device accept nothing from now on; what it accepted before still counts."""
    async with call.deps.db.transaction() as conn:
        revoked = await shop.revoke_device(
            conn, call.tenant_id, device_id, now=call.deps.clock.now()
        )
    if revoked is None:
        raise DeviceUnknown("No such device.", device_id=str(device_id))
    return DeviceView.model_validate(revoked)


@api.get("/v1/redemption-devices", scope="wallet:read", tags=("shop",))
async def list_devices(call: Call[Deps], query: PageQuery) -> Page[DeviceView]:
    """List the shop's devices, in the order of their ids."""
    last = query.after(UUID, UUID)
    async with call.deps.db.connection() as conn:
        rows = await shop.devices(
            conn, call.tenant_id, limit=query.limit + 1, after=last[1] if last else None
        )
    return Page[DeviceView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.device_id, row.device_id),
        view=DeviceView.model_validate,
    )


@api.put("/v1/redemption-services/{service_code}", scope="wallet:manage", tags=("shop",))
async def put_service(call: Call[Deps], service_code: ServiceCode, body: NewService) -> ServiceView:
    """Offer a service at a fixed price, or replace the one that stands under its code."""
    offered = ShopService(
        merchant_id=call.tenant_id,
        service_code=service_code,
        name=body.name,
        category=body.category,
        price_fen=body.price_fen,
        active=body.active,
    )
    async with call.deps.db.transaction() as conn:
        await shop.put_service(conn, offered)
    return ServiceView.model_validate(offered)


@api.get("/v1/redemption-services", scope="wallet:read", tags=("shop",))
async def list_services(call: Call[Deps], query: PageQuery) -> Page[ServiceView]:
    """List what the shop offers at a fixed price, by code."""
    last = query.after(str, str)
    async with call.deps.db.connection() as conn:
        rows = await shop.services(
            conn, call.tenant_id, limit=query.limit + 1, after=last[1] if last else None
        )
    return Page[ServiceView].of(
        rows,
        limit=query.limit,
        key=lambda row: (row.service_code, row.service_code),
        view=ServiceView.model_validate,
    )


def _key(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DeviceKeyInvalid("The key is not base64.") from error
    device_key(raw)
    return raw
